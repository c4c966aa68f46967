"""Probes of rhumb and checks of HAProxy against one small server, in turns. Called by `run`."""

import ipaddress
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PORT = 18_080
FIRST = ipaddress.IPv4Address("127.1.0.1")
LOADS = [(10_000, 1000), (1_000, 100)]
SECONDS = int(os.environ.get("SECONDS_PER_MEASUREMENT", "15"))
WARM_UP = 6


def cpu_seconds(pid):
    """What the scheduler has charged all threads of a process."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmRSS")


def rhumb(program, targets, interval, mode):
    command = [program, "probe", str(targets), str(interval), str(SECONDS), mode]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=90).stdout)


def haproxy(targets, interval):
    servers = "\n".join(
        f"    server s{n} {FIRST + n}:{PORT} check inter {interval} fastinter {interval} downinter {interval}"
        for n in range(targets)
    )
    config = f"""
global
    nbthread 1
    maxconn 1000
    spread-checks 0
defaults
    mode http
    timeout connect 500ms
    timeout client 1s
    timeout server 1s
    timeout check 500ms
backend checked
    option httpchk GET /health
    http-check expect status 200-299
{servers}
frontend none
    bind 127.0.0.1:18081
    default_backend checked
"""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(config)
        file.flush()
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", file.name], stderr=subprocess.DEVNULL)
        try:
            time.sleep(WARM_UP)
            spent, began = cpu_seconds(process.pid), time.monotonic()
            time.sleep(SECONDS)
            spent, took = cpu_seconds(process.pid) - spent, time.monotonic() - began
            # HAProxy does not count its checks; all were due.
            probes = targets * took / (interval / 1000)
            return {"cpu_us": spent / probes * 1e6, "core": spent / took, "rss_mib": resident_mib(process.pid)}
        finally:
            process.kill()
            process.wait()


def main():
    program = sys.argv[1]
    server = subprocess.Popen([program, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        print("| load | who | CPU per probe | ratio | of a core | late p50 | late p99 | memory | per target | failed |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for targets, interval in LOADS:
            load = f"{targets:,} every {interval} ms"
            peer = haproxy(targets, interval)
            row = [load, "HAProxy", f"{peer['cpu_us']:.1f} µs", "1", f"{peer['core']:.0%}", "", ""]
            print("|", " | ".join([*row, f"{peer['rss_mib']:.0f} MiB", "", ""]), "|", flush=True)
            for mode, what in [
                ("close", "rhumb, no tripwire"),
                ("wire", "rhumb"),
                ("keep", "rhumb, `reuse = true`"),
            ]:
                own = rhumb(program, targets, interval, mode)
                row = [load, what, f"{own['cpu_us']:.1f} µs", f"{own['cpu_us'] / peer['cpu_us']:.2f}"]
                row += [f"{own['core']:.0%}", f"{own['late_p50_ms']:.1f} ms", f"{own['late_p99_ms']:.1f} ms"]
                row += [f"{own['rss_mib']:.0f} MiB", f"{own['bytes_per_target']:,} B"]
                row += [f"{own['failed']:,} of {own['probes']:,}"]
                print("|", " | ".join(row), "|", flush=True)
                time.sleep(1)
    finally:
        server.kill()
        server.wait()


main()
