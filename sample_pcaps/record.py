"""Record four of the samples anew: real endpoints, a real kernel. For Linux, as root: `python sample_pcaps/record.py [NAME...]`.

    killed-behind-proxy   nginx in front of a server that is killed: both legs of every connection
    fast-open             requests that come with the SYN (RFC 7413)
    cut-off               a firewall that forgets, rejects or resets, captured at the client
    snaplen-96            tcpdump -s 96: both opening handshakes are cut

Needs tcpdump, iproute2, nftables, nginx and the library `websockets`. Both endpoints write what their API reports as lines of
JSON beside the capture (NAME.reported.jsonl); the numbers in index.toml are theirs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SPACES = ("ws-client", "ws-router", "ws-server")  # network namespaces, joined in this order
CLIENT, ROUTER, SERVER = SPACES
HOST = "10.99.2.2"


# -- endpoints: this script again, as a process of its own ----------------------------------------------------------------


def tell(log: str, **what: object) -> None:
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


async def serve(port: int, log: str) -> None:
    """What a connection's path says, on every address: /echo, /push, /close."""
    from websockets.asyncio.server import ServerConnection, serve

    async def handle(connection: ServerConnection) -> None:
        try:
            match connection.request and connection.request.path.split("?")[0]:
                case "/push":
                    for number in range(200):
                        await connection.send(f"tick {number}")
                        await asyncio.sleep(0.2)
                case "/close":
                    await connection.recv()
                    await connection.close(4001, "enough")
                case _:
                    async for message in connection:
                        await connection.send(message)
        finally:
            await connection.wait_closed()
            tell(log, side="server", port=connection.remote_address[1], code=connection.close_code)

    async with serve(handle, "0.0.0.0", port, ping_interval=None, close_timeout=1, compression=None):
        await asyncio.Future()


async def connect(uri: str, log: str, how: str) -> None:
    """One connection: `stay`, `send` something every 0.2 s, or `leave` with Close 1000, `die` after a second."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async with connect(uri, ping_interval=None, close_timeout=1, compression=None, proxy=None) as connection:
        port = connection.local_address[1]
        keep_alive(connection.transport.get_extra_info("socket"))
        try:
            await connection.send("hello")
            while how == "send":
                await asyncio.sleep(0.2)
                await connection.send("more")
            if how == "die":
                await asyncio.sleep(1)
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "leave":
                await connection.recv()
                await connection.close(1000, "done")
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass
        tell(log, side="client", port=port, code=connection.close_code)


def keep_alive(endpoint: socket.socket) -> None:
    """TCP probes after a second of silence, three in all."""
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3)):
        endpoint.setsockopt(socket.IPPROTO_TCP, option, value)


async def connect_fast(port: int, log: str) -> None:
    """A request inside the SYN, by hand: no library sends one."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    request = f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    with socket.socket() as endpoint:
        endpoint.settimeout(5)
        endpoint.sendto(request, socket.MSG_FASTOPEN, ("127.0.0.1", port))
        endpoint.recv(4096)
        for opcode, payload in ((0x81, b"hello"), (0x88, struct.pack(">H", 1001))):
            mask = os.urandom(4)
            masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
            endpoint.sendall(bytes((opcode, 0x80 | len(payload))) + mask + masked)
            answer = endpoint.recv(4096)
        tell(log, side="client", port=endpoint.getsockname()[1], code=int.from_bytes(answer[2:4], "big"))


# -- the stage ----------------------------------------------------------------------------------------------------------------


def run(*command: str, space: str | None = None) -> None:
    subprocess.run(["ip", "netns", "exec", space, *command] if space else command, check=True)


