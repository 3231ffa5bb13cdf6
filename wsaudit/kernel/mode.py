"""Which kernel runs. Compiled, `inline_mode.pxd` takes the place of this: a constant, so that the C compiler drops what only the
interpreter needs."""

COMPILED = False
