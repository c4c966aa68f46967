#!/usr/bin/python3
"""Passes packets on between the interfaces `near` and `eth0`, those towards `near` later: by as many
milliseconds as the last line of the input said, at first by none."""

import collections
import select
import socket
import sys
import time

EVERY_PROTOCOL = 3
SOL_PACKET, PACKET_VNET_HDR = 263, 15
PACKET_OUTGOING = 4


def interface(name):
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    # In front of each packet stands what its sender left for the hardware to do, checksums above all.
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    packets.bind((name, 0))
    return packets


def main():
    near, far = interface("near"), interface("eth0")
    delay, late = 0.0, collections.deque()
    print("done", flush=True)
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        ready, _, _ = select.select([near, far, sys.stdin], [], [], wait)
        if near in ready:
            packet, place = near.recvfrom(70_000)
            if place[2] != PACKET_OUTGOING:
                far.send(packet)
        if far in ready:
            packet, place = far.recvfrom(70_000)
            if place[2] != PACKET_OUTGOING:
                late.append((time.monotonic() + delay, packet))
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            delay = int(line) / 1000
            print("done", flush=True)
        while late and late[0][0] <= time.monotonic():
            near.send(late.popleft()[1])


main()
