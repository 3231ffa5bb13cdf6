"""The classic pcap file header (draft-ietf-opsawg-pcap); its records are walked by `wsaudit.kernel.records`."""

from __future__ import annotations

from struct import unpack_from
from typing import NamedTuple

from wsaudit.capture.magic import PCAP_MAGICS
from wsaudit.kernel.records import PcapWalker

HEADER_SIZE = 24


class PcapHeader(NamedTuple):
    """`fcs_length` is how many bytes of frame check sequence end each packet, None if the file does not say."""

    big_endian: bool
    nano: bool
    modified: bool
    snaplen: int
    linktype: int
    fcs_length: int | None

    @classmethod
    def parse(cls, head: bytes) -> PcapHeader:
        """Read the first HEADER_SIZE bytes of a file, which start with one of PCAP_MAGICS."""
        big_endian, nano, modified = PCAP_MAGICS[head[:4]]
        snaplen, linktype = unpack_from(">2I" if big_endian else "<2I", head, 16)
        # The upper half of the link type: 4 bits length of the FCS in 16-bit units, a reserved bit, the bit that says the length
        # is valid.
        fcs_length = (linktype >> 28) * 2 if linktype & 1 << 26 else None
        return cls(big_endian, nano, modified, snaplen, linktype & 0xFFFF, fcs_length)

    def walker(self, input_base: int) -> PcapWalker:
        """What walks the records behind this header. The modified format adds 8 bytes to each record's header."""
        return PcapWalker(self.big_endian, self.nano, 24 if self.modified else 16, self.linktype, input_base)
