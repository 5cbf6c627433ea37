// The moderators' panel: what waits for review, what is in force, the rules, and what was done.

import type { AuditEntry, Held, Moderation, Rule, Sanction } from "../model/moderation";
import { Refusal } from "../model/refusal";
import type { Session } from "../model/session";
import { clock, duration, full } from "../model/time";
import { openDialog, openForm, type Field } from "./dialog";
import { fill, freshId, h } from "./dom";

interface Tab {
  title: string;
  load: () => Promise<Node[]>;
}

export function openPanel(session: Session, moderation: Moderation): void {
  const panel = new Panel(session, moderation);
  const { element } = openDialog("Moderation", () => panel.nodes, "panel");
  element.addEventListener("close", () => panel.end());
}

class Panel {
  readonly #session: Session;
  readonly #moderation: Moderation;
  readonly #body = h("div", { class: "panel-body", role: "tabpanel", id: freshId("panel"), tabindex: 0 });
  readonly #tabs: { tab: Tab; button: HTMLButtonElement }[];
  #now = 0;
  #open = true;
  readonly #ears: (() => void)[];

  constructor(session: Session, moderation: Moderation) {
    this.#session = session;
    this.#moderation = moderation;
    const tabs: Tab[] = [
      { title: "Review", load: async () => this.#held(await moderation.queue()) },
      { title: "In force", load: async () => this.#sanctions(await moderation.sanctions()) },
      { title: "Rules", load: async () => this.#rules(await moderation.rules()) },
      { title: "Log", load: async () => this.#audit(await moderation.audit()) },
    ];
    this.#tabs = tabs.map((tab, n) => {
      const button = h("button", { type: "button", role: "tab", id: freshId("tab"), "aria-controls": this.#body.id, on: { click: () => this.#show(n) } });
      button.textContent = tab.title;
      return { tab, button };
    });
    this.#ears = [
      // loading the queue says `changed` itself
      moderation.on("changed", () => this.#now !== 0 && this.#refresh()),
      session.on("other", (name) => (name === "mod:held" || name === "mod:decided") && this.#now === 0 && this.#refresh()),
    ];
    this.#show(0);
  }

  get nodes(): Node[] {
    const key = (event: KeyboardEvent): void => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      this.#show((this.#now + step + this.#tabs.length) % this.#tabs.length);
      this.#tabs[this.#now]?.button.focus();
    };
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Moderation", on: { keydown: key } }, ...this.#tabs.map(({ button }) => button));
    return [list, this.#body];
  }

  end(): void {
    this.#open = false;
    this.#ears.forEach((stop) => stop());
  }

  #show(n: number): void {
    this.#now = n;
    this.#tabs.forEach(({ button }, at) => {
      button.setAttribute("aria-selected", String(at === n));
      button.tabIndex = at === n ? 0 : -1;
    });
    this.#body.setAttribute("aria-labelledby", this.#tabs[n]?.button.id ?? "");
    fill(this.#body, h("p", { class: "quiet" }, "Loading…"));
    this.#refresh();
  }

  #refresh(): void {
    const n = this.#now;
    if (!this.#open) return;
    this.#tabs[n]?.tab
      .load()
      .then((nodes) => n === this.#now && fill(this.#body, ...nodes))
      .catch((error: unknown) => {
        if (n === this.#now) fill(this.#body, h("p", { class: "form-error" }, error instanceof Refusal ? error.text : "That could not be loaded."));
      });
  }

  /** A button that does something on the node, and shows what became of it. */
  #button(label: string, act: () => Promise<void>, className = "text-button"): HTMLButtonElement {
    const click = (): void => {
      button.disabled = true;
      act()
        .catch((error: unknown) => this.#session.notice(error instanceof Refusal ? error.text : "That did not work.", "bad"))
        .finally(() => this.#refresh());
    };
    const button = h("button", { type: "button", class: className, on: { click } }, label);
    return button;
  }

  #held(items: Held[]): Node[] {
    if (items.length === 0) return [nothing("Nothing waits for review.")];
    const rows = items.map((item) =>
      h(
        "li",
        { class: "row" },
        h("p", { class: "row-head" }, h("strong", {}, item.from.name ?? item.from.user ?? "Somebody"), ` in ${item.room ?? "a direct message"}, ${clock(item.time_ms)}`),
        h("p", { class: "text", dir: "auto" }, item.text),
        h("p", { class: "quiet hint" }, `Rule: ${item.rule}`),
        h(
          "p",
          { class: "row-acts" },
          this.#button("Approve", () => this.#moderation.approve(item), "secondary"),
          this.#button("Decline", () => this.#moderation.decline(item), "secondary danger"),
        ),
      ),
    );
    return [h("ul", { class: "rows" }, ...rows)];
  }

  #sanctions(sanctions: Sanction[]): Node[] {
    if (sanctions.length === 0) return [nothing("Nobody is muted or banned.")];
    const rows = sanctions.map((one) => {
      const until = one.until_ms ? `for another ${duration(one.until_ms - Date.now())}` : "until it is lifted";
      return h(
        "li",
        { class: "row" },
        h("p", { class: "row-head" }, h("span", { class: `tag ${one.kind}` }, one.kind), " ", h("strong", {}, this.#who(one)), ` ${place(one.room)}, ${until}`),
        one.reason !== undefined && h("p", {}, one.reason),
        h("p", { class: "row-acts" }, h("span", { class: "quiet hint" }, `by ${this.#session.nameOf(one.by)}, ${full(one.time_ms)}`), this.#button("Lift", () => this.#moderation.lift(one), "secondary")),
      );
    });
    return [h("ul", { class: "rows" }, ...rows)];
  }

  #rules({ rules, slow }: { rules: Rule[]; slow: Record<string, number> }): Node[] {
    const rows = rules.map((rule) =>
      h(
        "li",
        { class: rule.off ? "row off" : "row" },
        h("p", { class: "row-head" }, h("span", { class: "tag" }, rule.kind), " ", h("strong", {}, rule.name), rule.action !== undefined && `: ${actionText(rule.action)}`),
        rule.words !== undefined && h("p", { class: "words" }, rule.words.slice(0, 30).join(", "), rule.words.length > 30 && ` and ${rule.words.length - 30} more`),
        h(
          "p",
          { class: "row-acts" },
          h("span", { class: "quiet hint" }, rule.off ? "taken away" : rule.source === "config" ? "from the config" : "set by a moderator"),
          rule.kind === "words" && !rule.off && h("button", { type: "button", class: "secondary", on: { click: () => this.#editWords(rule) } }, "Change"),
          rule.off || rule.source === "moderators"
            ? this.#button(rule.off ? "Put back" : "Reset", () => this.#moderation.resetRule(rule.name), "secondary")
            : this.#button("Take away", () => this.#moderation.removeRule(rule.name), "secondary danger"),
        ),
      ),
    );
    const slowRooms = Object.entries(slow).map(([room, seconds]) => `${room}: one message every ${duration(seconds * 1000)}`);
    return [
      h("p", { class: "row-acts" }, h("button", { type: "button", class: "primary", on: { click: () => this.#editWords() } }, "New word rule")),
      rows.length > 0 ? h("ul", { class: "rows" }, ...rows) : nothing("There are no rules."),
      h("p", { class: "quiet hint" }, slowRooms.length > 0 ? `Slow mode. ${slowRooms.join("; ")}` : "No room is slow."),
    ];
  }

  #editWords(rule?: Rule): void {
    const actions: [string, string][] = [
      ["mask", "Mask the words"],
      ["reject", "Refuse the message"],
      ["hold", "Hold it for review"],
      ["shadow", "Show it to its author alone"],
    ];
    const modes: [string, string][] = [
      ["whole", "Whole words"],
      ["prefix", "Beginnings of words"],
      ["anywhere", "Anywhere in words"],
    ];
    const fields: Field[] = [
      { name: "name", label: "Name", value: rule?.name, required: true, maxlength: 64 },
      { name: "words", label: "Words", value: rule?.words?.join(", "), required: true, hint: "With commas between. They are found in disguise, too." },
      { name: "mode", label: "Where", options: modes, value: rule?.mode ?? "whole" },
      { name: "action", label: "What to do", options: actions, value: typeof rule?.action === "string" ? rule.action : "mask" },
    ];
    openForm(rule ? "Change the rule" : "New word rule", fields, { label: "Save" }, async ({ name = "", words = "", mode = "", action = "" }) => {
      const list = words.split(",").map((word) => word.trim()).filter(Boolean);
      await this.#moderation.setWords(name.trim(), list, mode, action);
      this.#refresh();
    });
  }

  #audit(entries: AuditEntry[]): Node[] {
    if (entries.length === 0) return [nothing("Nothing was done yet.")];
    const rows = entries.map((entry) =>
      h(
        "li",
        { class: "row slim" },
        h("time", { class: "quiet", datetime: new Date(entry.time_ms).toISOString(), title: full(entry.time_ms) }, clock(entry.time_ms)),
        h("span", { class: "tag" }, entry.act),
        h("span", {}, [this.#who(entry), entry.room && place(entry.room), entry.rule && `rule ${entry.rule}`, entry.name, entry.by && `by ${this.#session.nameOf(entry.by)}`, entry.reason].filter(Boolean).join(" · ")),
      ),
    );
    return [h("ol", { class: "rows" }, ...rows)];
  }

  #who({ user, socket }: { user?: string; socket?: string }): string {
    return user ? this.#session.nameOf(user) : socket ? "a client without a user" : "";
  }
}

/** Slow mode of a room. */
export function openSlow(session: Session, moderation: Moderation, room: string): void {
  const options: [string, string][] = [
    ["0", "Off"],
    ["5", "5 seconds"],
    ["30", "30 seconds"],
    ["300", "5 minutes"],
  ];
  openForm(`Slow mode of ${room}`, [{ name: "seconds", label: "Between two messages of one member", options, value: "5" }], { label: "Set" }, async ({ seconds }) => {
    await moderation.slow(room, Number(seconds));
    session.notice(Number(seconds) ? `${room} is slow now.` : `${room} is no longer slow.`, "good");
  });
}

function nothing(text: string): HTMLElement {
  return h("p", { class: "empty quiet" }, text);
}

function place(room: string | undefined): string {
  return room ? `in ${room}` : "everywhere";
}

function actionText(action: string | { mute: { seconds: number } }): string {
  return typeof action === "string" ? action : `mute for ${duration(action.mute.seconds * 1000)}`;
}
