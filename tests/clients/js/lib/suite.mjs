// A suite: named checks, one after the other, a line for each, and an exit code.

import { within } from "./wait.mjs";

const CHECK_DEADLINE_MS = 15_000;

/**
 * The server under test: the first argument that is a URL, else HUB_URL. Without one the suite ends with code 2.
 * No slash at its end.
 */
export function targetUrl() {
  const given = process.argv.slice(2).find((argument) => argument.includes("://")) ?? process.env.HUB_URL;
  if (!given) {
    console.error(`usage: node ${process.argv[1]} http://HOST:PORT [--only TEXT]   (or set HUB_URL)`);
    process.exit(2);
  }
  return given.replace(/\/+$/, "");
}

function onlyText() {
  const at = process.argv.indexOf("--only");
  return at < 0 ? "" : process.argv[at + 1];
}

/** What a check is given: where to leave what must be closed when it ends, well or not. */
class Scope {
  #closers = [];

  /** Calls `close` when the check has ended, the last first. */
  defer(close) {
    this.#closers.push(close);
  }

  /** A remark that is printed under the check's line. */
  note(text) {
    this.notes.push(text);
  }

  notes = [];

  async end() {
    for (const close of this.#closers.reverse()) {
      try {
        await close();
      } catch (error) {
        this.note(`while closing: ${error.message}`);
      }
    }
  }
}

export class Suite {
  #name;
  #checks = [];
  #deadlineMs;

  /** The whole suite may take `deadlineMs`; what has not run by then has failed. */
  constructor(name, { deadlineMs }) {
    this.#name = name;
    this.#deadlineMs = deadlineMs;
  }

  check(name, run, { deadlineMs = CHECK_DEADLINE_MS } = {}) {
    this.#checks.push({ name, run, deadlineMs });
  }

  /** Runs the checks, prints, and ends the process: 0 when all are well, 1 else. */
  async run() {
    const failures = [];
    let passed = 0;
    const begin = performance.now();
    const end = begin + this.#deadlineMs;
    for (const event of ["unhandledRejection", "uncaughtException"]) {
      process.on(event, (error) => {
        console.log(`not ok - an error outside of a check's own steps: ${error?.stack ?? error}`);
        failures.push(`outside of a check's own steps: ${error?.message ?? error}`);
      });
    }
    const chosen = this.#checks.filter(({ name }) => name.includes(onlyText()));
    if (chosen.length === 0) {
      console.log(`not ok - ${this.#name}: no check to run`);
      process.exit(1);
    }
    for (const [index, check] of chosen.entries()) {
      const error = await this.#runOne(check, index + 1, Math.min(check.deadlineMs, end - performance.now()));
      if (error) failures.push(check.name);
      else passed++;
    }
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    console.log(`# ${this.#name}: ${passed} of ${chosen.length} checks passed in ${seconds} s`);
    for (const name of failures) console.log(`# failed: ${name}`);
    process.exit(failures.length === 0 ? 0 : 1);
  }

  async #runOne({ name, run }, number, deadlineMs) {
    const scope = new Scope();
    const begin = performance.now();
    let failure;
    try {
      if (deadlineMs <= 0) throw new Error("the suite's time is over");
      await within(run(scope), "the end of this check", deadlineMs);
    } catch (error) {
      failure = error ?? new Error("failed without an error");
    }
    await scope.end();
    const ms = Math.round(performance.now() - begin);
    console.log(`${failure ? "not ok" : "ok"} ${number} - ${name} (${ms} ms)`);
    for (const note of scope.notes) console.log(`  # ${note}`);
    if (failure) console.log(String(failure.stack ?? failure).replace(/^/gm, "    "));
    return failure;
  }
}
