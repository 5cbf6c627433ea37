// Elements in one call. Text is always text: nothing here reads HTML.

type Value = string | number | boolean | null | undefined;
type Child = Node | string | number | false | null | undefined;
type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
type Props = { on?: Handlers } & { [name: string]: Value | Handlers | undefined };

/** An element; `true` sets an empty attribute, `false` and `undefined` none. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value as Handlers)) element.addEventListener(event, handler as EventListener);
    } else if (value !== false && value !== undefined && value !== null) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...present(children));
  return element;
}

/** Makes these the element's only children. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...present(children));
}

function present(children: Child[]): (Node | string)[] {
  return children.flatMap((child) => (child === false || child === null || child === undefined ? [] : [typeof child === "number" ? String(child) : child]));
}

/** A number that no other element's id has. */
export function freshId(stem: string): string {
  counter += 1;
  return `${stem}-${counter}`;
}
let counter = 0;

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  menu: "M4 7h16M4 12h16M4 17h16",
  people: "M15.5 19v-1.5a4 4 0 0 0-4-4h-4a4 4 0 0 0-4 4V19M9.5 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6M20.5 19v-1.5a4 4 0 0 0-3-3.87M15.5 4.13a3 3 0 0 1 0 5.74",
  hash: "M5 9.5h15M4 14.5h15M10 4 8 20M16 4l-2 16",
  lock: "M6.5 11h11a1.5 1.5 0 0 1 1.5 1.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5v-6A1.5 1.5 0 0 1 6.5 11M8 11V8a4 4 0 0 1 8 0v3",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M8.5 14.2s1.2 1.8 3.5 1.8 3.5-1.8 3.5-1.8M9 9.5v.01M15 9.5v.01",
  reply: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6v1",
  more: "M12 12v.01M5.5 12v.01M18.5 12v.01",
  shield: "M12 3.5 5 6v5.5c0 4.3 3 7.5 7 9 4-1.5 7-4.7 7-9V6z",
  out: "M14 5h-7.5A1.5 1.5 0 0 0 5 6.5v11A1.5 1.5 0 0 0 6.5 19H14M10.5 12H20M16.5 8.5 20 12l-3.5 3.5",
  down: "M6 9.5l6 6 6-6",
} as const;

export type Icon = keyof typeof ICONS;

/** A picture that says nothing to who cannot see it: its button has the words. */
export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows a picture and says words. */
export function iconButton(name: Icon, label: string, onClick: (event: MouseEvent) => void, props: Props = {}): HTMLButtonElement {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click: onClick }, ...props }, icon(name));
}
