"""Measures servers side by side: see bench/README.md. Prints tables in Markdown, and leaves what
it measured in target/peers/results.json."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import plot
import servers
from servers import LOAD_CORE, PEERS, ROOT, ZONE, Server

FOLDER = os.path.join(ROOT, "target/peers")
# Case, what the load asks, and whether for a client subnet.
CASES = [
    ("hit", "hit", False),
    ("hit, client subnet", "hit", True),
    ("NXDOMAIN", "missing", False),
    ("NXDOMAIN, client subnet", "missing", True),
]
# Rounds, each of which measures every server once, and seconds of each measurement. The median of
# the rounds is told: what else runs on the machine disturbs some of them, not most.
ROUNDS, SECONDS = 11, 0.6
LATENCY_ROUNDS, LATENCY_SECONDS = 5, 1.0
# On a busy machine a server may not get its core for as long as a measurement takes.
ATTEMPTS = 4
# Clients whose answers must be right before anything is measured: one of each continent that is
# served, and one that is in no database.
CLIENTS = {
    "8.8.8.0": "192.0.2.1", "79.192.0.0": "192.0.2.2", "41.0.0.0": "192.0.2.2",
    "113.160.0.0": "192.0.2.3", "1.128.0.0": "192.0.2.3", "200.160.0.0": "192.0.2.4",
    "127.0.0.0": "192.0.2.1",
}
DOMAINS = [1, 1_000, 100_000, 1_000_000]
FLIPS = 1000


def main():
    # So that the servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    programs = json.loads(sys.argv[1])
    parts = sys.argv[2:] or ["peers", "growth", "updates"]
    results_file = os.path.join(FOLDER, "results.json")
    results = {}
    if os.path.exists(results_file):
        with open(results_file) as before:
            results = json.load(before)
    for part in parts:
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        results[part] = {"peers": peers, "growth": growth, "updates": updates}[part](programs)
        results[part]["window"] = f"{began} to " + time.strftime("%H:%M:%S UTC", time.gmtime())
        print(f"\nmeasured {results[part]['window']}\n", flush=True)
        with open(results_file, "w") as out:
            json.dump(results, out, indent=1)
    plot.draw(results, os.path.join(FOLDER, "performance.svg"))


def peers(programs):
    running = []
    try:
        for number, (name, start) in enumerate(PEERS.items()):
            running.append(start(folder(name), 5310 + number, programs))
        for server in running:
            if server.name != "echo":
                check(server)
        return compare(programs["load"], running)
    finally:
        for server in running:
            server.stop()


def check(server):
    for name in ("w0000000", "w0000500", "w0000999"):
        for client, expected in CLIENTS.items():
            answer = servers.ask(server.port, f"{name}.{ZONE}", client)
            if answer != (0, {expected}):
                raise RuntimeError(f"{server.name} tells {client} {answer} for {name}, not {expected}")
        if servers.ask(server.port, f"{name}.{ZONE}") != (0, {servers.DEFAULT}):
            raise RuntimeError(f"{server.name} is wrong without a client subnet")
    if servers.ask(server.port, f"n0000000.{ZONE}", "8.8.8.0") != (3, set()):
        raise RuntimeError(f"{server.name} knows a name that does not exist")


def compare(load, running):
    samples = {(case, server.name): [] for case, *_ in CASES for server in running}
    # The same each time: what one leaves in the caches falls upon all alike.
    order = random.Random(7)
    for _ in range(ROUNDS):
        for case, ask, subnet in CASES:
            for server in order.sample(running, len(running)):
                samples[case, server.name].append(asked(load, server, ask, subnet, SECONDS))
    rates = {key: median(rounds, "per_second") for key, rounds in samples.items()}
    latencies = {key: [] for key in samples}
    for _ in range(LATENCY_ROUNDS):
        for case, ask, subnet in CASES:
            for server in running:
                rate = int(rates[case, server.name] / 2)
                latencies[case, server.name].append(asked(load, server, ask, subnet, LATENCY_SECONDS, rate))
    results = {"cases": {}, "servers": {}}
    for case, *_ in CASES:
        rows = {}
        for server in running:
            own, late = samples[case, server.name], latencies[case, server.name]
            rows[server.name] = {
                "per_second": rates[case, server.name],
                "cpu_ns": median(own, "cpu_ns"),
                "cpu_share": median(own, "cpu_share"),
                "to_echo": ratio(own, samples[case, "echo"]),
                "to_gdnsd": ratio(own, samples[case, "gdnsd"]),
                "half_load_cpu_ns": median(late, "cpu_ns"),
                **{at: median(late, at) for at in ("p50_us", "p99_us", "p999_us")},
                "lost": sum(round_["lost"] for round_ in late) / sum(round_["sent"] for round_ in late),
            }
        results["cases"][case] = rows
    for server in running:
        results["servers"][server.name] = {"memory": server.memory(), "started_in": server.started_in}
    tell_peers(results)
    return results


def tell_peers(results):
    for case, rows in results["cases"].items():
        table(
            f"**{case}**\n\nserver | answers/s | CPU per answer | to echo | to gdnsd | CPU at half load | p50 | "
            "p99 | p99.9 | lost",
            [
                [name, f"{row['per_second']:,.0f}", f"{row['cpu_ns'] / 1e3:.2f} µs", f"{row['to_echo']:.2f}",
                 f"{row['to_gdnsd']:.2f}", f"{row['half_load_cpu_ns'] / 1e3:.1f} µs",
                 *(f"{row[at]:,.0f} µs" for at in ("p50_us", "p99_us", "p999_us")), f"{row['lost']:.1%}"]
                for name, row in rows.items()
            ],
        )
    table(
        "server | memory | start to first answer",
        [[name, mib(row["memory"]), f"{row['started_in']:.2f} s"] for name, row in results["servers"].items()],
    )


def growth(programs):
    databases = {"country": [servers.country()]}
    city = [os.path.join(ROOT, f"geoip/city-ipv{version}.mmdb") for version in (4, 6)]
    if all(map(os.path.exists, city)):
        databases["city"] = city
    else:
        print("no city databases: geoip/fetch --city brings them")
    rows = []
    for database, files in databases.items():
        running = []
        try:
            for number, domains in enumerate(DOMAINS):
                own = folder(f"growth/{domains}")
                running.append(servers.rhumb(own, 5320 + number, programs, files, domains, 8060 + number))
            samples = {(domains, case): [] for domains in DOMAINS for case, *_ in CASES[:2]}
            for _ in range(ROUNDS):
                for case, ask, subnet in CASES[:2]:
                    for server, domains in zip(running, DOMAINS):
                        samples[domains, case].append(
                            asked(programs["load"], server, ask, subnet, 0.5, names=domains))
            for server, domains in zip(running, DOMAINS):
                rows.append({
                    "database": database, "domains": domains,
                    "started_in": server.started_in, "start_cpu": server.start_cpu, "memory": server.memory(),
                    "cpu_ns": {case: median(samples[domains, case], "cpu_ns") for case, *_ in CASES[:2]},
                    "to_1000": {case: ratio(samples[domains, case], samples[1_000, case])
                                for case, *_ in CASES[:2]},
                })
        finally:
            for server in running:
                server.stop()
    table(
        "database | domains | start to first answer | CPU of the start | memory | CPU per answer | to 1,000 | "
        "with client subnet | to 1,000",
        [
            [row["database"], f"{row['domains']:,}", f"{row['started_in']:.2f} s", f"{row['start_cpu']:.2f} s",
             mib(row["memory"]),
             *(cell for case, cpu in row["cpu_ns"].items()
               for cell in (f"{cpu / 1e3:.2f} µs", f"{row['to_1000'][case]:.2f}"))]
            for row in rows
        ],
    )
    shutil.rmtree(os.path.join(FOLDER, "growth"))
    return {"rows": rows}


def updates(programs):
    running = []
    try:
        for number, flips in enumerate((0, FLIPS)):
            port = 5330 + number
            running.append(Server(f"{flips} flips/s", port, [programs["flips"], f"127.0.0.1:{port}", str(flips)],
                                  folder("flips")))
        quiet = running[0]
        rate = median([asked(programs["load"], quiet, "hit", True, SECONDS, names=100_000) for _ in range(3)],
                      "per_second") / 2
        rounds = {server.name: [] for server in running}
        for _ in range(LATENCY_ROUNDS):
            for server in running:
                rounds[server.name].append(
                    asked(programs["load"], server, "hit", True, 2.0, int(rate), names=100_000, thread="udp"))
        rows = {
            name: {at: median(own, at) for at in ("p50_us", "p99_us", "p999_us", "cpu_ns")} | {"rate": rate}
            for name, own in rounds.items()
        }
        table(
            "updates | queries/s | p50 | p99 | p99.9 | CPU per answer of the UDP thread",
            [[name, f"{row['rate']:,.0f}", *(f"{row[at]:,.0f} µs" for at in ("p50_us", "p99_us", "p999_us")),
              f"{row['cpu_ns'] / 1e3:.2f} µs"] for name, row in rows.items()],
        )
        return {"rows": rows}
    finally:
        for server in running:
            server.stop()


def asked(load, server, ask, subnet, seconds, rate=None, names=1000, thread=None):
    command = [load, "--to", f"127.0.0.1:{server.port}", "--seconds", str(seconds), "--names", str(names),
               "--ask", "echo" if server.name == "echo" else ask, "--pid", str(server.pid),
               "--core", str(LOAD_CORE)]
    command += ["--subnet"] if subnet else []
    command += ["--rate", str(rate)] if rate else []
    command += ["--thread", thread] if thread else []
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 20, check=True)
        measured = json.loads(done.stdout)
        if measured["wrong"]:
            raise RuntimeError(f"{server.name}: {measured}")
        if measured["answered"]:
            return measured
    raise RuntimeError(f"{server.name} does not answer any more: {measured}")


def median(rounds, key):
    return statistics.median(round_[key] for round_ in rounds)


def ratio(own, other):
    """The median of the ratios of rounds side by side, which what slows both leaves alone."""
    return statistics.median(a["cpu_ns"] / b["cpu_ns"] for a, b in zip(own, other))


def folder(name):
    path = os.path.join(FOLDER, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def table(head, rows):
    *before, columns = head.split("\n")
    print("\n".join([*before, f"| {columns} |", "|---" * (columns.count("|") + 1) + "|"]))
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def mib(octets):
    return f"{octets / (1 << 20):,.0f} MiB"


if __name__ == "__main__":
    main()
