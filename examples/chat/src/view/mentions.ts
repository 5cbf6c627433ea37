// Names to choose from while an `@` is being written.

import { fill, freshId, h } from "./dom";
import { avatar } from "./person";

const SHOWN_MAX = 6;
/** What stands behind the `@` that the cursor is in. */
const BEGUN = /(?:^|[^\p{L}\p{N}@])@([^\s@]{0,32})$/u;

export class MentionPicker {
  readonly element = h("ul", { class: "picker", role: "listbox", "aria-label": "Members", id: freshId("picker"), hidden: true });
  readonly #input: HTMLTextAreaElement;
  readonly #names: () => string[];
  #shown: string[] = [];
  #at = 0;

  constructor(input: HTMLTextAreaElement, names: () => string[]) {
    this.#input = input;
    this.#names = names;
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", this.element.id);
    input.addEventListener("input", () => this.#look());
    input.addEventListener("blur", () => this.close());
    // before what these keys do in the message box
    input.addEventListener("keydown", (event) => this.#key(event), { capture: true });
  }

  close(): void {
    this.#show([]);
  }

  #begun(): string | undefined {
    const { value, selectionStart, selectionEnd } = this.#input;
    return selectionStart === selectionEnd ? BEGUN.exec(value.slice(0, selectionStart))?.[1] : undefined;
  }

  #look(): void {
    const begun = this.#begun()?.toLowerCase();
    if (begun === undefined) return this.close();
    const names = this.#names().filter((name) => name.toLowerCase().startsWith(begun));
    // a name that is complete needs no choice: Enter sends
    this.#show(names.some((name) => name.toLowerCase() === begun) ? [] : names.slice(0, SHOWN_MAX));
  }

  #show(names: string[]): void {
    this.#shown = names;
    this.#at = 0;
    this.element.hidden = names.length === 0;
    this.#mark();
  }

  #mark(): void {
    const options = this.#shown.map((name, n) => {
      const choose = (event: Event): void => {
        // the focus stays in the box
        event.preventDefault();
        this.#choose(name);
      };
      const id = `${this.element.id}-${n}`;
      return h("li", { role: "option", id, "aria-selected": String(n === this.#at), on: { pointerdown: choose } }, avatar(name), name);
    });
    fill(this.element, ...options);
    const active = options[this.#at]?.id;
    if (active) this.#input.setAttribute("aria-activedescendant", active);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #key(event: KeyboardEvent): void {
    const chosen = this.#shown[this.#at];
    if (chosen === undefined || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.#at = (this.#at + step + this.#shown.length) % this.#shown.length;
      this.#mark();
    } else if (event.key === "Enter" || event.key === "Tab") this.#choose(chosen);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  #choose(name: string): void {
    const begun = this.#begun();
    if (begun === undefined) return this.close();
    const end = this.#input.selectionStart;
    this.#input.setRangeText(`${name} `, end - begun.length, end, "end");
    this.#input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
