// What is measured, and what the aims are.

import { TEXT } from "./chat.mjs";

export const PARTS = ["closed", "fixed", "busy", "echo", "chat", "connect", "memory", "micro"];

/** Deliveries a second of the fixed-rate cases. */
const FIXED_DELIVERIES = 40_000;

/** Connections for each size of a room: enough rooms to be no single one, few enough for a second's connecting. */
const CONNECTIONS = { 10: 400, 100: 1000, 1000: 1000 };

const NODE_AIM = 2.5;

const broadcast = (size, ...rest) => ["--connections", CONNECTIONS[size], "--room-size", size, ...rest];

/** A chat's servers take no other fields than their own: the generator's mark is the client's id of a message. */
const CHAT = ["--text", TEXT, "--mark-field", "client_id", "--ack"];

const perCpu = (report) => report.deliveries_per_cpu_second;

/**
 * The load cases. `aims`: what Hubbub's `value` should be at least, as a multiple of that server's.
 * Each run's arguments are those of `hubbub bench`. In a busy room socketioxide as it is shipped drops what goes beyond
 * 128 packets, so that its senders wait in vain and its load falls: there its roomy form is measured as well.
 */
export const CASES = [
  ...[10, 100, 1000].map((size) => ({
    part: "closed",
    name: `rooms of ${size}, closed loop`,
    unit: "deliveries/CPU-s",
    args: broadcast(size),
    value: perCpu,
    aims: { socketioxide: 1.2, node: NODE_AIM },
  })),
  ...[10, 100, 1000].map((size) => ({
    part: "fixed",
    name: `rooms of ${size}, 40,000 deliveries/s`,
    unit: "deliveries/CPU-s",
    args: broadcast(size, "--rate", FIXED_DELIVERIES / size),
    value: perCpu,
    aims: { socketioxide: 1.6, node: NODE_AIM },
  })),
  {
    part: "busy",
    name: "one room of 200, all busy senders",
    unit: "deliveries/CPU-s",
    args: ["--connections", 200, "--room-size", 200, "--senders", 200],
    value: perCpu,
    isBusy: true,
    aims: { socketioxide: 3, node: NODE_AIM },
  },
  {
    part: "busy",
    name: "one room of 1000, 200 busy senders",
    unit: "deliveries/CPU-s",
    args: ["--connections", 1000, "--room-size", 1000, "--senders", 200],
    value: perCpu,
    isBusy: true,
    aims: { socketioxide: 3, node: NODE_AIM },
  },
  {
    part: "echo",
    name: "echo with ack, 100 connections",
    unit: "acks/CPU-s",
    args: ["--mode", "echo", "--namespace", "/echo", "--connections", 100],
    value: perCpu,
    aims: { socketioxide: 1.3 },
  },
  ...[10, 100].map((size) => ({
    part: "chat",
    name: `the whole chat, rooms of ${size}`,
    unit: "deliveries/CPU-s",
    args: broadcast(size, ...CHAT),
    value: perCpu,
    aims: { node: 2 },
  })),
  {
    part: "connect",
    name: "connect and disconnect, 50 at a time",
    unit: "connections/CPU-s",
    args: ["--mode", "connect", "--connections", 50],
    value: (report) => report.connections.per_cpu_second,
    aims: {},
  },
];

/** What warms a fresh server before its memory is measured. */
export const WARM_UP = ["--connections", 300, "--room-size", 10, "--duration", 2];

/** Idle connections whose memory is measured, each on fresh servers; the quick form takes the first only. */
export const MEMORY_CONNECTIONS = [6000, 15000];

/** Bytes that an idle connection of Hubbub's should cost at most. */
export const MEMORY_AIM_BYTES = 3500;

/**
 * One namespace, one room joined; then traffic in which every connection sends once at least and receives ten times as
 * much. Memory is read before the first connection, after the last join, and after the traffic.
 */
export function memoryArgs(connections) {
  const [rate, seconds] = [1000, Math.ceil(connections / 1000) + 1];
  const traffic = ["--senders", connections, "--rate", rate, "--duration", seconds, "--warmup", 0];
  return ["--connections", connections, "--room-size", 10, ...traffic];
}
