// What the driver prints: a table of medians with ratios and aims, and the faults.

import { MEMORY_AIM_BYTES } from "./cases.mjs";

const OURS = "hubbub";

/** The median of numbers. */
export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Prints each case's medians, Hubbub's multiple of the others, and the aim. */
export function printTable(cases) {
  for (const { name, unit, runs } of cases) {
    console.log(`\n${name} (${unit}, median of ${Object.values(runs)[0].length})`);
    for (const server of Object.keys(runs)) {
      const values = runs[server].map(({ value }) => value);
      const spread = `${short(Math.min(...values))} to ${short(Math.max(...values))}`;
      const p99 = median(runs[server].map(({ report }) => report.traffic?.latency_us.p99 ?? report.connections.handshake_us.p99));
      const row = [server.padEnd(18), short(median(values)).padStart(8), `(${spread})`.padEnd(20), `p99 ${(p99 / 1000).toFixed(1)} ms`.padEnd(14)];
      console.log(`  ${row.join(" ")}  ${faultsOf(runs[server]).join("; ") || "no faults"}`);
    }
  }
  const ratios = cases.flatMap(ratiosOf);
  if (ratios.length > 0) {
    console.log("\nHubbub as a multiple of");
    for (const { name, against, ratio, aim, met } of ratios) {
      const goal = aim === undefined ? "" : `aim ${aim}x: ${met ? "met" : "MISSED"}`;
      console.log(`  ${name.padEnd(40)} ${against.padEnd(18)} ${ratio.toFixed(2).padStart(6)}x  ${goal}`);
    }
  }
}

/** Prints the memory of each connection, before and after traffic. */
export function printMemory(memory, servers) {
  if (memory.length === 0) {
    return;
  }
  console.log("\nresident bytes a connection, above a warmed server: one namespace and one room joined / after traffic");
  for (const { connections, runs } of memory) {
    for (const server of servers) {
      const report = runs[server];
      const { ready, after } = report.rss_per_connection_bytes;
      const row = [String(connections).padStart(6), server.padEnd(18), ready.toFixed(0).padStart(8), after.toFixed(0).padStart(8)];
      const aim = server === OURS ? `  aim ${MEMORY_AIM_BYTES}: ${memoryMet(report) ? "met" : "MISSED"}` : "";
      console.log(`  ${row.join(" ")}  ${report.faults.join("; ") || "no faults"}${aim}`);
    }
  }
}

/** Prints what the in-process benches said. */
export function microLines(micro) {
  if (micro.length > 0) {
    console.log("\nin the process (cargo bench --workspace --bench chain)");
    micro.forEach((line) => console.log(`  ${JSON.stringify(line)}`));
  }
}

/** Whether the result is good: no faults of Hubbub's, and with --strict no aim missed. */
export function verdict({ cases, memory }, options) {
  const faults = [
    ...cases.filter(({ runs }) => runs[OURS] && faultsOf(runs[OURS]).length > 0).map(({ name }) => name),
    ...memory.filter(({ runs }) => runs[OURS]?.faults.length > 0).map(({ connections }) => `memory of ${connections}`),
  ];
  const missed = [
    ...cases.flatMap(ratiosOf).filter(({ met }) => met === false).map(({ name, against }) => `${name} against ${against}`),
    ...memory.filter(({ runs }) => runs[OURS] && !memoryMet(runs[OURS])).map(({ connections }) => `memory of ${connections}`),
  ];
  const lines = [
    faults.length === 0 ? "Hubbub lost, doubled and disordered nothing." : `Hubbub had faults in: ${faults.join(", ")}.`,
    missed.length === 0 ? "Every aim that was measured is met." : `Aims missed: ${missed.join(", ")}.`,
  ];
  const measured = options.servers.includes(OURS);
  const ok = faults.length === 0 && (!options.strict || missed.length === 0);
  return { ok, faults, missed, text: measured ? lines.join("\n") : "Hubbub was not measured." };
}

/** Hubbub's multiples in one case. */
function ratiosOf({ name, runs, aims }) {
  const value = (server) => median(runs[server].map((run) => run.value));
  const others = runs[OURS] ? Object.keys(runs).filter((server) => server !== OURS) : [];
  return others.map((against) => {
    const [ratio, aim] = [value(OURS) / value(against), aims[against]];
    return { name, against, ratio, aim, met: aim === undefined ? undefined : ratio >= aim };
  });
}

function memoryMet({ rss_per_connection_bytes: { ready, after } }) {
  return Math.max(ready, after) <= MEMORY_AIM_BYTES;
}

/** The faults of several runs, each kind once: `lost 12`. */
function faultsOf(runs) {
  const kinds = { lost: "lost", duplicates: "twice", out_of_order: "out of order", members_in_other_order: "members in another order", foreign: "foreign", refused: "refused", stalled: "stalled", unsent: "unsent" };
  const sum = (pick) => runs.reduce((total, { report }) => total + (pick(report) ?? 0), 0);
  const found = Object.entries(kinds).map(([key, text]) => [sum((report) => report.traffic?.[key]), text]);
  found.push([sum((report) => report.connections.lost), "connections lost"]);
  found.push([sum((report) => report.connections.failed), "connections failed"]);
  found.push([sum((report) => report.traffic?.lost_with_connections), "lost with their connections"]);
  return found.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`);
}

function short(value) {
  if (!Number.isFinite(value)) {
    return "-";
  }
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)}M` : value >= 1e4 ? `${(value / 1e3).toFixed(0)}k` : value.toFixed(0);
}
