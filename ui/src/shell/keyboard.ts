/** Keys: those of the page here, those of a view where it says them. */

import { VIEWS, go } from "../state/address";
import { openHelp } from "./help";
import { toggleLanguage, toggleTheme } from "./settings";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

let ofView: Keys = {};

/** Let a view have keys of its own, until the next one does. */
export function setKeys(keys: Keys): void {
  ofView = keys;
}

const EVERYWHERE: Keys = {
  "?": openHelp,
  t: toggleTheme,
  L: toggleLanguage,
  "/": () => document.getElementById("picker")?.focus(),
  n: () => nextPanel(1),
  p: () => nextPanel(-1),
  ...Object.fromEntries(
    VIEWS.map((view, index) => [
      String(index + 1),
      () => go({ view, span: null, prices: null, cell: null }, true),
    ]),
  ),
};

/** Move to the next panel; from there Tab goes on. */
function nextPanel(step: number): void {
  const panels = [...document.querySelectorAll<HTMLElement>(".panel")];
  const here = panels.findIndex((panel) => panel.contains(document.activeElement));
  panels[(here + step + panels.length) % panels.length]?.focus();
}

export function listen(): void {
  addEventListener("keydown", (event) => {
    const at = event.target as HTMLElement;
    const typing = at.matches("input:not([type=range]), select, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const ranged = at.matches("input[type=range]") && event.key.startsWith("Arrow");
    const action = ranged ? undefined : (ofView[event.key] ?? EVERYWHERE[event.key]);
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}
