"""What a file is, by its first bytes: a capture, something compressed, or what else instead."""

from __future__ import annotations

import re

PCAP_MAGICS = {
    bytes.fromhex(digits): (big_endian, nano, modified)
    for digits, big_endian, nano, modified in (
        ("a1b2c3d4", True, False, False),
        ("d4c3b2a1", False, False, False),
        ("a1b23c4d", True, True, False),
        ("4d3cb2a1", False, True, False),
        ("a1b2cd34", True, False, True),
        ("34cdb2a1", False, False, True),
    )
}
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")

# Enough bytes for `compression`, and for `describe` (a tar archive has its name at byte 257).
COMPRESSION_HEAD = 10
DESCRIPTION_HEAD = 512

_OTHER_CAPTURES = (
    (b"snoop\0\0\0", "a Solaris snoop capture; convert it with editcap"),
    (b"btsnoop\0", "a Bluetooth HCI log"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture; convert it with editcap"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture; convert it with editcap"),
    (b"TRSNIFF data    \x1a", "a Sniffer capture; convert it with editcap"),
    (b"XCP\0", "a NetXRay or Windows Sniffer capture; convert it with editcap"),
    (b"\x7fver", "a WildPackets capture; convert it with editcap"),
    (b"iptrace 1.0", "an AIX iptrace capture; convert it with editcap"),
    (b"iptrace 2.0", "an AIX iptrace capture; convert it with editcap"),
    (b"\x1c\x00\x01\xac", "an IXIA capture; convert it with editcap"),
    (b"\x1c\x00\x01\xab", "an IXIA capture; convert it with editcap"),
)

_OTHER_FILES = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a Java class or a macOS program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)

_KEY_LOG = rb"(#.*\r?\n|\s)*(CLIENT|SERVER|EXPORTER|EARLY_EXPORTER)_[A-Z0-9_]+ [0-9a-fA-F]{64} "
_TCPDUMP_TEXT = rb"(\d\d\d\d-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (IP|ARP|In|Out|\S+ +(In|Out)) "
_CONTROLS = rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]"


def is_capture(head: bytes) -> bool:
    """Whether a file that starts with `head` (4 bytes are enough) claims to be pcap or pcapng."""
    return head[:4] in PCAP_MAGICS or head[:4] == PCAPNG_MAGIC


def compression(head: bytes) -> str | None:
    """How a file that starts with `head` (COMPRESSION_HEAD bytes) is compressed: gzip, bzip2, xz, zstd, lz4 or None."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\0":
        return "xz"
    # A Zstandard file may start with a skippable frame (RFC 8878 section 3.1.2).
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"
    if head[:4] == b"\x04\x22\x4d\x18":
        return "lz4"
    return None


def describe(head: bytes) -> str:
    """What a file that starts with `head` (DESCRIPTION_HEAD bytes) is, in words that finish "this is ...": "an HTML page"."""
    if not head:
        return "an empty file (0 bytes)"
    packed = compression(head)
    if packed:
        return f"{packed} inside a compressed file; unpack it first"
    for magic, text in _OTHER_CAPTURES + _OTHER_FILES:
        if head.startswith(magic):
            return text
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        inside = " with a capture inside" if re.search(rb"\.(p?cap|pcapng)", head) else ""
        return f"a ZIP archive{inside}; unpack it first"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    if _is_erf(head):
        return "an Endace ERF capture; convert it with editcap"
    return _describe_text(head) or f"unknown binary data (it starts with {head[:8].hex(' ')})"


def _describe_text(head: bytes) -> str | None:
    if re.search(_CONTROLS, head):
        return None
    try:
        head[: max(len(head) - 3, 1)].decode()
    except UnicodeDecodeError as error:
        # The cut may have split the last character.
        if error.start < len(head) - 6:
            return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text[:64].lower()
    if lower.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (was a login or error page downloaded instead of the file?)"
    if lower.startswith(b"<"):
        return "XML or HTML text"
    if text[:1] in (b"{", b"["):
        return "a HAR file (a browser's log, without packets)" if re.match(rb'\{\s*"log"', text) else "JSON text"
    if re.match(_KEY_LOG, text):
        return "a TLS key log"
    if re.match(_TCPDUMP_TEXT, text):
        return "text printed by tcpdump; capture with its -w option"
    if text.startswith(b"#!"):
        return "a script"
    return "text"


def _is_erf(head: bytes) -> bool:
    """ERF has no magic number: two records in a row of one type and less than a day apart are taken for one."""
    if len(head) < 16:
        return False
    step = int.from_bytes(head[10:12], "big")
    following = head[step : step + 16]
    if step < 16 or len(following) < 16 or head[8] & 0x7F == 0 or head[8] != following[8]:
        return False
    seconds = int.from_bytes(following[4:8], "little") - int.from_bytes(head[4:8], "little")
    return 0 <= seconds < 86_400 and int.from_bytes(head[4:8], "little") > 0
