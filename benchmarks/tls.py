"""The wss benchmark: real OpenSSL sessions with a key log, opened by wsaudit and by tshark in alternation.

    python benchmarks/tls.py                    200,000 small records, and 400 MB in records of 16 kB
    python benchmarks/tls.py --scale 0.1

Both ends are Python's `ssl` over memory buffers, so the ciphertext is what a network would have carried. The figures are
medians of whole processes; a record is one TLS record with one WebSocket frame in it.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import ssl
import statistics
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from struct import pack

from run import Peer, alternate, lean_tshark, wsaudit  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
SEGMENT = 1448
C, S = 0, 1


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


class Session:
    """A TLS session whose segments are written to a pcap as they come."""

    def __init__(self, capture: Path, keys: Path, pem: Path) -> None:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.keylog_filename = str(keys)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(pem)
        self.buffers = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in (C, S)]  # incoming, outgoing
        self.ends = [
            client.wrap_bio(*self.buffers[C], server_hostname="localhost"),
            server.wrap_bio(*self.buffers[S], server_side=True),
        ]
        self.file = capture.open("wb")
        self.file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        self.sequence = [1, 1]
        self.time = 1_700_000_000_000_000
        self.packet(C, 0x02, b"", syn=True)
        self.packet(S, 0x12, b"", syn=True)
        for _ in range(3):
            for end in (C, S):
                with suppress(ssl.SSLWantReadError):
                    self.ends[end].do_handshake()
                self.flush(end)

    def packet(self, side: int, flags: int, data: bytes, syn: bool = False) -> None:
        ports = (40000, 443) if side == C else (443, 40000)
        tcp = pack(
            ">HHIIBBHHH",
            *ports,
            self.sequence[side] - syn,
            self.sequence[1 - side] if flags & 0x10 else 0,
            0x50,
            flags,
            65535,
            0,
            0,
        )
        addresses = b"\x0a\0\0\1\x0a\0\0\2" if side == C else b"\x0a\0\0\2\x0a\0\0\1"
        total = 40 + len(data)
        self.time += 20
        self.file.write(pack("<IIII", self.time // 1_000_000, self.time % 1_000_000, total, total))
        self.file.write(b"\x45\0" + pack(">HHHBBH", total, 1, 0x4000, 64, 6, 0) + addresses + tcp + data)
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
        self.file.close()


def generate(folder: Path, name: str, records: int, size: int) -> tuple[Path, Path]:
    """One connection with `records` binary messages of `size` bytes from the server; capture and key log."""
    from wire import close_payload, frame, request, response

    capture, keys = folder / f"{name}.pcap", folder / f"{name}.log"
    session = Session(capture, keys, certificate(folder))
    session.send(C, request())
    session.send(S, response())
    message = frame(2, bytes(size))
    for _ in range(records):
        session.send(S, message)
    session.send(C, frame(8, close_payload(1000), mask=b"abcd"))
    session.send(S, frame(8, close_payload(1000)))
    session.close()
    return capture, keys


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3, metavar="ROUNDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsaudit-benchmark-") as temporary:
        folder = Path(temporary)
        config = lean_tshark(folder / "tshark", {"tls", "x509sat", "x509ce", "x509af", "pkcs-1", "ocsp", "ber"})
        print("| wss | records | MB | wsaudit s | records/s | MB/s | tshark s | times as fast |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, records, size in (("small", 200_000, 80), ("large", 25_000, 16_000)):
            count = max(1, round(records * options.scale))
            capture, keys = generate(folder, name, count, size)
            query = [
                "tshark",
                "-n",
                "-o",
                f"tls.keylog_file:{keys}",
                "-r",
                str(capture),
                "-Y",
                "websocket.payload.close.status_code",
                "-T",
                "fields",
                "-e",
                "websocket.payload.close.status_code",
            ]
            peers = [
                Peer("wsaudit", wsaudit("--keylog", str(keys)), environment={"PYTHONPATH": str(ROOT)}),
                Peer("tshark", lambda _, query=query: query, "tshark", {"WIRESHARK_CONFIG_DIR": str(config)}),
            ]
            runs = alternate([peer for peer in peers if shutil.which(peer.tool)], capture, options.runs, 120.0)
            took = {each: statistics.median(run.seconds for run in done) for each, done in runs.items()}
            size_mb = capture.stat().st_size / 1e6
            mine, other = took["wsaudit"], took.get("tshark")
            rest = f"{other:.2f} | {other / mine:.0f} |" if other else "| |"
            print(
                f"| {name} | {count:,} | {size_mb:,.0f} | {mine:.2f} | {count / mine:,.0f} | {size_mb / mine:,.0f} | {rest}",
                flush=True,
            )


if __name__ == "__main__":
    main()
