"""Writes a country database with flat records ({"country_code": "VN"}) anew with the records of
MaxMind's schema ({"country": {"iso_code": "VN"}, "continent": {"code": "AS"}}), which gdnsd and
PowerDNS expect. The search tree stays as it is, but for where its leaves point."""

import csv
import os
import struct
import sys

MARKER = b"\xab\xcd\xefMaxMind.com"
# Bits of a record of the search tree, octets that divide the tree from the data.
BITS, DIVIDER = 24, 16


def convert(source, target, countries):
    with open(source, "rb") as database:
        content = database.read()
    body, _, metadata = content.rpartition(MARKER)
    nodes = number(metadata, b"node_count")
    if number(metadata, b"record_size") != BITS:
        sys.exit(f"{source}: its tree has no records of {BITS} bits")
    tree_length = nodes * BITS // 4
    tree, old = body[:tree_length], body[tree_length + DIVIDER:]
    with open(countries, encoding="utf-8") as table:
        rows = csv.DictReader(line for line in table if not line.startswith("#"))
        continents = {row["code"]: row["continent"] for row in rows}

    data, moved, places = bytearray(), {}, {}
    new_tree = bytearray(tree)
    for at in range(0, tree_length, 3):
        record = int.from_bytes(tree[at:at + 3], "big")
        if record <= nodes:
            continue
        if record not in moved:
            code = country(old, record - nodes - DIVIDER)
            if code not in places:
                places[code] = len(data)
                data += place(code, continents.get(code))
            moved[record] = nodes + DIVIDER + places[code]
        new_tree[at:at + 3] = moved[record].to_bytes(3, "big")

    described = mapping({
        "binary_format_major_version": b"\xa1\x02",
        "binary_format_minor_version": b"\xa0",
        "build_epoch": struct.pack(">BBI", 4, 2, number(metadata, b"build_epoch")),
        "database_type": text("GeoLite2-Country"),
        "description": mapping({}),
        "ip_version": bytes([0xA1, number(metadata, b"ip_version")]),
        "languages": b"\x00\x04",
        "node_count": struct.pack(">BI", 0xC4, nodes),
        "record_size": bytes([0xA1, BITS]),
    })
    with open(target + ".new", "wb") as database:
        database.write(new_tree + bytes(DIVIDER) + data + MARKER + described)
    os.replace(target + ".new", target)


def place(code, continent):
    fields = {"country": mapping({"iso_code": text(code)})}
    if continent:
        fields["continent"] = mapping({"code": text(continent)})
    return mapping(fields)


def text(value):
    octets = value.encode()
    assert len(octets) < 29, "longer text has another form"
    return bytes([0x40 | len(octets)]) + octets


def mapping(fields):
    return bytes([0xE0 | len(fields)]) + b"".join(text(key) + value for key, value in fields.items())


def country(data, at):
    """The country code of the flat record at an offset of the data."""
    if data[at] != 0xE1:
        sys.exit("a record of the country database is not a map with one key")
    key, at = string(data, at + 1)
    value, _ = string(data, at)
    if key != "country_code":
        sys.exit(f"a record of the country database has the key {key}")
    return value


def string(data, at):
    """The text at an offset, which may be a pointer to it, and where it ends."""
    control = data[at]
    if control >> 5 == 1:
        size, high = control >> 3 & 3, control & 7
        if size == 3:
            high = 0
        base = (0, 2048, 526336, 0)[size]
        target = base + int.from_bytes(bytes([high]) + data[at + 1:at + 2 + size], "big")
        return string(data, target)[0], at + 2 + size
    length = control & 31
    if control >> 5 != 2 or length >= 29:
        sys.exit("a record of the country database has a value that is not short text")
    return data[at + 1:at + 1 + length].decode(), at + 1 + length


def number(metadata, field):
    at = metadata.index(field) + len(field)
    size, extended = metadata[at] & 31, metadata[at] >> 5 == 0
    return int.from_bytes(metadata[at + 1 + extended:][:size], "big")
