// Dialogs: the browser's own, which keeps the focus inside and closes by Escape.

import { Refusal } from "../model/refusal";
import { fill, freshId, h, iconButton } from "./dom";

export interface Dialog {
  element: HTMLDialogElement;
  close(): void;
}

/** Opens a dialog with a title; it is gone when it closes. */
export function openDialog(title: string, body: (dialog: Dialog) => Node[], className = ""): Dialog {
  const heading = freshId("dialog");
  const element = h("dialog", { class: `dialog ${className}`, "aria-labelledby": heading });
  const dialog = { element, close: () => element.close() };
  const head = h("header", {}, h("h2", { id: heading }, title), iconButton("close", "Close", dialog.close));
  fill(element, head, ...body(dialog));
  element.addEventListener("close", () => element.remove());
  element.addEventListener("click", (event) => {
    if (event.target === element) element.close();
  });
  document.body.append(element);
  element.showModal();
  return dialog;
}

export interface Field {
  name: string;
  label: string;
  value?: string;
  hint?: string;
  type?: "text" | "password";
  maxlength?: number;
  required?: boolean;
  /** A choice instead of a text. */
  options?: [value: string, label: string][];
  /** The field is there only while this holds. */
  when?: (values: Record<string, string>) => boolean;
}

/** A dialog with fields. It closes when `submit` went well; a refusal is shown in it. */
export function openForm(
  title: string,
  fields: Field[],
  action: { label: string; danger?: boolean },
  submit: (values: Record<string, string>) => Promise<void>,
  intro?: string,
): Dialog {
  return openDialog(title, (dialog) => {
    const error = h("p", { class: "form-error", role: "alert" });
    const rows = fields.map((field, n) => ({ field, row: row(field, n === 0) }));
    const button = h("button", { class: action.danger ? "primary danger" : "primary", type: "submit" }, action.label);
    const values = (): Record<string, string> => Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, String(value)]));
    const form = h(
      "form",
      {
        on: {
          input: () => refresh(),
          submit: (event) => {
            event.preventDefault();
            error.textContent = "";
            button.disabled = true;
            submit(values())
              .then(dialog.close)
              .catch((thrown: unknown) => {
                error.textContent = thrown instanceof Refusal ? thrown.text : "That did not work.";
              })
              .finally(() => (button.disabled = false));
          },
        },
      },
      intro !== undefined && h("p", { class: "quiet" }, intro),
      ...rows.map(({ row }) => row),
      error,
      h("footer", {}, h("button", { type: "button", on: { click: dialog.close } }, "Cancel"), button),
    );
    const refresh = (): void => {
      const now = values();
      for (const { field, row } of rows) {
        const shown = field.when?.(now) ?? true;
        row.hidden = !shown;
        row.querySelector("input")?.toggleAttribute("disabled", !shown);
      }
    };
    refresh();
    return [form];
  });
}

function row({ name, label, value, hint, type = "text", maxlength, required, options }: Field, isFirst: boolean): HTMLElement {
  const id = freshId("field");
  const described = hint ? `${id}-hint` : undefined;
  const input = options
    ? h("select", { id, name, autofocus: isFirst, "aria-describedby": described }, ...options.map(([v, text]) => h("option", { value: v, selected: v === value }, text)))
    : h("input", { id, name, type, value, maxlength, required, autofocus: isFirst, autocomplete: "off", "aria-describedby": described });
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint !== undefined && h("p", { class: "hint", id: described }, hint),
  );
}
