"""The benchmark: generated captures, wsaudit and its peers in alternation, one table.

    python benchmarks/run.py                           everything at scale 1: 6 GB of captures, tens of minutes
    python benchmarks/run.py --scale 0.1 --only chat
    python benchmarks/run.py --only feed --peers wsaudit capinfos

Every run is a whole process, from its start to its end. In each round every peer runs once, so that a busy moment of the machine
hits all of them; a peer that has had its time (--budget) sits out the rounds that remain. The figures are medians; the memory is
the highest resident set of any process of any run. After the runs the JSON report is compared with the generator's truth.

`capinfos -c` only counts packets: it is the yardstick for reading the file. tshark runs at its best: no name resolution, every
other protocol switched off, and the option without which it loses frames in reordered segments; it prints close codes, nothing
else.

Linux counts the memory of the parent before the exec as the child's, so this program generates and checks in processes of their
own and stays small; what needs less than 20 MiB shows as that.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ("chat", "feed", "noise")
SEED = 1
TSHARK_NEEDS = {"frame", "eth", "ethertype", "vlan", "ip", "ipv6", "tcp", "http", "websocket", "data", "data-text-lines"}


@dataclass(frozen=True)
class Peer:
    """A program to measure. `command` makes its arguments for a capture; `tool` must be on the PATH."""

    name: str
    command: Callable[[Path], list[str]]
    tool: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one process took: seconds of wall time, MiB of memory at most."""

    seconds: float
    memory: float


def wsaudit(*options: str) -> Callable[[Path], list[str]]:
    """An audit with `options`, in whatever form of wsaudit is first on PYTHONPATH."""
    start = "import sys; from wsaudit.cli import main; sys.exit(main())"
    return lambda capture: [sys.executable, "-c", start, "audit", str(capture), "--quiet", *options]


def pure_copy(folder: Path) -> Path:
    """A copy of the package without compiled modules."""
    shutil.copytree(ROOT / "wsaudit", folder / "wsaudit", ignore=shutil.ignore_patterns("*.so", "*.pyd", "*.pxd", "__pycache__"))
    return folder


def lean_tshark(folder: Path, more: frozenset[str] | set[str] = frozenset()) -> Path:
    """A tshark configuration with only those protocols switched on that WebSocket needs, and `more`."""
    folder.mkdir()
    if shutil.which("tshark"):
        table = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True).stdout
        names = {line.split("\t")[2] for line in table.splitlines()}
        (folder / "disabled_protos").write_text("\n".join(sorted(names - TSHARK_NEEDS - more)) + "\n")
    return folder


def close_codes(capture: Path) -> list[str]:
    """tshark's close-code query."""
    fields = ("tcp.stream", "tcp.srcport", "websocket.payload.close.status_code")
    query = ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r", str(capture), "-Y", fields[-1], "-T", "fields"]
    return query + [part for name in fields for part in ("-e", name)]


def peers(scratch: Path) -> list[Peer]:
    here = {"PYTHONPATH": str(ROOT)}
    pure = {"PYTHONPATH": str(pure_copy(scratch / "pure"))}
    for tree in (ROOT, scratch / "pure"):  # as pip does where it installs, whatever the environment here says
        compileall.compile_dir(tree / "wsaudit", quiet=1)
    tshark = {"WIRESHARK_CONFIG_DIR": str(lean_tshark(scratch / "tshark"))}
    return [
        Peer("capinfos", lambda capture: ["capinfos", "-c", str(capture)], "capinfos"),
        Peer("tcpdump", lambda capture: ["tcpdump", "-r", str(capture), "-w", "/dev/null", "tcp"], "tcpdump"),
        Peer("wsaudit", wsaudit(), environment=here),
        Peer("wsaudit-jobs-2", wsaudit("--jobs", "2"), environment=here),
        Peer("wsaudit-json", wsaudit("-f", "json"), environment=here),
        Peer("wsaudit-pure", wsaudit(), environment=pure),
        Peer("dpkt", lambda capture: [sys.executable, str(ROOT / "benchmarks" / "dpkt_loop.py"), str(capture)]),
        Peer("tshark", close_codes, "tshark", tshark),
    ]


def measure(peer: Peer, capture: Path, output: Path = Path(os.devnull)) -> Run:
    """Run `peer` once, its standard output to `output`, with the capture in memory: else whoever comes behind tshark, which fills
    it, is measured waiting for the disk. Raises RuntimeError if it fails."""
    read(capture)
    command = peer.command(capture)
    with output.open("wb") as out, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=capture.parent, env={**os.environ, **peer.environment})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{peer.name} failed: {errors.read().decode(errors='replace').strip()[-500:]}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Run(seconds, usage.ru_maxrss / unit)