@contextmanager
def process(*command: str, space: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with the block."""
    prefix = ("ip", "netns", "exec", space) if space else ()
    with subprocess.Popen([*prefix, *command], stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.terminate()


def endpoint(role: str, *arguments: object, space: str | None = None) -> subprocess.Popen[bytes]:
    prefix = ("ip", "netns", "exec", space) if space else ()
    return subprocess.Popen([*prefix, sys.executable, __file__, role, *map(str, arguments)], stderr=subprocess.DEVNULL)


@contextmanager
def capture(name: str, interface: str, ports: str, space: str | None, *options: str) -> Iterator[str]:
    """A capture of these ports; gives the name of the file for what the endpoints report."""
    log = FOLDER / f"{name}.reported.jsonl"
    log.unlink(missing_ok=True)
    where = ("-i", interface, "-w", str(FOLDER / f"{name}.pcap"), f"(tcp and portrange {ports}) or icmp")
    with process("tcpdump", "-U", "-Z", "root", *options, *where, space=space):
        time.sleep(1)
        yield str(log)
        time.sleep(1)


@contextmanager
def network() -> Iterator[None]:
    """Client, router and server, each in a namespace of its own."""
    for space in SPACES:
        run("ip", "netns", "add", space)
        run("ip", "link", "set", "lo", "up", space=space)
    try:
        for number, (left, right) in enumerate(((CLIENT, ROUTER), (SERVER, ROUTER)), 1):
            run("ip", "link", "add", "eth0", "netns", left, "type", "veth", "peer", "name", f"eth{number}", "netns", right)
            for space, device, host in ((left, "eth0", 2), (right, f"eth{number}", 1)):
                run("ip", "address", "add", f"10.99.{number}.{host}/24", "dev", device, space=space)
                run("ip", "link", "set", device, "up", space=space)
            run("ip", "route", "add", "default", "via", f"10.99.{number}.1", space=left)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", space=ROUTER)
        run("sysctl", "-qw", "net.ipv4.tcp_fastopen=0x607", space=SERVER)
        for space in (CLIENT, SERVER):
            run("sysctl", "-qw", "net.ipv4.tcp_retries2=4", space=space)  # gives up after seconds, not a quarter of an hour
        yield
    finally:
        for space in SPACES:
            run("ip", "netns", "delete", space)


# -- the recordings --------------------------------------------------------------------------------------------------------------

NGINX = """
daemon off; pid {folder}/pid; error_log /dev/null;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:9401; location / {{
  proxy_pass http://127.0.0.1:9402; proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }} }}
"""


def killed_behind_proxy() -> None:
    with tempfile.TemporaryDirectory() as folder, capture("killed-behind-proxy", "lo", "9401-9402", None) as log:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder), encoding="utf-8")
        server = endpoint("serve", 9402, log)
        with process("nginx", "-c", str(config)):
            time.sleep(2)
            clients = [endpoint("connect", f"ws://127.0.0.1:9401/echo?{number}", log, "stay") for number in range(6)]
            time.sleep(4)
            server.kill()
            for client in clients:
                client.wait()


def fast_open() -> None:
    with network(), capture("fast-open", "lo", "9403", SERVER) as log:
        server = endpoint("serve", 9403, log, space=SERVER)
        time.sleep(2)
        for _ in range(3):
            endpoint("connect-fast", 9403, log, space=SERVER).wait()
        server.terminate()


def cut_off() -> None:
    """Four connections to four ports, each cut in its own way."""
    rules = {
        9411: "tcp dport 9411 drop",  # idle: only the client's TCP finds out
        9412: "tcp dport 9412 reject with tcp reset",
        9413: "tcp dport 9413 reject with icmp type host-unreachable",
        9414: "tcp dport 9414 drop",
    }
    with network(), capture("cut-off", "eth0", "9411-9414", CLIENT) as log:
        servers = [endpoint("serve", port, log, space=SERVER) for port in rules]
        time.sleep(3)
        for port in rules:
            endpoint("connect", f"ws://{HOST}:{port}/echo", log, "stay" if port == 9411 else "send", space=CLIENT)
        time.sleep(3)
        run("nft", "add", "table", "inet", "cut", space=ROUTER)
        run("nft", "add", "chain", "inet", "cut", "path", "{ type filter hook forward priority 0; }", space=ROUTER)
        for rule in rules.values():
            run("nft", "add", "rule", "inet", "cut", "path", *rule.split(), space=ROUTER)
        time.sleep(15)
        for server in servers:
            server.kill()


def snaplen_96() -> None:
    with network(), capture("snaplen-96", "eth0", "9421", CLIENT, "-s", "96") as log:
        server = endpoint("serve", 9421, log, space=SERVER)
        time.sleep(2)
        for path, how in (("echo", "leave"), ("close", "stay"), ("push", "die"), ("echo", "die")):
            endpoint("connect", f"ws://{HOST}:9421/{path}", log, how, space=CLIENT).wait()
        time.sleep(1)
        server.terminate()


RECORDINGS: dict[str, Callable[[], None]] = {
    "killed-behind-proxy": killed_behind_proxy,
    "fast-open": fast_open,
    "cut-off": cut_off,
    "snaplen-96": snaplen_96,
}


def main() -> None:
    match sys.argv[1:]:
        case ["serve", port, log]:
            asyncio.run(serve(int(port), log))
        case ["connect", uri, log, how]:
            asyncio.run(connect(uri, log, how))
        case ["connect-fast", port, log]:
            asyncio.run(connect_fast(int(port), log))
        case names:
            for name in names or RECORDINGS:
                RECORDINGS[name]()


if __name__ == "__main__":
    main()
