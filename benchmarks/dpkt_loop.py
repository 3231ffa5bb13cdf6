"""The least that a Python program with dpkt does: read every packet, parse it, count the TCP payload. No streams, no frames."""

import sys

import dpkt

packets = payload = 0
with open(sys.argv[1], "rb") as file:
    for _, data in dpkt.pcap.Reader(file):
        packets += 1
        tcp = dpkt.ethernet.Ethernet(data).data
        tcp = getattr(tcp, "data", None)
        if isinstance(tcp, dpkt.tcp.TCP):
            payload += len(tcp.data)
print(packets, payload)
