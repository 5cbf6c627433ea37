// Waiting for something to happen, always with a deadline and a word about what was waited for.

/** How long a check waits for one thing that should happen at once, in milliseconds. */
export const SOON_MS = 10_000;

/** Settles as `promise` does, or rejects after `ms` with a text that names `what`. */
export function within(promise, what, ms = SOON_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return tolerant(Promise.race([promise, late]).finally(() => clearTimeout(timer)));
}

/** A promise that may fail before anybody waits for it: whoever does wait is still told. */
function tolerant(promise) {
  promise.catch(() => {});
  return promise;
}

/** The arguments of the emitter's next event of that name. */
export function once(emitter, name, ms = SOON_MS) {
  return within(new Promise((resolve) => emitter.once(name, (...args) => resolve(args))), `the event ${name}`, ms);
}

/** A promise with its resolve and reject outside. */
export function deferred() {
  const it = {};
  it.promise = tolerant(new Promise((resolve, reject) => Object.assign(it, { resolve, reject })));
  return it;
}

/** Things in the order they came, and a way to wait for the next one. */
export class Inbox {
  #arrived = [];
  #waiting = [];
  #ended;

  push(item) {
    const first = this.#waiting.shift();
    if (first) first.resolve(item);
    else this.#arrived.push(item);
  }

  /** Nothing more will come: whoever waits, now or later, is told `why`. */
  end(why) {
    this.#ended ??= new Error(why);
    for (const it of this.#waiting.splice(0)) it.reject(this.#ended);
  }

  async next(what = "the next message", ms = SOON_MS) {
    if (this.#arrived.length > 0) return this.#arrived.shift();
    if (this.#ended) throw this.#ended;
    const it = deferred();
    this.#waiting.push(it);
    try {
      return await within(it.promise, what, ms);
    } finally {
      const at = this.#waiting.indexOf(it);
      if (at >= 0) this.#waiting.splice(at, 1);
    }
  }

  async take(count, what = "messages", ms = SOON_MS) {
    const items = [];
    while (items.length < count) items.push(await this.next(`${what} (${items.length + 1} of ${count})`, ms));
    return items;
  }

  /** What has arrived and was not taken. */
  get pending() {
    return [...this.#arrived];
  }
}
