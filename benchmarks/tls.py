"""The wss benchmark: real OpenSSL sessions with a key log, opened by wsaudit and by tshark in alternation.

    python benchmarks/tls.py                    1,000,000 small records, and 1 GB in records of 16 kB: minutes
    python benchmarks/tls.py --scale 0.1

Both ends of every connection are Python's `ssl` over memory buffers, so the ciphertext is what a network would have carried; the
connections take turns, so that no state stays in a cache because nothing else came between. The figures are medians of whole
processes, start-up included; a record is one TLS record with one WebSocket frame in it, and a small one has a segment of its own.
Of wsaudit's time the `decrypt` column is what calling the cipher alone takes on records of that size: nothing that uses the same
cipher library from Python can be faster. After the runs the JSON report must tell of every frame that was sent.
"""

from __future__ import annotations

import datetime
import json
import shutil
import ssl
import statistics
import sys
import tempfile
import timeit
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from struct import pack

from run import Peer, alternate, arguments, lean_tshark, measure, wsaudit  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
SEGMENT = 1448
C, S = 0, 1
# What is sent: records, bytes of payload in each, connections.
ROWS = {"small": (1_000_000, 80, 200), "large": (62_500, 16_000, 50)}


def certificate(folder: Path) -> Path:
    """A self-signed certificate with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    start = datetime.datetime(2024, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + 36500 * day)
    path = folder / "certificate.pem"
    path.write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class Capture:
    """A pcap that segments are written to as they come."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        self.time = 1_700_000_000_000_000

    def write(self, source: bytes, target: bytes, tcp: bytes, data: bytes) -> None:
        total = 40 + len(data)
        self.time += 20
        self.file.write(pack("<IIII", self.time // 1_000_000, self.time % 1_000_000, total, total))
        self.file.write(b"\x45\0" + pack(">HHHBBH", total, 1, 0x4000, 64, 6, 0) + source + target + tcp + data)


class Session:
    """One TLS connection, from its SYN to its FINs."""

    def __init__(self, capture: Capture, port: int, client: ssl.SSLContext, server: ssl.SSLContext) -> None:
        self.capture = capture
        self.port = port
        self.buffers = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in (C, S)]  # incoming, outgoing
        self.ends = [
            client.wrap_bio(*self.buffers[C], server_hostname="localhost"),
            server.wrap_bio(*self.buffers[S], server_side=True),
        ]
        self.sequence = [1, 1]
        self.packet(C, 0x02, b"", syn=True)
        self.packet(S, 0x12, b"", syn=True)
        for _ in range(3):
            for end in (C, S):
                with suppress(ssl.SSLWantReadError):
                    self.ends[end].do_handshake()
                self.flush(end)

    def packet(self, side: int, flags: int, data: bytes, syn: bool = False) -> None:
        ports = (self.port, 443) if side == C else (443, self.port)
        acked = self.sequence[1 - side] if flags & 0x10 else 0
        tcp = pack(">HHIIBBHHH", *ports, self.sequence[side] - syn, acked, 0x50, flags, 65535, 0, 0)
        ends = b"\x0a\0\0\1", b"\x0a\0\0\2"
        self.capture.write(ends[side], ends[1 - side], tcp, data)
        self.sequence[side] += len(data)

    def flush(self, side: int) -> None:
        data = self.buffers[side][1].read()
        for at in range(0, len(data), SEGMENT):
            self.packet(side, 0x18, data[at : at + SEGMENT])
        self.buffers[1 - side][0].write(data)

    def send(self, side: int, data: bytes) -> None:
        self.ends[side].write(data)
        self.flush(side)
        other = self.ends[1 - side]
        try:
            while other.read(1 << 16):
                pass
        except ssl.SSLWantReadError:
            return

    def close(self) -> None:
        for side in (C, S):
            self.packet(side, 0x11, b"")
            self.sequence[side] += 1


def generate(folder: Path, name: str, scale: float) -> tuple[Path, Path, int]:
    """WebSocket connections whose server sends binary messages in turn; capture, key log and messages, made unless they are
    there."""
    from wire import close_payload, frame, request, response

    records, size, connections = ROWS[name]
    connections = max(1, round(connections * min(1.0, scale * 10)))
    each = max(1, round(records * scale / connections))
    capture, keys = folder / f"{name}-{scale:g}.pcap", folder / f"{name}-{scale:g}.log"
    if capture.exists():
        return capture, keys, each * connections
    print(f"generating {capture.name} ...", file=sys.stderr)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.keylog_filename = str(keys)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate(folder))
    unfinished = capture.with_suffix(".part")
    file = Capture(unfinished)
    sessions = [Session(file, 40000 + number, client, server) for number in range(connections)]
    for session in sessions:
        session.send(C, request())
        session.send(S, response())
    message = frame(2, bytes(size))
    for _ in range(each):
        for session in sessions:
            session.send(S, message)
    for session in sessions:
        session.send(C, frame(8, close_payload(1000), mask=b"abcd"))
        session.send(S, frame(8, close_payload(1000)))
        session.close()
    file.file.close()
    unfinished.rename(capture)
    return capture, keys, each * connections


