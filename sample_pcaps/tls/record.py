"""Record TLS sessions of real OpenSSL endpoints: a capture, its key log and what the endpoints wrote, for each suite and feature.

    python sample_pcaps/tls/record.py [NAME...]

writes NAME.pcap and NAME.keys.log beside this script, and to expected.json what the two sides of every connection said (the
same in all) and the number of connections of each capture. Python's `ssl` plays both ends in memory; what it cannot be told
(TLS 1.3 suites, KeyUpdate, 0-RTT, padding, renegotiation) is played by the `openssl` program and by Node through a relay on
the loopback. The bytes exchanged are real, the TCP packets around them are written here. Keys and randoms are new each time,
so a new recording differs from the old one in every byte of ciphertext.
"""

from __future__ import annotations

import datetime
import json
import queue
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

import wire  # noqa: E402

CLIENT, SERVER = wire.CLIENT, wire.SERVER
HOST = "sample.example"

# ssl has no names for these two of OpenSSL's options.
NO_EXTENDED_MASTER_SECRET = 1 << 0
NO_ENCRYPT_THEN_MAC = 1 << 19

Said = list[tuple[int, bytes]]  # who said what, in order

TURNS: Said = [
    (CLIENT, wire.request("/tls")),
    (SERVER, wire.response()),
    (CLIENT, wire.frame(1, b"hello from the client", mask=wire.MASK)),
    (SERVER, wire.frame(1, b"hello from the server")),
    (CLIENT, wire.frame(2, bytes(range(256)) * 6, mask=wire.MASK)),
    (SERVER, wire.frame(2, bytes(range(255, -1, -1)) * 6)),
    (CLIENT, wire.frame(8, wire.close_payload(1000, "bye"), mask=wire.MASK)),
    (SERVER, wire.frame(8, wire.close_payload(1000, "bye"))),
]


