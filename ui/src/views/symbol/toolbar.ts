/** What is shown of a symbol, and how: every choice is in the address. */

import { fill, h } from "../../dom";
import { dollars, percent } from "../../format";
import {
  type Address,
  MODELS,
  type Model,
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
  /** Open a menu, and go to its first choice. */
  open: (menu: string) => void;
}

/** What the map that is drawn says of itself. */
export interface Drawn {
  /** In how many dollars the scale of colours ends. */
  top: () => number;
  facts: () => Record<string, unknown>;
}

export function toolbar(share: () => void, drawn: Drawn): Toolbar {
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
      leverageChoice(shown, drawn.facts()),
      menu("look", say().symbol.look, lookChoices(shown, drawn.top)),
      menu("panes", say().symbol.panesTitle, paneChoices(shown)),
      h("span", { class: "spring" }),
      press("share", say().symbol.share, false, share, say().symbol.shareWhy),
    );
    if (held) element.querySelector<HTMLElement>(`[data-key="${held}"]`)?.focus();
  };
  update();
  const open = (menu: string): void => {
    const found = element.querySelector<HTMLDetailsElement>(`details[data-menu="${menu}"]`);
    if (!found) return;
    found.open = !found.open;
    (found.open ? found.querySelector<HTMLElement>(".menu-body button") : found.querySelector("summary"))?.focus();
  };
  return { element, update, open };
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
          onClick: () => go({ model, ...(sameTiers(model, shown.model) ? {} : { leverage: [] }) }),
        },
        words.models[model],
      ),
    ),
  );
}

/** Whether two models have the same tiers: those that are measured are of their own. */
function sameTiers(one: Model, other: Model): boolean {
  return (one === "measured") === (other === "measured");
}

/** So many tiers are chosen one by one; more, which are measured, by three ranges. */
const FEW = 10;
const RANGES_OF_TIERS = ["1-9.9", "10-30", "30.3-1000"];

/** The tiers that are shown: each by itself, as far as the model has any. */
function leverageChoice(shown: Address, facts: Record<string, unknown>): HTMLElement {
  const words = say().symbol;
  const tiers = (facts["leverage"] as number[] | undefined) ?? [];
  const all = tiers.length > FEW ? RANGES_OF_TIERS : tiers.map((tier) => String(Number(tier.toPrecision(4))));
  const on = shown.leverage.length ? shown.leverage : all;
  const toggle = (name: string): void => {
    const next = all.filter((one) => (one === name) !== on.includes(one));
    if (next.length) go({ leverage: next.length === all.length ? [] : next, cell: null });
  };
  const buttons = all.map((name, index) => {
    const label = tiers.length > FEW ? words.tierRanges[index]! : `${name}×`;
    const why = tiers.length > FEW ? words.tierRangesWhy : tierWhy(facts, index);
    return press(`leverage-${name}`, label, on.includes(name), () => toggle(name), why);
  });
  const body = all.length
    ? [
        h("div", { class: "choices" }, ...buttons),
        h("div", { class: "choices" }, press("leverage-all", words.allTiers, !shown.leverage.length, () => go({ leverage: [] }))),
        h("p", { class: "dim menu-note" }, words.tiersWhy[shown.model]),
      ]
    : [h("p", { class: "dim" }, say().panel.loading)];
  const label = shown.leverage.length ? `${words.leverage} ${on.length}/${all.length || "–"}` : words.leverage;
  return menu("leverage", label, body);
}

interface Mixed {
  share: number;
  low: number;
  high: number;
  identified: boolean;
}

/** How much of what is new has a leverage, and who says so. */
function tierWhy(facts: Record<string, unknown>, index: number): string {
  const words = say().symbol;
  const fitted = facts["fitted"] as { mix: Mixed[] } | null | undefined;
  const mixed = fitted?.mix[index];
  if (!mixed) return words.tierShare(percent((facts["weights"] as number[] | undefined)?.[index], 0));
  const said = words.tierFitted(percent(mixed.share, 0), percent(mixed.low, 0), percent(mixed.high, 0));
  return `${said}; ${mixed.identified ? words.tierTold : words.tierPrior}`;
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
