// The driver behind `make bench`: every case on every server, the servers taking turns, medians and their ratios.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, resolve } from "node:path";
import { CASES, MEMORY_CONNECTIONS, WARM_UP, memoryArgs } from "./cases.mjs";
import { parseOptions } from "./options.mjs";
import { microLines, printMemory, printTable, verdict } from "./report.mjs";
import { build, hubbubBin, root, start, startChat } from "./servers.mjs";

const options = parseOptions();
if (options.build) {
  build(options.servers);
}
const result = {
  at: new Date().toISOString(),
  machine: { cores: cpus().length, cpu: cpus()[0]?.model },
  rounds: options.rounds,
  seconds: options.seconds,
  cases: await runCases(),
  memory: options.parts.includes("memory") ? await runMemory() : [],
  micro: options.parts.includes("micro") ? await runMicro() : [],
};
const file = resolve(root, options.json);
mkdirSync(dirname(file), { recursive: true });
printTable(result.cases);
printMemory(result.memory, options.servers);
microLines(result.micro);
result.verdict = verdict(result, options);
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(`\n${result.verdict.text}\nEvery run in full: ${file}`);
process.exit(result.verdict.ok ? 0 : 1);

/** Runs the load cases; returns `[{part, name, unit, aims, runs: {server: [report, ...]}}]`. */
async function runCases() {
  const chosen = CASES.filter(({ part }) => options.parts.includes(part));
  if (chosen.length === 0) {
    return [];
  }
  const servers = [];
  const isChat = ({ part }) => part === "chat";
  const chatServers = chosen.some(isChat) ? await startChat(options.servers) : [];
  for (const name of chosen.every(isChat) ? [] : options.servers) {
    servers.push(await start(name));
    if (name === "socketioxide" && chosen.some(({ isBusy }) => isBusy)) {
      servers.push(await start("socketioxide-roomy"));
    }
  }
  const results = chosen.map(({ part, name, unit, aims }) => ({ part, name, unit, aims, runs: {} }));
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, { part, name, args, value, isBusy }] of chosen.entries()) {
      const these = part === "chat" ? chatServers : servers;
      for (const server of these.filter((server) => isBusy || server.name !== "socketioxide-roomy")) {
        console.error(`round ${round + 1} of ${options.rounds}: ${name}: ${server.name}`);
        const report = await bench(server, ["--duration", options.seconds, ...args]);
        const runs = (results[index].runs[server.name] ??= []);
        runs.push({ value: value(report), report });
      }
    }
  }
  await Promise.all([...servers, ...chatServers].map((server) => server.stop()));
  return results;
}

/** Memory of many connections, on a fresh and warmed server each; returns `[{connections, runs: {server: report}}]`. */
async function runMemory() {
  const results = [];
  for (const connections of options.quick ? MEMORY_CONNECTIONS.slice(0, 1) : MEMORY_CONNECTIONS) {
    const runs = {};
    for (const name of options.servers) {
      console.error(`memory of ${connections} connections: ${name}`);
      const server = await start(name);
      await bench(server, WARM_UP);
      runs[name] = await bench(server, memoryArgs(connections));
      await server.stop();
    }
    results.push({ connections, runs });
  }
  return results;
}

/** One run of the generator: its JSON report. A run that measures nothing ends the process. */
async function bench(server, args) {
  const fixed = ["bench", server.url, "--json", "--progress", "off", "--pid", server.pid];
  const { code, stdout } = await capture(hubbubBin, [...fixed, ...(server.args ?? []), ...args].map(String));
  if (code !== 0) {
    console.error(`hubbub bench against ${server.name} failed with exit code ${code}`);
    process.exit(1);
  }
  return JSON.parse(stdout);
}

/** The benches inside the process: what they print as one JSON object a line. */
async function runMicro() {
  console.error("$ cargo bench --workspace --bench chain");
  const { code, stdout } = await capture("cargo", ["bench", "--workspace", "--bench", "chain"]);
  if (code !== 0) {
    console.error(`cargo bench failed with exit code ${code}`);
    process.exit(1);
  }
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}

function capture(program, args) {
  return new Promise((done, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const stopChild = () => child.kill();
    process.once("exit", stopChild);
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.on("error", reject);
    child.on("close", (code) => {
      process.removeListener("exit", stopChild);
      done({ code, stdout });
    });
  });
}
