// The servers that are measured: built, started on free ports, stopped by their process ids.

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { prepare } from "./chat.mjs";

const here = dirname(fileURLToPath(import.meta.url));
export const root = resolve(here, "../..");

/** Words that the peers' filters look for, as Hubbub's does by hub.toml; the bench's padding holds none of them. */
const WORDS = ["damn", "darn", "heck", "bother", "blast"];

const CHAT_PLUGINS = ["-p", "auth-token", "-p", "chat-rooms", "-p", "moderation"];

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 8_000;

export const hubbubBin = process.env.HUBBUB_BIN ?? join(root, "target/release/hubbub");
const peerBin = process.env.PEER_SOCKETIOXIDE_BIN ?? join(root, "target/release/peer-socketioxide");
const nodePeer = join(root, "tests/peers/node");

/** What starts each peer. The roomy one is socketioxide with a client's buffer so large that it loses nothing. */
const PEERS = {
  socketioxide: [peerBin],
  "socketioxide-roomy": [peerBin, "--buffer", "100000"],
  node: [process.execPath, join(nodePeer, "server.mjs")],
};

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(130));
}

/** Builds what the chosen servers need; ends the process when that fails. */
export function build(servers) {
  // one selection for all builds: others would build wasmtime again with other features
  command("cargo", ["build", "--release", "--workspace", "--bins"]);
  if (servers.includes("hubbub")) {
    const plugins = ["-p", "rooms", "-p", "word-filter", "-p", "echo", "-p", "pass", ...CHAT_PLUGINS];
    command("cargo", ["build", "--profile", "plugin", "--target", "wasm32-wasip2", ...plugins]);
  }
  if (servers.includes("node") && !existsSync(join(nodePeer, "node_modules"))) {
    command("npm", ["ci", "--no-audit", "--no-fund"], nodePeer);
  }
}

/** Runs a command in the foreground; ends the process when it fails. */
export function command(program, args, cwd = root) {
  console.error(`$ ${program} ${args.join(" ")}`);
  const { status, error } = spawnSync(program, args, { cwd, stdio: ["ignore", 2, 2] });
  if (error || status !== 0) {
    console.error(`${program} failed${error ? `: ${error.message}` : ` with exit code ${status}`}`);
    process.exit(1);
  }
}

/** Starts a server by name and waits until it answers: `{name, url, pid, stop()}`. */
export async function start(name) {
  if (name === "hubbub") {
    return startHubbub(join(here, "hub.toml"));
  }
  const [program, ...args] = PEERS[name];
  const child = launch(name, program, [...args, "--words", WORDS.join(",")], "pipe");
  const { port } = await firstLine(child, name);
  return server(name, child, port);
}

/** The servers of the chat case, as far as they were chosen. Their `args` are for the generator. */
export async function startChat(names) {
  const { config, words, auth, secret } = prepare(root);
  const servers = [];
  if (names.includes("hubbub")) {
    servers.push(await startHubbub(config));
  }
  if (names.includes("node")) {
    const child = launch("node", process.execPath, [join(nodePeer, "chat.mjs"), "--words", words, "--secret", secret], "pipe");
    const { port } = await firstLine(child, "node");
    servers.push(server("node", child, port));
  }
  return servers.map((server) => ({ ...server, args: ["--auth-file", auth] }));
}

async function startHubbub(config) {
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const child = launch("hubbub", hubbubBin, ["serve", "--config", config, "--listen", listen], "ignore");
  await answers("hubbub", `http://${listen}/readyz`);
  return server("hubbub", child, port);
}

function server(name, child, port) {
  return { name, url: `http://127.0.0.1:${port}`, pid: child.pid, stop: () => stop(child) };
}

function launch(name, program, args, stdout) {
  const child = spawn(program, args, { cwd: root, stdio: ["ignore", stdout, "inherit"] });
  running.add(child);
  child.on("error", (error) => {
    console.error(`${name} cannot be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (running.delete(child) && !child.isStopping) {
      console.error(`${name} ended early: ${signal ?? `exit code ${code}`}`);
      process.exit(1);
    }
  });
  return child;
}

async function stop(child) {
  child.isStopping = true;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  await ended;
  clearTimeout(timer);
}

function firstLine(child, name) {
  const timer = setTimeout(() => notReady(name, "it printed no port"), START_DEADLINE_MS);
  return new Promise((done) => {
    createInterface({ input: child.stdout }).once("line", (line) => {
      clearTimeout(timer);
      done(JSON.parse(line));
    });
  });
}

async function answers(name, url) {
  const until = Date.now() + START_DEADLINE_MS;
  while (Date.now() < until) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
    if (answer?.ok) {
      return;
    }
    await new Promise((next) => setTimeout(next, 50));
  }
  notReady(name, `no 200 from ${url}`);
}

function notReady(name, why) {
  console.error(`${name} was not ready after ${START_DEADLINE_MS / 1000} s: ${why}`);
  process.exit(1);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
