from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.capture.magic import DESCRIPTION_HEAD, compression, describe, is_capture

ERF = b"".join(
    struct.pack("<II", 0, 1_700_000_000 + i) + bytes([2, 4]) + struct.pack(">HHH", 80, 0, 62) + bytes(64) for i in (0, 1)
)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"", "an empty file (0 bytes)"),
        (b"snoop\0\0\0\0\0\0\2", "a Solaris snoop capture"),
        (b"GMBU\0\2", "a Microsoft Network Monitor 2 capture"),
        (ERF, "an Endace ERF capture"),
        (b"PK\x03\x04........dump.pcap", "a ZIP archive with a capture inside; unpack it first"),
        (b"PK\x03\x04........notes.txt", "a ZIP archive; unpack it first"),
        (bytes(257) + b"ustar\0", "a tar archive"),
        (bytes(300), "nothing but zero bytes"),
        (b"\x7fELF\2\1\1", "an ELF program"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\n <!DOCTYPE HTML><html>", "an HTML page"),
        (b"<?xml version='1.0'?>", "XML or HTML text"),
        (b'{"log": {"version": "1.2"', "a HAR file"),
        (b'[{"a": 1}', "JSON text"),
        (b"# made by curl\nCLIENT_RANDOM " + b"0a" * 32 + b" " + b"1b" * 48, "a TLS key log"),
        (b"12:00:00.123456 IP 10.0.0.1.1 > 10.0.0.2.80: Flags [S]", "text printed by tcpdump"),
        (b"#!/bin/sh\n", "a script"),
        (b"\xef\xbb\xbfhello", "text"),
        ("grüße".encode()[:4], "text"),
        (b"\xff\xfeh\0i\0", "UTF-16 text"),
        (b"\x1f\x8b\x08\0", "gzip inside a compressed file"),
        (b"\x01\x02\xff\xfe", "unknown binary data (it starts with 01 02 ff fe)"),
    ],
)
def test_other_files_are_named(head: bytes, text: str) -> None:
    assert describe(head).startswith(text)


@given(st.binary(max_size=DESCRIPTION_HEAD))
def test_anything_has_a_description_in_one_line_of_ascii(head: bytes) -> None:
    text = describe(head)
    assert text
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize("digits", ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a"])
def test_captures_are_known_by_four_bytes(digits: str) -> None:
    assert is_capture(bytes.fromhex(digits) + b"...")
    assert not is_capture(bytes.fromhex(digits)[:3])


def test_text_that_starts_like_bzip2_is_not_compressed() -> None:
    assert compression(b"BZh is a magic") is None
