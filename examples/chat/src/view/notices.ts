// What is told for a moment: shown in a corner, and read out by screen readers.

import type { Tone } from "../model/session";
import { h, iconButton } from "./dom";

const SHOWN_MS = 6000;
const BAD_SHOWN_MS = 12_000;
const NOTICES_MAX = 3;

export class Notices {
  /** Bad news interrupt, others wait until the screen reader has ended its sentence. */
  readonly element = h("div", { class: "notices", popover: "manual" });
  readonly #polite = h("div", { class: "unseen", role: "status" });
  readonly #alert = h("div", { class: "unseen", role: "alert" });

  constructor(parent: HTMLElement) {
    parent.append(this.element, this.#polite, this.#alert);
  }

  show(text: string, tone: Tone): void {
    (tone === "bad" ? this.#alert : this.#polite).textContent = text;
    const notice = h(
      "div",
      { class: `notice ${tone}` },
      h("span", {}, text),
      iconButton("close", "Dismiss", () => this.#remove(notice)),
    );
    this.element.append(notice);
    while (this.element.childElementCount > NOTICES_MAX) this.element.firstElementChild?.remove();
    // shown anew, it lies above a dialog that was opened meanwhile
    if (this.element.matches(":popover-open")) this.element.hidePopover();
    this.element.showPopover();
    setTimeout(() => this.#remove(notice), tone === "bad" ? BAD_SHOWN_MS : SHOWN_MS);
  }

  /** Only reads it out. */
  say(text: string): void {
    this.#alert.textContent = text;
  }

  #remove(notice: HTMLElement): void {
    notice.remove();
    if (this.element.childElementCount === 0 && this.element.matches(":popover-open")) this.element.hidePopover();
  }
}