class Recording:
    """One capture in the making."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.conversations: list[wire.Conversation] = []
        self.keylog = HERE / f"{name}.keys.log"
        self.keylog.unlink(missing_ok=True)

    def add(self, sent: Said) -> None:
        """A connection that said TURNS: the bytes that went over the wire."""
        number = len(self.conversations)
        start = wire.START + number * wire.SECOND
        talk = wire.Conversation(("10.0.0.1", 40001 + number), ("10.0.0.2", 443), start=start).open()
        for side, data in sent:
            talk.send(side, data).ack(1 - side)
        talk.fin(SERVER).ack(CLIENT).fin(CLIENT).ack(SERVER)
        self.conversations.append(talk)

    def save(self) -> None:
        (HERE / f"{self.name}.pcap").write_bytes(wire.pcap(wire.merge(*self.conversations)))


def certificate(folder: Path, kind: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key as PEM files; `kind` is rsa or ec."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{kind}.pem", folder / f"{kind}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, no_password)
    )
    return cert_file, key_file


# --- Python's ssl, both ends in memory ---


class Endpoint:
    """One end of a TLS connection that lives in memory."""

    def __init__(self, context: ssl.SSLContext, side: int, session: ssl.SSLSession | None = None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = HOST if side == CLIENT else None
        self.tls = context.wrap_bio(self.incoming, self.outgoing, side == SERVER, name, session)
        self.side = side

    def attempt(self, action: Callable[[], object]) -> bool:
        """Whether the action came to its end, rather than to wait for the peer."""
        try:
            action()
        except ssl.SSLWantReadError:
            return False
        return True


def converse(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[Said, ssl.SSLSession | None]:
    """Shake hands, exchange TURNS, close both ways. Gives what went over the wire, and the session to resume."""
    ends = (Endpoint(client_context, CLIENT, session), Endpoint(server_context, SERVER))
    sent: Said = []

    def flush(end: Endpoint) -> None:
        data = end.outgoing.read()
        if data:
            sent.append((end.side, data))
            ends[1 - end.side].incoming.write(data)

    done = [False, False]
    while not all(done):
        for end in ends:
            done[end.side] = done[end.side] or end.attempt(end.tls.do_handshake)
            flush(end)
    for side, data in TURNS:
        ends[side].tls.write(data)
        flush(ends[side])
        received = b""
        while len(received) < len(data):
            received += ends[1 - side].tls.read(1 << 16)
        assert received == data
    kept = ends[CLIENT].tls.session
    ends[SERVER].attempt(ends[SERVER].tls.unwrap)
    flush(ends[SERVER])
    ends[CLIENT].attempt(ends[CLIENT].tls.unwrap)
    flush(ends[CLIENT])
    return sent, kept


def contexts(
    recording: Recording,
    folder: Path,
    *,
    cipher: str | None = None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    kind: str = "rsa",
    options: int = 0,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of client and server."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / f"{kind}.pem", folder / f"{kind}.key")
    client.load_verify_locations(folder / f"{kind}.pem")
    client.keylog_filename = str(recording.keylog)
    for context in (client, server):
        if cipher is not None:
            context.set_ciphers(f"{cipher}:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        context.options |= options
        context.set_alpn_protocols(["http/1.1"])
    return client, server


def record_in_memory(name: str, folder: Path, **choices: object) -> Recording:
    recording = Recording(name)
    sent, _ = converse(*contexts(recording, folder, **choices))  # type: ignore[arg-type]
    recording.add(sent)
    return recording


def record_resumption(name: str, folder: Path, version: ssl.TLSVersion, options: int) -> Recording:
    recording = Recording(name)
    pair = contexts(recording, folder, version=version, options=options)
    session = None
    for _ in range(2):
        sent, session = converse(*pair, session)
        recording.add(sent)
    return recording


def record_retry(name: str, folder: Path) -> Recording:
    recording = Recording(name)
    client, server = contexts(recording, folder, version=ssl.TLSVersion.TLSv1_3)
    server.set_ecdh_curve("secp384r1")  # the client's first key share is for X25519
    sent, _ = converse(client, server)
    recording.add(sent)
    return recording


# --- the openssl program and Node, through a relay ---


class Relay:
    """Passes one TCP connection after the other on to a port, and notes what went through."""

    def __init__(self, target: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.target = target
        self.sent: Said = []
        self.over = threading.Event()

    def start(self) -> None:
        """Serve the next connection."""
        self.sent, self.over = [], threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.target))
        threads = [
            threading.Thread(target=self._pass, args=(CLIENT, client, server), daemon=True),
            threading.Thread(target=self._pass, args=(SERVER, server, client), daemon=True),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.over.set()

    def _pass(self, side: int, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                self.sent.append((side, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Program:
    """A program that reads and writes; `expect` waits for what it writes."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = b""
        self.pieces: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := self.process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            self.pieces.put(piece)

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def expect(self, text: bytes) -> None:
        while text not in self.output:
            try:
                self.output += self.pieces.get(timeout=10)
            except queue.Empty:
                raise SystemExit(f"waited in vain for {text[:40]!r}, got {self.output[-2000:]!r}") from None
        self.output = self.output.partition(text)[2]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def openssl_server(folder: Path, port: int, *options: str) -> Program:
    files = ["-cert", str(folder / "rsa.pem"), "-key", str(folder / "rsa.key")]
    server = Program(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, *options])
    server.expect(b"ACCEPT")
    return server


def openssl_client(recording: Recording, port: int, *options: str) -> Program:
    keylog = ["-keylogfile", str(recording.keylog)]
    return Program(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, *keylog, *options])


def exchange(client: Program, server: Program, turns: Said, commands: dict[int, tuple[int, bytes]] | None = None) -> None:
    """Both programs say their turns. `commands`: before which turn which side gets a command of s_client or s_server."""
    for number, (side, data) in enumerate(turns):
        if commands and number in commands:
            who, command = commands[number]
            (client, server)[who].write(command)
            time.sleep(0.3)  # the program reads the command by itself only when it comes alone
        (client, server)[side].write(data)
        (server, client)[side].expect(data)


