"""The servers that are compared: how each is told the same 1,000 names, and how it is started.

All answer for gslb.example: w0000000 and on, one A record by the client's continent."""

import os
import signal
import socket
import struct
import subprocess
import time

import geoip2

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ZONE = "gslb.example"
# Site, its address, its place, and the continents that it serves; the first is for all others.
SITES = [
    ("us", "192.0.2.1", "US", ["NA"]),
    ("de", "192.0.2.2", "DE", ["EU", "AF"]),
    ("sg", "192.0.2.3", "SG", ["AS", "OC"]),
    ("br", "192.0.2.4", "BR", ["SA"]),
]
ADDRESS_OF = {continent: address for _, address, _, served in SITES for continent in served}
DEFAULT = SITES[0][1]
TTL = 5
# The core of the server, and that of the load.
SERVER_CORE, LOAD_CORE = 0, 1
# How long a server may take to answer its first query.
START = 60


def names(count):
    return [f"w{number:07}" for number in range(count)]


class Server:
    """A running server, on its own port, in its own folder."""

    def __init__(self, name, port, arguments, folder):
        self.name, self.port = name, port
        self.log = os.path.join(folder, "log")
        began = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(SERVER_CORE), *arguments],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )
        while ask(port, "w0000000." + ZONE) is None:
            if self.process.poll() is not None or time.monotonic() - began > START:
                self.stop()
                with open(self.log, errors="replace") as log:
                    raise RuntimeError(f"{name} does not answer:\n{log.read()[-2000:]}")
        self.started_in = time.monotonic() - began
        with open(f"/proc/{self.pid}/stat") as account:
            # utime and stime, behind the name, which may hold anything.
            ticks = account.read().rpartition(")")[2].split()[11:13]
        self.start_cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    @property
    def pid(self):
        return self.process.pid

    def memory(self):
        """Resident octets."""
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def echo(folder, port, programs):
    return Server("echo", port, [programs["echo"], f"127.0.0.1:{port}"], folder)


def rhumb(folder, port, programs, databases=None, domains=1000, admin=8054):
    write(folder, "rhumb.toml", rhumb_configuration(folder, port, databases or [country()], domains, admin))
    return Server("rhumb", port, [programs["rhumb"], "serve", "--config", "rhumb.toml"], folder)


def rhumb_configuration(folder, port, databases, domains, admin):
    parts = [
        f'[server]\nlisten = ["127.0.0.1:{port}"]\nworkers = 1\nstate_dir = "{folder}/state"\n',
        # In force, as in service, but above what one client can ask here.
        "[server.rate_limit]\nresponses_per_second = 1000000\n",
        f'[admin]\nlisten = "127.0.0.1:{admin}"\n',
        f"[geoip]\ndatabases = {databases!r}\n",
        f'[[zone]]\nname = "{ZONE}"\nnameservers = ["ns1.{ZONE}"]\ncontact = "hostmaster.{ZONE}"\n',
        '[[zone.record]]\nname = "ns1"\ntype = "A"\ndata = ["127.0.0.1"]\n',
    ]
    for site, address, place, served in SITES:
        serves = ", ".join(f'"continent:{continent}"' for continent in served)
        parts.append(
            f'[pool.{site}]\nlocation = {{ country = "{place}" }}\nserves = [{serves}]\n'
            f'[[pool.{site}.address]]\nname = "a"\nip = "{address}"\n'
        )
    pools = ", ".join(f'"{site}"' for site, *_ in SITES)
    for name in names(domains):
        parts.append(f'[[domain]]\nname = "{name}.{ZONE}"\npolicy = "nearest"\npools = [{pools}]\nttl = {TTL}\n')
    return "\n".join(parts)


def gdnsd(folder, port, _):
    for below in ("geoip", "zones", "run", "state"):
        os.makedirs(os.path.join(folder, below), exist_ok=True)
    sites = ", ".join(site for site, *_ in SITES)
    first = {continent: site for site, _, _, served in SITES for continent in served}
    served = "\n".join(f"      {continent} => [{site}]" for continent, site in first.items())
    addresses = ", ".join(f"{site} => {address}" for site, address, *_ in SITES)
    write(folder, "config", f"""
options => {{ listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1
  run_dir => {folder}/run, state_dir => {folder}/state }}
plugins => {{ geoip => {{
  maps => {{ world => {{ geoip2_db => {geoip2_database()}, datacenters => [{sites}], map => {{
{served}
  }} }} }}
  resources => {{ www => {{ map => world, dcmap => {{ {addresses} }} }} }}
}} }}
""")
    records = "".join(f"{name} {TTL} DYNA geoip!www\n" for name in names(1000))
    write(folder, f"zones/{ZONE}", master_file() + records)
    return Server("gdnsd", port, ["gdnsd", "-c", folder, "start"], folder)


