// On narrow windows the lists at both sides are drawers: one at a time, closed by Escape or a tap beside it.

const NARROW = matchMedia("(max-width: 760px)");
const MIDDLE = matchMedia("(max-width: 1080px)");

interface Side {
  element: HTMLElement;
  button: HTMLElement;
  /** While this matches, it is a drawer. */
  drawer: MediaQueryList;
}

export class Drawers {
  readonly #sides: Side[];
  readonly #main: HTMLElement;
  readonly shade = document.createElement("div");
  #open: Side | undefined;

  constructor(rooms: Omit<Side, "drawer">, members: Omit<Side, "drawer">, main: HTMLElement) {
    this.#sides = [
      { ...rooms, drawer: NARROW },
      { ...members, drawer: MIDDLE },
    ];
    this.#main = main;
    this.shade.className = "shade";
    this.shade.addEventListener("click", () => this.close());
    this.#sides.forEach(({ drawer }) => drawer.addEventListener("change", this.#apply));
    document.addEventListener("keydown", this.#key);
    this.#apply();
  }

  toggleRooms(): void {
    this.#toggle(this.#sides[0]);
  }

  toggleMembers(): void {
    const side = this.#sides[1];
    if (side && !side.drawer.matches) {
      side.element.hidden = !side.element.hidden;
      return this.#apply();
    }
    this.#toggle(side);
  }

  close(): void {
    const was = this.#open;
    this.#open = undefined;
    this.#apply();
    if (was?.drawer.matches) was.button.focus();
  }

  end(): void {
    document.removeEventListener("keydown", this.#key);
    this.#sides.forEach(({ drawer }) => drawer.removeEventListener("change", this.#apply));
  }

  #toggle(side: Side | undefined): void {
    if (this.#open === side) return this.close();
    this.#open = side;
    this.#apply();
    side?.element.querySelector<HTMLElement>("button")?.focus();
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !this.#open || document.querySelector("dialog[open], :popover-open.menu")) return;
    this.close();
  };

  /** What cannot be seen cannot be reached by keys either. */
  readonly #apply = (): void => {
    if (this.#open && !this.#open.drawer.matches) this.#open = undefined;
    for (const side of this.#sides) {
      const isOpen = side === this.#open;
      const isDrawer = side.drawer.matches;
      if (isDrawer) side.element.hidden = false;
      side.element.classList.toggle("open", isOpen);
      side.element.inert = isDrawer && !isOpen;
      side.button.setAttribute("aria-expanded", String(isDrawer ? isOpen : !side.element.hidden));
    }
    this.#main.inert = this.#open !== undefined;
    this.shade.classList.toggle("on", this.#open !== undefined);
  };
}