def read(capture: Path) -> None:
    """Read all of it."""
    piece = bytearray(1 << 20)
    with capture.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass


def capture_of(scenario: str, scale: float, folder: Path) -> Path:
    """The capture of a scenario, generated unless it is there."""
    path = folder / f"{scenario}-{scale:g}.pcap"
    if not Path(f"{path}.truth.json").exists():
        print(f"generating {path.name} ...", file=sys.stderr)
        script = str(ROOT / "benchmarks" / "generate.py")
        subprocess.run(
            [sys.executable, script, scenario, str(path), "--scale", str(scale), "--seed", str(SEED)],
            stdout=sys.stderr,
            check=True,
        )
    return path


def alternate(candidates: list[Peer], capture: Path, rounds: int, budget: float) -> dict[str, list[Run]]:
    """The runs of each peer."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(1, rounds + 1):
        for peer in candidates:
            if sum(run.seconds for run in runs[peer.name]) < budget:
                print(f"{capture.name}: round {number} of {rounds}, {peer.name}", file=sys.stderr)
                runs[peer.name].append(measure(peer, capture))
    return runs


def table(truth: dict[str, Any], runs: dict[str, list[Run]]) -> str:
    """The runs of one capture as a Markdown table."""
    seconds = {name: statistics.median(run.seconds for run in each) for name, each in runs.items()}
    size = f"{truth['packets']:,} packets, {truth['bytes'] / 1e9:.2f} GB, {truth['connections']:,} connections"
    lines = [f"{truth['scenario']}, scale {truth['scale']:g}: {size}", ""]
    lines += ["| | seconds | times capinfos | times as fast as tshark | peak MiB | runs |", "|---|---:|---:|---:|---:|---:|"]
    for name, each in runs.items():
        against = f"{seconds[name] / seconds['capinfos']:.2f}" if "capinfos" in seconds else ""
        faster = f"{seconds['tshark'] / seconds[name]:.1f}" if "tshark" in seconds else ""
        memory = max(run.memory for run in each)
        lines.append(f"| {name} | {seconds[name]:.2f} | {against} | {faster} | {memory:,.0f} | {len(each)} |")
    return "\n".join(lines)


def exactness(candidates: list[Peer], capture: Path, scratch: Path) -> str:
    """Whether the JSON report is the truth, if that peer was measured."""
    for peer in candidates:
        if peer.name == "wsaudit-json":
            report = scratch / "report.json"
            measure(peer, capture, report)
            script, truth = str(ROOT / "benchmarks" / "check.py"), f"{capture}.truth.json"
            result = subprocess.run([sys.executable, script, str(report), truth], capture_output=True, text=True)
            return f"Report and truth: {result.stdout.strip() or result.stderr.strip()}.\n"
    return ""


def arguments(description: str | None, captures: Sequence[str], runs: int) -> argparse.ArgumentParser:
    """The options that every benchmark has; `captures` are those to choose from."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=runs, metavar="ROUNDS")
    parser.add_argument("--only", nargs="+", choices=captures, default=captures, metavar="CAPTURE")
    parser.add_argument("--budget", type=float, default=120.0, metavar="SECONDS", help="of each peer on each capture")
    parser.add_argument("--folder", type=Path, help="keep the captures here (default: a temporary folder)")
    return parser


def main() -> None:
    parser = arguments(__doc__, SCENARIOS, runs=5)
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="by default all whose tool is installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsaudit-benchmark-") as temporary:
        scratch = Path(temporary)
        folder = (options.folder or scratch).resolve()
        everyone = peers(scratch)
        unknown = set(options.peers or ()) - {peer.name for peer in everyone}
        if unknown:
            parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(peer.name for peer in everyone)}")
        chosen = [peer for peer in everyone if not options.peers or peer.name in options.peers]
        chosen = [peer for peer in chosen if shutil.which(peer.tool)]
        for scenario in options.only:
            capture = capture_of(scenario, options.scale, folder)
            truth = json.loads(Path(f"{capture}.truth.json").read_text())
            print(table(truth, alternate(chosen, capture, options.runs, options.budget)), end="\n\n")
            print(exactness(chosen, capture, scratch), flush=True)
            if options.folder is None:
                capture.unlink()


if __name__ == "__main__":
    main()
