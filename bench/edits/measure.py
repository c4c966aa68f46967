"""Durable edits, and DNS beside a busy API. Called by `run`."""

import asyncio
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SECONDS = 5
# Alternating, so that a machine that slows down does so for both.
ROUNDS = 8
# Answers a second while the API is asked: far from saturation, as servers of names are run.
DNS_RATE = 10_000
API_RATE = 1_000
DOMAINS = 1_000
POOLS = 200


class Daemon:
    """A daemon of its own with its state on disk."""

    def __init__(self, program, number, directory):
        self.dns = f"127.42.{number}.1:5353"
        self.admin = ("127.0.0.1", 18_100 + number)
        self.state = pathlib.Path(directory) / f"state-{number}"
        config = pathlib.Path(directory) / f"rhumb-{number}.toml"
        pools = "".join(
            f'[pool.p{n}]\npolicy = "weighted"\n'
            f'address = [{{ name = "a", ip = "192.0.2.1" }}, {{ name = "b", ip = "192.0.2.2" }}]\n'
            for n in range(POOLS)
        )
        domains = "".join(
            f'[[domain]]\nname = "w{n:07}.gslb.example"\npools = ["p{n % POOLS}"]\n' for n in range(DOMAINS)
        )
        config.write_text(
            f'[server]\nlisten = ["{self.dns}"]\nworkers = 1\nstate_dir = "{self.state}"\nwatch = false\n'
            f"rate_limit = {{ responses_per_second = 0 }}\n"
            f'[admin]\nlisten = "{self.admin[0]}:{self.admin[1]}"\n[log]\nlevel = "warn"\n'
            f'[[zone]]\nname = "gslb.example"\nnameservers = ["ns.example.net"]\ncontact = "a.example.net"\n'
            f"{pools}{domains}"
        )
        self.process = subprocess.Popen([program, "serve", "--config", config])
        asyncio.run(self.ready())

    async def ready(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                status, _ = await Connection(self.admin).ask("GET", "/readyz")
                if status == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, "it does not become ready"
            await asyncio.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


class Connection:
    """One connection that is kept."""

    def __init__(self, address):
        self.address = address
        self.streams = None

    async def ask(self, method, path, body=b""):
        if self.streams is None:
            self.streams = await asyncio.open_connection(*self.address)
        reader, writer = self.streams
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        return int(lines[0].split()[1]), await reader.readexactly(length)


async def edit(daemon, clients):
    """As many clients edit weights, each the next when the last is acknowledged; milliseconds of each edit."""
    took = []
    end = time.monotonic() + SECONDS

    async def client(number):
        connection = Connection(daemon.admin)
        weight = 0
        while time.monotonic() < end:
            weight = weight % 60_000 + 1
            start = time.perf_counter()
            path = f"/v1/pools/p{number % POOLS}/addresses/{'ab'[number // POOLS % 2]}"
            status, content = await connection.ask("PATCH", path, json.dumps({"weight": weight}).encode())
            assert status == 200, content
            took.append((time.perf_counter() - start) * 1e3)

    await asyncio.gather(*map(client, range(clients)))
    return took


async def ask_at_rate(daemon, stop):
    """Asks what consoles and scripts ask, at a rate, until told to stop; how often."""
    paths = ["/v1/pools/p1", "/v1/domains/w0000001.gslb.example", "/v1/edits", "/v1/pools/p2/addresses/a"]
    paths.append("/v1/explain?name=w0000003.gslb.example&client=198.51.100.7")
    connections = [Connection(daemon.admin) for _ in range(16)]
    start, count = time.monotonic(), 0

    async def one(connection, due, path):
        await asyncio.sleep(due - time.monotonic())
        status, content = await connection.ask("GET", path)
        assert status == 200, content

    while not stop.done():
        batch = []
        for connection in connections:
            batch.append(one(connection, start + count / API_RATE, paths[count % len(paths)]))
            count += 1
        await asyncio.gather(*batch)
    return count / (time.monotonic() - start)


def asker(daemon):
    """The same as a process of its own."""
    command = [sys.executable, __file__, "--ask", str(daemon.admin[1])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def dns(load, daemon):
    command = [load, "--to", daemon.dns, "--rate", str(DNS_RATE), "--seconds", str(SECONDS), "--names", str(DOMAINS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main(program, load):
    with tempfile.TemporaryDirectory() as directory:
        asked, other = Daemon(program, 1, directory), Daemon(program, 2, directory)
        try:
            print(f"durable edits of weights, {DOMAINS} domains and {POOLS} pools")
            for clients in [1, 16, 64]:
                took = asyncio.run(edit(other, clients))
                line = f"{len(took) / SECONDS:8.0f} edits/s  p50 {statistics.median(took):6.2f} ms"
                print(f"  {clients:3} clients: {line}  p99 {percentile(took, 0.99):6.2f} ms")
            print(f"DNS at {DNS_RATE} queries/s while the API of this or of another daemon gets {API_RATE} requests/s")
            found = {"this": [], "other": []}
            for turn in range(2 * ROUNDS):
                which = ["this", "other"][(turn + turn // 2) % 2]
                process = asker(asked if which == "this" else other)
                report = dns(load, asked)
                rate, _ = process.communicate("stop\n", timeout=30)
                found[which].append(report)
                latency = {key: value for key, value in report.items() if "p" in key or "lost" in key}
                print(f"  {which:5} {float(rate):6.0f} requests/s  {latency}", flush=True)
            for key in [key for key in found["this"][0] if "p50" in key or "p99" in key]:
                medians = [statistics.median(report[key] for report in found[which]) for which in ("this", "other")]
                print(f"  {key}: {medians[0]:.1f} to {medians[1]:.1f}: {medians[0] / medians[1]:.3f}")
        finally:
            asked.stop()
            other.stop()


async def asked_for(port):
    """Asks until a line comes in."""
    daemon = type("Asked", (), {"admin": ("127.0.0.1", port)})
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    print(await ask_at_rate(daemon, stop))


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        asyncio.run(asked_for(int(sys.argv[2])))
    else:
        main(sys.argv[1], sys.argv[2])