def record_openssl(
    name: str,
    folder: Path,
    server_options: list[str],
    client_options: list[str],
    commands: dict[int, tuple[int, bytes]] | None = None,
) -> Recording:
    recording = Recording(name)
    port = free_port()
    server = openssl_server(folder, port, *server_options)
    relay = Relay(port)
    relay.start()
    client = openssl_client(recording, relay.port, *client_options)
    client.expect(b"---\n")
    exchange(client, server, TURNS, commands)
    client.write(b"Q\n")
    relay.over.wait(10)
    recording.add(relay.sent)
    server.stop()
    return recording


def record_early_data(name: str, folder: Path, accepted: bool) -> Recording:
    """Two connections: the first gets a ticket, the second sends the request as early data."""
    recording = Recording(name)
    ticket, early = folder / "ticket", folder / "early"
    early.write_bytes(TURNS[0][1])
    port = free_port()
    server = openssl_server(folder, port, "-early_data", "-no_anti_replay")
    relay = Relay(port)
    relay.start()
    client = openssl_client(recording, relay.port, "-sess_out", str(ticket))
    client.expect(b"---\n")
    exchange(client, server, TURNS)
    client.write(b"Q\n")
    relay.over.wait(10)
    recording.add(relay.sent)
    if not accepted:  # a server that does not know the ticket
        server.stop()
        server = openssl_server(folder, port)
    relay.start()
    client = openssl_client(recording, relay.port, "-sess_in", str(ticket), "-early_data", str(early))
    client.expect(b"Early data was " + (b"accepted" if accepted else b"rejected"))
    if accepted:
        server.expect(TURNS[0][1])
    exchange(client, server, TURNS[1:] if accepted else TURNS)
    client.write(b"Q\n")
    relay.over.wait(10)
    recording.add(relay.sent)
    server.stop()
    return recording


NODE = """
const tls = require('tls'), fs = require('fs');
const [role, port, cert, key] = process.argv.slice(2);
const talk = socket => {
  socket.on('data', data => process.stdout.write(data));
  socket.on('error', () => {});
  process.stdin.on('data', data => data.toString() === 'QUIT' ? socket.end() : socket.write(data));
};
if (role === 'server')
  tls.createServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key), ALPNProtocols: ['http/1.1']}, talk)
     .listen(+port, '127.0.0.1', () => process.stdout.write('ready'));
else {
  const socket = tls.connect({port: +port, host: '127.0.0.1', servername: cert, rejectUnauthorized: false,
                              ALPNProtocols: ['http/1.1']}, () => process.stdout.write('ready'));
  talk(socket);
  socket.on('close', () => process.exit());
}
"""


def record_node(name: str, folder: Path) -> Recording:
    recording = Recording(name)
    script = folder / "node.js"
    script.write_text(NODE)
    port = free_port()
    server = Program(["node", str(script), "server", str(port), str(folder / "rsa.pem"), str(folder / "rsa.key")])
    server.expect(b"ready")
    relay = Relay(port)
    relay.start()
    client = Program(["node", f"--tls-keylog={recording.keylog}", str(script), "client", str(relay.port), HOST])
    client.expect(b"ready")
    exchange(client, server, TURNS)
    client.write(b"QUIT")
    relay.over.wait(10)
    recording.add(relay.sent)
    server.stop()
    return recording


# --- what there is ---

