// Runs the suites against the reference server, each on a server of its own with the settings that it needs:
// proves that a suite asks for nothing that Node's own server does not do. `npm run reference-check [SUITE ...]`.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { start } from "./reference.mjs";

/** The settings of the server for each suite; the README has the same table for the node. */
const SUITES = {
  protocol: { pingInterval: 300, pingTimeout: 200, connectTimeout: 1_000 },
  official: {},
  msgpack: { msgpack: true },
  old: {},
  order: {},
  upgrade: {},
  filter: {},
};

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SUITES);
const failed = [];
for (const name of chosen) {
  console.log(`## ${name}`);
  const server = await start(SUITES[name]);
  const suite = spawn(process.execPath, [fileURLToPath(new URL(`${name}.mjs`, import.meta.url)), server.url], {
    stdio: "inherit",
  });
  const [code] = await once(suite, "exit");
  if (code !== 0) failed.push(name);
  await server.close();
}
console.log(failed.length === 0 ? "## all suites hold against the reference" : `## failed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
