/** The frame around every view: where one is, what one looks at, and whether it is fresh. */

import { h, fill } from "../dom";
import { clock, lasting, moment } from "../format";
import { VIEWS, type View, address, go } from "../state/address";
import { link, newest, simulated } from "../state/feed";
import { say } from "../text";
import { openHelp } from "./help";
import { settings } from "./settings";
import { picker } from "./picker";

/** The parts of the page that stay. */
export interface Shell {
  element: HTMLElement;
  main: HTMLElement;
}

/** Build the frame; it is built anew when language or theme change. */
export function shell(): Shell {
  const words = say();
  const main = h("main", { id: "view", tabindex: -1 });
  const element = h(
    "div",
    { class: "shell" },
    h("a", { class: "skip", href: "#view", onClick: skip }, words.shell.skip),
    h(
      "header",
      { class: "bar" },
      h(
        "a",
        { class: "brand", href: "?", onClick: leave },
        h("img", { src: "./mark.svg", alt: "", width: 22, height: 22 }),
        h("span", {}, "Plimsoll"),
      ),
      navigation(),
      picker(),
      h("span", { class: "spring" }),
      origin(),
      freshness(),
      settings(),
      h(
        "button",
        { class: "button icon", title: `${words.help.title} (?)`, "aria-label": words.help.title, onClick: openHelp },
        "?",
      ),
    ),
    banner(),
    main,
  );
  return { element, main };
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("view")?.focus();
}

function leave(event: MouseEvent): void {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  go({ view: "market" }, true);
}

function navigation(): HTMLElement {
  const list = h("nav", { class: "views", "aria-label": say().shell.views });
  const show = (): void => fill(list, ...VIEWS.map((view, index) => tab(view, index + 1)));
  show();
  address.subscribe((now, before) => {
    if (now.view !== before.view) show();
  });
  return list;
}

function tab(view: View, number: number): HTMLElement {
  const here = address.value.view === view;
  return h(
    "button",
    {
      class: "tab",
      "aria-current": here ? "page" : null,
      title: `${say().views[view]} (${number})`,
      onClick: () => go({ view, span: null, prices: null, cell: null }, true),
    },
    h("span", { class: "wide" }, say().views[view]),
    h("span", { class: "narrow" }, say().tabs[view]),
  );
}

/** Say that a market is simulated: nobody should take it for a real one. */
function origin(): HTMLElement {
  const words = say().shell;
  const element = h("span", { class: "tag", title: words.simulatedWhy }, words.simulated);
  element.hidden = !simulated.value;
  simulated.subscribe((is) => (element.hidden = !is));
  return element;
}

/** Say how old the newest number is, and whether the server is there. */
function freshness(): HTMLElement {
  const element = h("div", { class: "fresh", role: "status" });
  const show = (): void => {
    const words = say().shell;
    const state = link.value;
    const age = newest.value === null ? null : Date.now() / 1000 - newest.value;
    const old = age !== null && age > 3600;
    element.dataset["state"] = state;
    element.title = newest.value === null ? "" : words.newest(moment(newest.value));
    fill(
      element,
      h("i", { class: "dot" }),
      h("span", {}, words.link[state]),
      newest.value === null
        ? null
        : h(
            "span",
            { class: "age" },
            old ? moment(newest.value) : `${clock(newest.value)} · ${lasting(age)}`,
          ),
    );
  };
  show();
  link.subscribe(show);
  newest.subscribe(show);
  return element;
}

/** Say loudly that the server is gone, and quietly when it is back. */
function banner(): HTMLElement {
  const element = h("div", { class: "banner", role: "alert", hidden: link.value !== "lost" });
  element.textContent = say().shell.lost;
  link.subscribe((state) => {
    element.hidden = state !== "lost";
    element.textContent = state === "lost" ? say().shell.lost : "";
  });
  return element;
}
