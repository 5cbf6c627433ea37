// What the node or a plugin refused, and how that reads.

import { duration } from "./time";
import type { WireError } from "./wire";

/** A refusal: `code` is the plugin's, where a plugin refused, else the hub's. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
    this.name = "Refusal";
  }

  static of(error: WireError): Refusal {
    const { code, message, data } = { data: undefined, ...(error.reason ?? error) };
    return new Refusal(code, message, data);
  }

  /** One sentence for people. */
  get text(): string {
    return this.#timed ?? TEXTS[this.code] ?? sentence(this.message);
  }

  /** Refusals that say for how long they hold. */
  get #timed(): string | undefined {
    const { wait_ms, until_ms, room, reason } = (this.data ?? {}) as { wait_ms?: number; until_ms?: number; room?: string; reason?: string };
    const until = until_ms ? ` for another ${duration(until_ms - Date.now())}` : "";
    const rest = `${room ? " here" : ""}${until}.${reason ? ` Reason: ${sentence(reason)}` : ""}`;
    if (this.code === "slow_mode" && wait_ms) return `This room is slow. Wait ${duration(wait_ms)}.`;
    if (this.code === "muted") return `You are muted${rest}`;
    if (this.code === "banned") return `You are banned${rest}`;
    return undefined;
  }

  /** Whether the text is at fault: sent again as it is, it is refused again. */
  get isAboutText(): boolean {
    return TEXT_CODES.has(this.code);
  }

  /** Whether the same may go well a moment later. */
  get isPassing(): boolean {
    return PASSING.has(this.code);
  }
}

/** No ack came in time, or the connection went meanwhile. */
export const NO_ANSWER = "no_answer";

const PASSING = new Set([NO_ANSWER, "conflict", "overloaded", "timeout", "unavailable", "store_unavailable", "outcome_unknown"]);

const TEXT_CODES = new Set([
  "word_not_allowed",
  "text_not_allowed",
  "link_not_allowed",
  "invite_not_allowed",
  "too_many_capitals",
  "too_repetitive",
  "too_many_mentions",
  "text_invalid",
  "declined",
]);

const TEXTS: Record<string, string> = {
  [NO_ANSWER]: "The server did not answer in time.",
  not_a_member: "You are not in this room.",
  too_fast: "That was too fast. Wait a moment.",
  too_many_tries: "Too many tries. Wait a minute.",
  password_required: "This room needs a password.",
  password_wrong: "That is not the password.",
  invite_required: "This room is for the invited.",
  invite_invalid: "This invite is unknown, used up or too old.",
  room_full: "This room is full.",
  room_exists: "There is already a room of this name.",
  not_private: "This room is open to everybody: share its name.",
  name_taken: "Somebody in this room has this name.",
  unhandled: "No plugin of this node handles this.",
  overloaded: "The server is busy. Try again.",
  unavailable: "The server is going down.",
  conflict: "Others were faster. Send it again.",
  token_expired: "This token has expired. Get a new one.",
  token_signature: "This token is not signed by anybody this node trusts.",
  token_malformed: "This is not a token.",
  token_missing: "A token is needed here.",
  guests_refused: "Guests are not let in here. Sign in with a token.",
};

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
