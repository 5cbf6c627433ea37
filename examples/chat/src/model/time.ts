// Times as people read them.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });

const DAY_MS = 86_400_000;

export function clock(ms: number): string {
  return CLOCK.format(ms);
}

export function full(ms: number): string {
  return FULL.format(ms);
}

/** A day's name; `midnight` of it tells days apart. */
export function day(ms: number): string {
  const days = Math.round((midnight(Date.now()) - midnight(ms)) / DAY_MS);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(ms);
}

export function midnight(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** `3 minutes`, `2 hours`: rounded to what matters. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const units: [number, string][] = [
    [86_400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ];
  const [size, unit] = units.find(([size]) => seconds >= size) ?? [1, "second"];
  const count = Math.round(seconds / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
