// What of the bench runs, and for how long: the command line.

import { parseArgs } from "node:util";
import { PARTS } from "./cases.mjs";

export const SERVERS = ["hubbub", "socketioxide", "node"];

const HELP = `usage: tests/bench/run [options]

Builds and starts Hubbub, a socketioxide server and a Node socket.io server, loads each in turn with \`hubbub bench\`,
and prints what they did and the ratios between them.

  --quick            one round of 2 s each, and 6,000 idle connections only: a look, no measurement
  --only PARTS       of ${PARTS.join(", ")} (comma-separated)
  --servers NAMES    of ${SERVERS.join(", ")} (comma-separated)
  --rounds N         rounds, the servers taking turns in each; the median counts (default 3)
  --seconds S        measured seconds of each run (default 5)
  --no-build         use what is built
  --strict           exit with 1 also when an aim is missed, not only when Hubbub loses or disorders
  --json FILE        where the result goes (default target/bench/result.json)

HUBBUB_BIN and PEER_SOCKETIOXIDE_BIN name other binaries than those in target/release.`;

/** Parses the command line; ends the process on --help and on what is wrong. */
export function parseOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", default: PARTS.join(",") },
        servers: { type: "string", default: SERVERS.join(",") },
        rounds: { type: "string" },
        seconds: { type: "string" },
        "no-build": { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
        json: { type: "string", default: "target/bench/result.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  return {
    parts: list("--only", values.only, PARTS),
    servers: list("--servers", values.servers, SERVERS),
    rounds: number("--rounds", values.rounds ?? (values.quick ? "1" : "3")),
    seconds: number("--seconds", values.seconds ?? (values.quick ? "2" : "5")),
    quick: values.quick,
    build: !values["no-build"],
    strict: values.strict,
    json: values.json,
  };
}

function list(flag, text, known) {
  const names = text.split(",").filter(Boolean);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined || names.length === 0) {
    fail(`${flag} is of ${known.join(", ")}, not ${unknown ?? "nothing"}`);
  }
  return known.filter((name) => names.includes(name));
}

function number(flag, text) {
  const value = Number(text);
  if (!(value >= 1 && value <= 3600)) {
    fail(`${flag} is a number from 1 to 3600, not ${text}`);
  }
  return value;
}

function fail(text) {
  console.error(`${text}\n\n${HELP}`);
  process.exit(2);
}
