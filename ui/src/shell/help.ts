/** What can be done from the keyboard and with the pointer. */

import { h } from "../dom";
import { say } from "../text";

let opened: HTMLDialogElement | null = null;

export function openHelp(): void {
  if (opened) return;
  const words = say().help;
  const list = (entries: readonly (readonly [string, string])[]): HTMLElement =>
    h(
      "dl",
      { class: "keys" },
      ...entries.flatMap(([keys, what]) => [
        h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key.replace("_", " ")))),
        h("dd", {}, what),
      ]),
    );
  const close = (): void => dialog.close();
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "help-title" },
    h(
      "header",
      {},
      h("h2", { id: "help-title" }, words.title),
      h("button", { class: "button icon", "aria-label": words.close, onClick: close }, "×"),
    ),
    h(
      "div",
      { class: "help-parts" },
      h("section", {}, h("h3", {}, words.anywhere), list(words.anywhereKeys)),
      h("section", {}, h("h3", {}, words.chart), list(words.chartKeys)),
      h("section", {}, h("h3", {}, words.pointer), list(words.pointerMoves)),
    ),
    h(
      "p",
      { class: "help-foot" },
      h("a", { href: "https://www.tradingview.com/", rel: "noreferrer" }, say().shell.charts),
    ),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    opened = null;
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  opened = dialog;
  dialog.showModal();
}