SUITES12 = {
    "aes128-gcm": ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    "aes256-gcm": ("ECDHE-RSA-AES256-GCM-SHA384", "rsa"),
    "chacha20": ("ECDHE-RSA-CHACHA20-POLY1305", "rsa"),
    "aes128-ccm": ("ECDHE-ECDSA-AES128-CCM", "ec"),
    "aes256-ccm8": ("ECDHE-ECDSA-AES256-CCM8", "ec"),
    "rsa-aes128-gcm": ("AES128-GCM-SHA256", "rsa"),
}
SUITES12_CBC = {
    "aes128-sha1": "ECDHE-RSA-AES128-SHA",
    "aes256-sha1": "ECDHE-RSA-AES256-SHA",
    "aes128-sha256": "ECDHE-RSA-AES128-SHA256",
    "aes256-sha384": "ECDHE-RSA-AES256-SHA384",
}
SUITES13 = {
    "aes128-gcm": "TLS_AES_128_GCM_SHA256",
    "aes256-gcm": "TLS_AES_256_GCM_SHA384",
    "chacha20": "TLS_CHACHA20_POLY1305_SHA256",
    "aes128-ccm": "TLS_AES_128_CCM_SHA256",
    "aes128-ccm8": "TLS_AES_128_CCM_8_SHA256",
}
TLS10, TLS11, TLS12, TLS13 = (ssl.TLSVersion[name] for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"))


def recordings(folder: Path) -> dict[str, Callable[[str], Recording]]:
    """How to record each capture, by name."""
    every: dict[str, Callable[[str], Recording]] = {}
    for name, (cipher, kind) in SUITES12.items():
        every[f"tls12-{name}"] = lambda n, c=cipher, k=kind: record_in_memory(n, folder, cipher=c, kind=k)
    for name, cipher in SUITES12_CBC.items():
        every[f"tls12-{name}-etm"] = lambda n, c=cipher: record_in_memory(n, folder, cipher=c)
        every[f"tls12-{name}-mte"] = lambda n, c=cipher: record_in_memory(n, folder, cipher=c, options=NO_ENCRYPT_THEN_MAC)
    for name, suite in SUITES13.items():
        every[f"tls13-{name}"] = lambda n, s=suite: record_openssl(n, folder, ["-ciphersuites", s], ["-ciphersuites", s])
    plain_master = NO_EXTENDED_MASTER_SECRET
    every["tls12-rsa-no-extended-master"] = lambda n: record_in_memory(
        n, folder, cipher="AES128-GCM-SHA256", options=plain_master
    )
    every["tls11-aes128-sha1"] = lambda n: record_in_memory(n, folder, cipher="ECDHE-RSA-AES128-SHA", version=TLS11)
    every["tls10-aes128-sha1"] = lambda n: record_in_memory(
        n, folder, cipher="ECDHE-RSA-AES128-SHA", version=TLS10, options=NO_ENCRYPT_THEN_MAC
    )
    every["tls12-ticket"] = lambda n: record_resumption(n, folder, TLS12, 0)
    every["tls12-session-id"] = lambda n: record_resumption(n, folder, TLS12, ssl.OP_NO_TICKET)
    every["tls13-resumption"] = lambda n: record_resumption(n, folder, TLS13, 0)
    every["tls13-retry"] = lambda n: record_retry(n, folder)
    every["tls13-key-update"] = lambda n: record_openssl(n, folder, [], [], {3: (CLIENT, b"K\n"), 5: (SERVER, b"k\n")})
    every["tls13-padding"] = lambda n: record_openssl(n, folder, ["-record_padding", "512"], ["-record_padding", "300"])
    every["tls13-small-records"] = lambda n: record_openssl(n, folder, ["-max_send_frag", "512"], ["-max_send_frag", "512"])
    every["tls12-renegotiation"] = lambda n: record_openssl(
        n, folder, ["-tls1_2", "-client_renegotiation"], ["-tls1_2"], {4: (CLIENT, b"R\n")}
    )
    every["tls13-early-data"] = lambda n: record_early_data(n, folder, True)
    every["tls13-early-data-rejected"] = lambda n: record_early_data(n, folder, False)
    every["tls13-node"] = lambda n: record_node(n, folder)
    return every


def main(names: list[str]) -> None:
    table = HERE / "expected.json"
    expected = json.loads(table.read_text()) if table.exists() else {"connections": {}}
    expected["said"] = {
        name: b"".join(data for side, data in TURNS if side == who).hex() for who, name in enumerate(("client", "server"))
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        certificate(folder, "rsa")
        certificate(folder, "ec")
        for name, record in recordings(folder).items():
            if not names or name in names:
                recording = record(name)
                recording.save()
                expected["connections"][name] = len(recording.conversations)
                table.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
                print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