def floor(size: int) -> float:
    """Seconds that one call of the cipher takes for a record with a message of `size` bytes in it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, nonce, additional = AESGCM(bytes(32)), bytes(12), bytes(5)
    sealed = cipher.encrypt(nonce, bytes(size + 3), additional)
    count = 20_000
    return min(timeit.repeat(lambda: cipher.decrypt(nonce, sealed, additional), number=count, repeat=5)) / count


def close_codes(keys: Path, more: Sequence[str]) -> Callable[[Path], list[str]]:
    """tshark's close-code query with a key log; with `more` options it shows every frame's."""
    shown = "websocket.opcode" if more else "websocket.payload.close.status_code"
    query = ["-Y", shown, "-T", "fields", "-e", shown, *more]
    return lambda capture: ["tshark", "-n", "-o", f"tls.keylog_file:{keys}", "-r", str(capture), *query]


def frames_seen(peer: Peer, capture: Path, scratch: Path) -> bool:
    """Whether `peer` prints anything."""
    output = scratch / "frames.txt"
    measure(peer, capture, output)
    return output.stat().st_size > 0


def told(capture: Path, keys: Path, scratch: Path) -> int:
    """The binary messages that the JSON report tells of."""
    report = scratch / "report.json"
    peer = Peer("wsaudit", wsaudit("--keylog", str(keys), "-f", "json"), environment={"PYTHONPATH": str(ROOT)})
    measure(peer, capture, report)
    connections = json.loads(report.read_text())["connections"]
    return sum(connection["messages"]["server"]["binary"] for connection in connections)


def main() -> None:
    options = arguments(__doc__, ROWS, runs=3).parse_args()
    with tempfile.TemporaryDirectory(prefix="wsaudit-benchmark-") as temporary:
        scratch = Path(temporary)
        folder = (options.folder or scratch).resolve()
        config = lean_tshark(scratch / "tshark", {"raw", "tls", "x509sat", "x509ce", "x509af", "pkcs-1", "ocsp", "ber"})
        print("| wss | records | MB | wsaudit s | records/s | MB/s | decrypt s | tshark s | times as fast |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name in options.only:
            capture, keys, count = generate(folder, name, options.scale)
            lean = {"WIRESHARK_CONFIG_DIR": str(config)}
            peers = [
                Peer("wsaudit", wsaudit("--keylog", str(keys)), environment={"PYTHONPATH": str(ROOT)}),
                Peer("tshark", close_codes(keys, ()), "tshark", lean),
            ]
            peers = [peer for peer in peers if shutil.which(peer.tool)]
            if len(peers) > 1 and not frames_seen(
                Peer("tshark", close_codes(keys, ("-c", "5000")), "tshark", lean), capture, scratch
            ):
                sys.exit("tshark opens nothing: with which protocols switched off?")
            runs = alternate(peers, capture, options.runs, options.budget)
            took = {each: statistics.median(run.seconds for run in done) for each, done in runs.items()}
            size_mb = capture.stat().st_size / 1e6
            mine, other = took["wsaudit"], took.get("tshark")
            rest = f"{other:.2f} | {other / mine:.0f} |" if other else "| |"
            figures = f"{count:,} | {size_mb:,.0f} | {mine:.2f} | {count / mine:,.0f} | {size_mb / mine:,.0f}"
            print(f"| {name} | {figures} | {count * floor(ROWS[name][1]):.2f} | {rest}", flush=True)
            seen = told(capture, keys, scratch)
            if seen != count:
                sys.exit(f"{name}: {count:,} messages were sent, the report tells of {seen:,}")


if __name__ == "__main__":
    main()
