"""The CI gate: a report, a policy and a baseline go in, a verdict comes out. Nothing here opens a capture or reads a clock."""
