"""DNS of a daemon that probes a great deal, beside DNS of one that does not. Called by `run`."""

import ipaddress
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

# As the server of `probes serve` has it.
SITE_PORT = 18_080
FIRST_SITE = ipaddress.IPv4Address("127.1.0.1")
# Targets, and milliseconds between two probes of one.
STORMS = [(10_000, 1000), (1_000, 100)]
SECONDS = 5
# Alternating, so that a machine that slows down does so for both.
ROUNDS = 6
# Far from saturation, as servers of names are run.
DNS_RATE = 10_000
DOMAINS = 1_000
POOLS = 100
# The first round, and the connections of all tripwires.
WARM_UP = 4


class Daemon:
    """A daemon whose pools have `targets` addresses together, probed every `interval`."""

    def __init__(self, program, number, directory, targets, interval):
        self.dns = f"127.42.{number}.1:5353"
        admin = f"127.0.0.1:{18_200 + number}"
        config = pathlib.Path(directory) / f"rhumb-{number}.toml"
        each = targets // POOLS
        pools = "".join(
            f'[pool.p{pool}]\nhealth_check = "web"\nanswers = 1\naddress = ['
            + ", ".join(
                f'{{ name = "a{n}", ip = "{FIRST_SITE + pool * each + n}", port = {SITE_PORT} }}' for n in range(each)
            )
            + "]\n"
            for pool in range(POOLS)
        )
        domains = "".join(
            f'[[domain]]\nname = "w{n:07}.gslb.example"\npools = ["p{n % POOLS}"]\n' for n in range(DOMAINS)
        )
        config.write_text(
            f'[server]\nlisten = ["{self.dns}"]\nworkers = 1\nstate_dir = "{directory}/state-{number}"\nwatch = false\n'
            f"rate_limit = {{ responses_per_second = 0 }}\n"
            f'[admin]\nlisten = "{admin}"\n[log]\nlevel = "warn"\n'
            f'[health_check.web]\ntype = "http"\npath = "/health"\ninterval = "{interval}"\ntimeout = "90ms"\n'
            f"reuse = true\n"
            f'[[zone]]\nname = "gslb.example"\nnameservers = ["ns.example.net"]\ncontact = "a.example.net"\n'
            f"{pools}{domains}"
        )
        self.process = subprocess.Popen([program, "serve", "--config", config])
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://{admin}/readyz", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline, "it does not become ready"
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def dns(load, daemon):
    command = [load, "--to", daemon.dns, "--rate", str(DNS_RATE), "--seconds", str(SECONDS), "--names", str(DOMAINS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def storm(program, load, targets, interval):
    with tempfile.TemporaryDirectory() as directory:
        probing = Daemon(program, 1, directory, targets, f"{interval}ms")
        resting = Daemon(program, 2, directory, targets, "1h")
        try:
            time.sleep(WARM_UP)
            print(f"{targets:,} targets every {interval} ms, DNS at {DNS_RATE:,} queries/s of the daemon that")
            found = {"probes": [], "rests": []}
            for turn in range(2 * ROUNDS):
                which = ["probes", "rests"][(turn + turn // 2) % 2]
                report = dns(load, probing if which == "probes" else resting)
                found[which].append(report)
                latency = {key: value for key, value in report.items() if "p" in key or "lost" in key}
                print(f"  {which:6}  {latency}", flush=True)
            for key in [key for key in found["probes"][0] if "p50" in key or "p99" in key]:
                medians = [statistics.median(report[key] for report in found[which]) for which in ("probes", "rests")]
                print(f"  {key}: {medians[0]:.1f} to {medians[1]:.1f}: {medians[0] / medians[1]:.3f}")
        finally:
            probing.stop()
            resting.stop()


def main(program, load, probes):
    sites = subprocess.Popen([probes, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert sites.stdout.readline() == "ready\n"
        for targets, interval in STORMS:
            storm(program, load, targets, interval)
    finally:
        sites.kill()
        sites.wait()


main(*sys.argv[1:])
