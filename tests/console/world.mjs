// A small world for the console: sites, a daemon that steers between them, and clients that ask.

import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

/** How long anything may take before the test gives up on it: no measure of the program. */
export const PATIENCE = 60000;

/** Alice may do everything, Bob may look, and Carol may order the state of one pool. */
export const TOKENS = { alice: token(), bob: token(), carol: token() };
const MAY = { alice: "edit", bob: "read", carol: ["operate", "s?d*"] };

/** Networks of countries in the embedded database, and how much they ask. */
const CLIENTS = [
  ["14.160.0.0", 9], ["80.128.0.0", 7], ["12.0.0.0", 6], ["1.128.0.0", 3], ["177.0.0.0", 2], ["49.96.0.0", 5],
];

/** Where sites stand, and how many addresses each has. */
const SITES = {
  hanoi: { place: '{ country = "VN" }', addresses: { "alb-1": 3, "alb-2": 1 }, policy: "weighted" },
  frankfurt: { place: "{ latitude = 50.1, longitude = 8.7 }", addresses: { "lb-a": 1, "lb-b": 1, "lb-c": 1 } },
  virginia: { place: "{ latitude = 38.9, longitude = -77.5 }", addresses: { "nlb-1": 1, "nlb-2": 1 } },
  saopaulo: { place: '{ country = "BR" }', addresses: { edge: 1 } },
  sydney: { place: "{ latitude = -33.9, longitude = 151.2 }", addresses: { "edge-1": 1, "edge-2": 1 } },
};

const DOMAINS = {
  "www.ai.example.com": ["nearest", ["hanoi", "frankfurt", "virginia", "saopaulo", "sydney"], "5s"],
  "api.ai.example.com": ["nearest", ["frankfurt", "virginia", "sydney"], "5s"],
  "chat.ai.example.com": ["hash", ["hanoi", "sydney"], "10s"],
  "login.ai.example.com": ["priority", ["virginia", "frankfurt"], "2s"],
  "static.ai.example.com": ["priority", ["static-cdn"], "1m"],
};

function token() {
  return randomBytes(32).toString("hex");
}

/** Waits until `ask` gives something, and returns it. */
export async function eventually(what, ask) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** Starts all of it. `end()` ends it, whatever has happened. */
export async function begin(rhumb) {
  // An address of 127.0.0.0/8 that no other test has, one of millions by chance.
  const random = (from, to) => from + Math.floor(Math.random() * (to - from));
  const net = `127.${random(16, 255)}.${random(0, 256)}`;
  const directory = mkdtempSync(path.join(tmpdir(), "rhumb-console-"));
  const own = `${net}.1`;
  const servers = new Map();
  let next = 10;
  const pools = Object.entries(SITES).map(([name, { place, addresses, policy = "round-robin" }]) => {
    const list = Object.entries(addresses).map(([address, weight]) => {
      const ip = `${net}.${next++}`;
      servers.set(`${name}/${address}`, { ip, server: null });
      return `{ name = "${address}", ip = "${ip}", port = 8080, weight = ${weight} }`;
    });
    return `[pool.${name}]\nlocation = ${place}\npolicy = "${policy}"\nhealth_check = "web"\naddress = [${list.join(", ")}]\n`;
  });
  const domains = Object.entries(DOMAINS).map(([name, [policy, of, ttl]]) => (
    `[[domain]]\nname = "${name}"\npolicy = "${policy}"\npools = ${JSON.stringify(of)}\nttl = "${ttl}"\n`));
  const holders = Object.entries(TOKENS).map(([name, secret]) => {
    const [role, pools = ""] = [MAY[name]].flat();
    return `${name} ${role} sha256:${createHash("sha256").update(secret).digest("hex")} ${pools}\n`;
  });
  writeFileSync(path.join(directory, "tokens"), holders.join(""), { mode: 0o600 });
  const config = path.join(directory, "rhumb.toml");
  writeFileSync(config, `
[server]
listen = ["${own}:5300"]
workers = 1
rate_limit = { responses_per_second = 0 }
state_dir = "${directory}/state"

[admin]
listen = "${own}:8053"
token_file = "${directory}/tokens"

[[zone]]
name = "ai.example.com"
nameservers = ["ns1.ai.example.com"]
contact = "hostmaster.example.com"
negative_ttl = "1s"
record = [{ name = "ns1", type = "A", data = "${own}" }]

[health_check.web]
type = "http"
path = "/health"
interval = "500ms"
timeout = "500ms"

${pools.join("\n")}
[pool.static-cdn]
policy = "weighted"
address = [{ name = "cdn", cname = "rhumb.cdn.example.net" }]

${domains.join("\n")}`);

  const revive = (name) => new Promise((resolve, reject) => {
    const site = servers.get(name);
    site.server = http.createServer((_, response) => response.end("well\n"));
    site.server.once("error", reject).listen(8080, site.ip, resolve);
  });
  const kill = (name) => {
    const { server } = servers.get(name);
    server.close();
    server.closeAllConnections();
  };
  // The one in Brazil is down from the start.
  for (const name of servers.keys()) if (name !== "saopaulo/edge") await revive(name);

  const daemon = spawn(rhumb, ["serve", "--config", config], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [daemon.stdout, daemon.stderr]) stream.on("data", (text) => { log += text; });
  let status = null;
  daemon.on("exit", (code) => { status = code ?? -1; });
  const asking = ask(own);
  const end = async () => {
    asking.end();
    if (status === null) {
      const ended = new Promise((resolve) => { daemon.once("exit", resolve); });
      daemon.kill("SIGKILL");
      await ended;
    }
    for (const [name, { server }] of servers) if (server?.listening) kill(name);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await eventually("the daemon to be ready", () => {
      if (status !== null) throw new Error(`the daemon has ended: ${log}`);
      return /\bready\b/.test(log);
    });
  } catch (error) {
    await end();
    throw error;
  }
  return { base: `http://${own}:8053`, ip: (name) => servers.get(name).ip, kill, revive, end, log: () => log, dig: (name, subnet) => dig(own, name, subnet) };
}

/** What a client of that network is given, sorted. */
async function dig(server, name, subnet) {
  const given = ["-r", `@${server}`, "-p", "5300", "+short", "+tries=2", "+time=2", `+subnet=${subnet}`, name, "A"];
  const text = await new Promise((resolve, reject) => {
    execFile("dig", given, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  return text.split("\n").filter(Boolean).sort();
}

/** Asks as clients of many countries do, so that there is a flow to see. */
function ask(server) {
  const socket = dgram.createSocket("udp4");
  socket.on("error", () => {});
  const queries = Object.keys(DOMAINS).flatMap((name, position) => CLIENTS.flatMap(([network, many]) => (
    Array(many * (5 - position)).fill(query(name, network)))));
  let at = 0;
  const timer = setInterval(() => {
    for (let count = 0; count < 8; count += 1) {
      // In another order than they are in, so that a second has a bit of each.
      at = (at + 37) % queries.length;
      socket.send(queries[at], 5300, server);
    }
  }, 20);
  return { end: () => { clearInterval(timer); socket.close(); } };
}

/** A query for an A record with a client subnet (RFC 1035 section 4.1, RFC 7871 section 6). */
function query(name, network) {
  const head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  const question = [...labels, 0, 0, 1, 0, 1];
  const subnet = [0, 8, 0, 7, 0, 1, 24, 0, ...network.split(".").slice(0, 3).map(Number)];
  const edns = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, subnet.length, ...subnet];
  return Buffer.from([...head, ...question, ...edns]);
}
