"""Record a wss session of Chromium with its key log inside: chromium-wss.pcapng beside this script.

    python sample_pcaps/record_chromium.py

Chromium, headless, connects to a `websockets` server with TLS through a relay on the loopback; the bytes exchanged are real, the
TCP packets around them are written here (tests/wire.py), and `editcap` puts the secrets of SSLKEYLOGFILE into a Decryption
Secrets Block. Keys and randoms are new each time.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from websockets.sync.server import ServerConnection, serve

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "tls"), str(HERE.parent / "tests")]

import wire  # noqa: E402
from record import CLIENT, SERVER, Relay, certificate, free_port  # noqa: E402

PAGE = """<script>
const socket = new WebSocket("wss://127.0.0.1:%d/chromium", ["sample.v1"]);
const answers = [];
socket.onopen = () => { socket.send("hello from Chromium ✓"); socket.send(new Uint8Array(3000).fill(7)); };
socket.onmessage = event => { answers.push(event.data); if (answers.length === 2) socket.close(1000, "done"); };
</script>"""


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cert_file, key_file = certificate(folder, "rsa")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_file, key_file)
        port = free_port()
        relay = Relay(port)
        page, keys, capture = folder / "page.html", folder / "keys.log", folder / "session.pcap"
        page.write_text(PAGE % relay.port, encoding="utf-8")
        with serve(echo, "127.0.0.1", port, ssl=context, subprotocols=["sample.v1"], server_header=None) as server:  # type: ignore[list-item]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            relay.start()
            flags = [
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--ignore-certificate-errors",
                f"--user-data-dir={folder / 'profile'}",
            ]
            chromium = subprocess.Popen(
                ["chromium", *flags, "--remote-debugging-port=0", page.as_uri()],
                env={**os.environ, "SSLKEYLOGFILE": str(keys)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            finished = relay.over.wait(60)
            chromium.terminate()
            chromium.wait()
            server.shutdown()
        if not finished:
            sys.exit("Chromium did not finish its session within 60 seconds")
        talk = wire.Conversation(("10.0.0.1", 40001), ("10.0.0.2", 443), start=wire.START).open()
        for side, data in relay.sent:
            talk.send(side, data).ack(1 - side)
        talk.fin(SERVER).ack(CLIENT).fin(CLIENT).ack(SERVER)
        capture.write_bytes(wire.pcap(talk.packets))
        target = HERE / "chromium-wss.pcapng"
        subprocess.run(["editcap", "--inject-secrets", f"tls,{keys}", str(capture), str(target)], check=True)
        print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