def knot(folder, port, _):
    write(folder, "knot.conf", f"""
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    edns-client-subnet: on
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
mod-geoip:
  - id: world
    config-file: "{folder}/geo.conf"
    ttl: {TTL}
    mode: geodb
    geodb-file: "{geoip2_database()}"
    geodb-key: continent/code
zone:
  - domain: {ZONE}
    storage: "{folder}"
    file: zone
    zonefile-load: whole
    journal-content: none
    module: mod-geoip/world
""")
    rules = "".join(f'  - geo: "{continent}"\n    A: {address}\n' for continent, address in ADDRESS_OF.items())
    rules += f'  - geo: "*"\n    A: {DEFAULT}\n'
    write(folder, "geo.conf", "".join(f"{name}.{ZONE}:\n{rules}" for name in names(1000)))
    records = "".join(f"{name} {TTL} A {DEFAULT}\n" for name in names(1000))
    write(folder, "zone", master_file() + records)
    return Server("knot", port, ["knotd", "-c", f"{folder}/knot.conf"], folder)


def pdns(folder, port, _):
    sites = "".join(
        f"    {continent.lower()}.site.{ZONE}:\n    - a: {address}\n"
        for continent, address in [*ADDRESS_OF.items(), ("other", DEFAULT)]
    )
    services = "".join(f"    {name}.{ZONE}: ['%cn.site.{ZONE}', 'other.site.{ZONE}']\n" for name in names(1000))
    write(folder, "geo.yaml", f"""domains:
- domain: {ZONE}
  ttl: {TTL}
  records:
    {ZONE}:
    - soa: ns1.{ZONE} hostmaster.{ZONE} 1 14400 3600 1209600 5
    - ns: ns1.{ZONE}
    ns1.{ZONE}:
    - a: 127.0.0.1
{sites}  services:
{services}""")
    # The caches do not know where a client is: the backend's documentation has them off.
    write(folder, "pdns.conf", f"""launch=geoip
geoip-zones-file={folder}/geo.yaml
geoip-database-files=mmdb:{geoip2_database()}
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
edns-subnet-processing=yes
receiver-threads=1
distributor-threads=1
reuseport=no
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
version-string=anonymous
security-poll-suffix=
loglevel=3
""")
    return Server("pdns", port, ["pdns_server", f"--config-dir={folder}", "--guardian=no", "--daemon=no"], folder)


PEERS = {"echo": echo, "rhumb": rhumb, "gdnsd": gdnsd, "knot": knot, "pdns": pdns}


def master_file():
    return (f"$ORIGIN {ZONE}.\n$TTL 3600\n@ SOA ns1 hostmaster 1 14400 3600 1209600 5\n@ NS ns1\n"
            "ns1 A 127.0.0.1\n")


def country():
    return os.path.join(ROOT, "geoip/country.mmdb")


def geoip2_database():
    """The country database in MaxMind's schema, made when it is missing or older."""
    target = os.path.join(ROOT, "target/peers/country-geoip2.mmdb")
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(country()):
        geoip2.convert(country(), target, os.path.join(ROOT, "geoip/countries.csv"))
    return target


def write(folder, file, text):
    with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
        out.write(text)


def ask(port, name, subnet=None):
    """The rcode and the addresses that a server gives a client of a /24; None without a reply."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    option = b""
    if subnet:
        option = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + socket.inet_aton(subnet)[:3]
    opt = struct.pack(">BHHIH", 0, 41, 1232, 0, len(option)) + option
    query = struct.pack(">6H", 4711, 0, 1, 0, 0, 1) + labels + struct.pack(">BHH", 0, 1, 1) + opt
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.02)
        client.connect(("127.0.0.1", port))
        try:
            client.send(query)
            reply = client.recv(4096)
        except (TimeoutError, ConnectionRefusedError):
            return None
    at = 12 + len(labels) + 5
    addresses = set()
    for _ in range(struct.unpack(">H", reply[6:8])[0]):
        # Every owner here is the name asked, as a pointer or written out.
        at += 2 if reply[at] >= 0xC0 else len(labels) + 1
        rtype, _, _, length = struct.unpack(">HHIH", reply[at:at + 10])
        if rtype == 1:
            addresses.add(socket.inet_ntoa(reply[at + 10:at + 10 + length]))
        at += 10 + length
    return reply[3] & 15, addresses
