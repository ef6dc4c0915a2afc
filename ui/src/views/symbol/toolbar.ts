/** What is shown of a symbol, and how: every choice is in the address. */

import { fill, h } from "../../dom";
import { dollars } from "../../format";
import {
  type Address,
  MODELS,
  PALETTES,
  PANES,
  type Pane,
  RANGES,
  address,
  go,
} from "../../state/address";
import { coinOf, exchangesOf, symbolsOf } from "../../state/markets";
import { say } from "../../text";
import { DRAWN } from "./panes";

/** What a menu may need, pixels. */
const WIDEST = 360;

export interface Toolbar {
  element: HTMLElement;
  update: () => void;
}

/** `top` says in how many dollars the scale of colours ends now. */
export function toolbar(share: () => void, top: () => number): Toolbar {
  const element = h("div", { class: "toolbar", role: "toolbar", "aria-label": say().symbol.toolbar });
  const update = (): void => {
    const held = (document.activeElement as HTMLElement | null)?.dataset["key"];
    const shown = address.value;
    fill(
      element,
      symbolChoice(shown),
      group(say().symbol.range, RANGES.map((range) =>
        press(`range-${range}`, range, shown.range === range, () => go({ range, span: null, prices: null })),
      )),
      exchangeChoice(shown),
      modelChoice(shown),
      menu("look", say().symbol.look, lookChoices(shown, top)),
      menu("panes", say().symbol.panesTitle, paneChoices(shown)),
      h("span", { class: "spring" }),
      press("share", say().symbol.share, false, share, say().symbol.shareWhy),
    );
    if (held) element.querySelector<HTMLElement>(`[data-key="${held}"]`)?.focus();
  };
  update();
  return { element, update };
}

function press(
  key: string,
  text: string,
  on: boolean,
  act: () => void,
  title: string | null = null,
): HTMLElement {
  return h(
    "button",
    { class: "button", "data-key": key, "aria-pressed": String(on), title, onClick: act },
    text,
  );
}

function group(name: string, children: HTMLElement[]): HTMLElement {
  return h("div", { class: "group", role: "group", "aria-label": name }, ...children);
}

/** Choices that open under a button, so that the row stays short. */
function menu(key: string, name: string, children: (HTMLElement | null)[]): HTMLElement {
  const open = document.querySelector<HTMLDetailsElement>(`details[data-menu="${key}"]`)?.open;
  const element = h(
    "details",
    { class: "menu", "data-menu": key, open: open ?? false },
    h("summary", { class: "button", "data-key": `menu-${key}` }, name),
    h("div", { class: "menu-body" }, ...children),
  );
  // One near the right edge opens to the left.
  const turn = (): void => {
    element.classList.toggle("turned", element.getBoundingClientRect().left + WIDEST > innerWidth);
  };
  element.addEventListener("toggle", turn);
  return element;
}

function symbolChoice(shown: Address): HTMLElement {
  const coin = coinOf(shown.symbol);
  const symbols = symbolsOf("open_interest", coin);
  return h(
    "select",
    {
      class: "field strong",
      "data-key": "symbol",
      "aria-label": say().symbol.contract,
      onChange: (event: Event) => {
        const symbol = (event.target as HTMLSelectElement).value;
        go({ symbol, exchanges: [], span: null, prices: null, cell: null });
      },
    },
    h("option", { value: coin, selected: coin === shown.symbol }, say().symbol.allOf(coin)),
    ...symbols.map((name) => h("option", { value: name, selected: name === shown.symbol }, name)),
  );
}

function exchangeChoice(shown: Address): HTMLElement | null {
  const all = exchangesOf(shown.symbol);
  if (all.length < 2) return null;
  const on = shown.exchanges.length ? shown.exchanges : all;
  const toggle = (name: string): void => {
    const next = on.includes(name) ? on.filter((other) => other !== name) : [...on, name];
    if (!next.length) return;
    go({ exchanges: next.length === all.length ? [] : next.sort(), cell: null });
  };
  const buttons = all.map((name) => press(`at-${name}`, name, on.includes(name), () => toggle(name)));
  const label = `${say().symbol.exchanges} ${on.length}/${all.length}`;
  return all.length > 4
    ? menu("exchanges", label, [h("div", { class: "choices" }, ...buttons)])
    : group(say().symbol.exchanges, buttons);
}

function modelChoice(shown: Address): HTMLElement {
  const words = say().symbol;
  return group(
    words.model,
    MODELS.map((model) =>
      h(
        "button",
        {
          class: "button",
          "data-key": `model-${model}`,
          "aria-pressed": String(shown.model === model),
          title: words.modelWhy[model],
          onClick: () => go({ model }),
        },
        words.models[model],
      ),
    ),
  );
}

function lookChoices(shown: Address, top: () => number): HTMLElement[] {
  const words = say().symbol;
  const [low, high] = shown.threshold;
  return [
    row(
      words.palette,
      group(words.palette, PALETTES.map((palette) =>
        press(`palette-${palette}`, words.palettes[palette], shown.palette === palette, () => go({ palette })),
      )),
    ),
    row(words.thresholdLow, slider("low", words.thresholdLow, low, (value) =>
      go({ threshold: [Math.min(value, high - 0.01), high] }),
    )),
    row(words.thresholdHigh, slider("high", words.thresholdHigh, high, (value) =>
      go({ threshold: [low, Math.max(value, low + 0.01)] }),
    )),
    row(
      words.colourScale,
      press("top", shown.top === null ? words.scaleFree : words.scaleFixed(dollars(shown.top)), shown.top !== null, () =>
        go({ top: shown.top === null ? Number(top().toPrecision(3)) : null }), words.scaleWhy),
    ),
    row(
      words.show,
      group(words.show, [
        press("map", words.map, shown.map, () => go({ map: !shown.map })),
        press("bubbles", words.bubbles, shown.bubbles, () => go({ bubbles: !shown.bubbles })),
        press("clusters", words.clusters, shown.clusters, () => go({ clusters: !shown.clusters })),
      ]),
    ),
    row(
      words.scale,
      group(words.scale, [
        press("linear", words.linear, !shown.log, () => go({ log: false, prices: null })),
        press("log", words.log, shown.log, () => go({ log: true, prices: null })),
      ]),
    ),
  ];
}

function slider(key: string, name: string, value: number, act: (value: number) => void): HTMLElement {
  return h("input", {
    type: "range",
    "data-key": key,
    "aria-label": name,
    min: 0,
    max: 1,
    step: 0.01,
    value,
    onInput: (event: Event) => act(Number((event.target as HTMLInputElement).value)),
  });
}

function paneChoices(shown: Address): HTMLElement[] {
  const words = say().symbol;
  const toggle = (pane: Pane): void => {
    const on = new Set(shown.panes);
    if (!on.delete(pane)) on.add(pane);
    go({ panes: PANES.filter((one) => on.has(one)) });
  };
  return PANES.filter((pane) => DRAWN[pane]).map((pane) =>
    press(`pane-${pane}`, words.panes[pane], shown.panes.includes(pane), () => toggle(pane)),
  );
}

function row(name: string, child: HTMLElement): HTMLElement {
  return h("div", { class: "menu-row" }, h("span", { class: "dim" }, name), child);
}
