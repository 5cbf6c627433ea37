// A menu at a button: arrow keys, Escape, and a tap beside it, as people know it.

import { h } from "./dom";

export interface MenuItem {
  label: string;
  act: () => void;
  /** Shown apart and in red. */
  danger?: boolean;
}

const GAP = 6;

/** Opens a menu; the focus goes back to the button when it closes. */
export function openMenu(anchor: HTMLElement, label: string, items: MenuItem[], className = ""): void {
  const buttons = items.map(({ label, act, danger }) =>
    h(
      "button",
      {
        type: "button",
        role: "menuitem",
        tabindex: -1,
        class: danger ? "danger" : undefined,
        on: {
          click: () => {
            menu.hidePopover();
            act();
          },
        },
      },
      label,
    ),
  );
  const key = anchor.closest("article")?.dataset["key"];
  const again = key ? `article[data-key="${CSS.escape(key)}"]` : "#composer";
  const menu = h("div", { class: `menu ${className}`, role: "menu", "aria-label": label, popover: "auto" }, ...buttons);
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") menu.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    buttons.at(to % buttons.length)?.focus();
  });
  menu.addEventListener("toggle", (event) => {
    if ((event as ToggleEvent).newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    const had = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    // a message may have been shown anew meanwhile, and its buttons with it
    if (had) (anchor.isConnected ? anchor : document.querySelector<HTMLElement>(again))?.focus();
  });
  // a dialog is above everything, but for what is in it
  (anchor.closest("dialog") ?? document.body).append(menu);
  anchor.setAttribute("aria-expanded", "true");
  menu.showPopover();
  place(menu, anchor);
  buttons[0]?.focus();
}

/** Under the button, or above it where there is no room; never outside the window. */
function place(menu: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = at.bottom + GAP;
  const top = below + height > innerHeight - GAP ? Math.max(GAP, at.top - GAP - height) : below;
  menu.style.top = `${top}px`;
  menu.style.left = `${Math.max(GAP, Math.min(at.right - width, innerWidth - width - GAP))}px`;
}
