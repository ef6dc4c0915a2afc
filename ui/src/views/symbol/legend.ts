/** What the crosshair is on, in numbers, and how the map is to be read. */

import { gradient } from "../../charts/heatmap/palette";
import type { Look } from "../../charts/heatmap/bitmap";
import type { HeatMap } from "../../charts/heatmap/data";
import { fill, h, token } from "../../dom";
import { dollars, known, moment, percent, price as priced, tone } from "../../format";
import { say } from "../../text";
import { type Statement, estimated, pricesFrom } from "../../text/told";
import type { MarketChart, Pointed } from "./chart";
import { type Burst, burstAt, burstSaid } from "./bursts";
import { COLOURS, DRAWN } from "./panes";

/** The lines of numbers over the panes. */
export class Legend {
  readonly element = h("div", { class: "legends", "aria-hidden": "true" });
  readonly tip = h("div", { class: "tip", hidden: true });
  /** Which liquidations are drawn as bubbles, where not all are. */
  bubbles = "";
  bursts: Burst[] = [];

  /** Put each pane's numbers at its top. */
  update(chart: MarketChart, at: Pointed | null): void {
    const { map } = chart;
    if (!map) return;
    const column = at?.column ?? map.columns - 1;
    const tops = paneTops(chart);
    const lines = [this.#price(map, column), ...chart.panes.map((pane) => paneLine(pane, map, column))];
    fill(
      this.element,
      ...lines.map((line, index) => {
        line.style.top = `${(tops[index] ?? 0) + 6}px`;
        line.dataset["on"] = index === 0 ? "night" : "";
        return line;
      }),
    );
    this.#point(chart, map, at);
  }

  #price(map: HeatMap, column: number): HTMLElement {
    const value = (name: string): number => map.table.at(name, column);
    const change = value("close") / value("open") - 1;
    const words = say().symbol;
    return h(
      "div",
      { class: "legend" },
      h("span", {}, moment(map.time[column])),
      ...(["open", "high", "low", "close"] as const).map((name) =>
        h("span", {}, h("i", {}, words.ohlc[name]), priced(value(name))),
      ),
      h("span", { class: tone(change) }, percent(change, 2, true)),
      this.bubbles ? h("span", {}, this.bubbles) : null,
    );
  }

  /** Say beside the pointer what its cell holds, and which burst its bar is of. */
  #point(chart: MarketChart, map: HeatMap, at: Pointed | null): void {
    const row = at?.price && at.pane === 0 ? map.rowOf(at.price) : -1;
    const forced = at && (at.pane === 0 || chart.panes[at.pane - 1]?.pane === "liquidations");
    const burst = forced ? burstAt(this.bursts, at.column) : undefined;
    this.tip.hidden = !at || (row < 0 && !burst);
    if (!at || this.tip.hidden) return;
    fill(this.tip, ...(row < 0 ? [] : this.#cell(map, at, row)), ...(burst ? burstSaid(burst) : []));
    const width = chart.host.clientWidth;
    const left = at.x + 18 + 190 > width - 80 ? at.x - 18 - this.tip.offsetWidth : at.x + 18;
    const top = at.y + (paneTops(chart)[at.pane] ?? 0) + 14;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${this.#fitting(top, chart.host.clientHeight)}px)`;
  }

  /** Keep the words inside of the chart. */
  #fitting(top: number, height: number): number {
    return Math.max(0, Math.min(top, height - this.tip.offsetHeight - 4));
  }

  #cell(map: HeatMap, at: Pointed, row: number): (HTMLElement | null)[] {
    const words = say().symbol;
    const usd = map.usd(at.column, row);
    const limits = map.limitsOf(at.column, row);
    const open = map.table.at("open", at.column);
    const side = (map.long[at.column * map.rows + row] ?? 0) > 0 ? "long" : "short";
    return [
      h("b", {}, known(usd) ? dollars(usd) : words.unknownCell),
      known(usd) && usd > 0 ? h("span", { class: side }, words.sides[side]) : null,
      limits && usd > 0 ? h("span", {}, `p10 ${dollars(limits[0])} · p90 ${dollars(limits[1])}`) : null,
      h("span", {}, `${priced(map.edges[row])} – ${priced(map.edges[row + 1])}`),
      h("span", { class: "dim" }, words.fromPrice(percent(at.price! / open - 1, 1, true))),
    ];
  }
}

function paneLine(state: MarketChart["panes"][number], map: HeatMap, column: number): HTMLElement {
  const { pane } = state;
  const parts = pane === "liquidations" ? forcedParts(state, map.time[column]!) : lineParts(state, map.time[column]!);
  const words = say().symbol;
  const { ends } = state;
  const until = ends === null ? null : known(ends) ? words.ends(moment(ends)) : words.neverStored;
  const empty = ![...state.lines.values()].some((points) => points.length);
  return h(
    "div",
    { class: "legend" },
    h("b", {}, words.panes[pane]),
    ...(empty ? [] : parts),
    until ? h("span", { class: "ends" }, until) : empty ? h("span", { class: "ends" }, words.notHere) : null,
  );
}

function lineParts({ pane, lines }: MarketChart["panes"][number], time: number): HTMLElement[] {
  const format = DRAWN[pane]!.format;
  return [...lines].map(([name, points], index) => {
    const found = points.findLast((point) => point.time <= time);
    const colour = lines.size > 1 ? `color:${token(COLOURS[index]!)}` : null;
    return h("span", {}, h("i", { style: colour }, name), found ? format(found.value) : "–");
  });
}

/** What was told of each side of a bar, what it can be at most, and what that covers. */
function forcedParts({ lines, completeness }: MarketChart["panes"][number], time: number): HTMLElement[] {
  const { sides } = say().symbol;
  const label = completeness.get(time);
  const of = (name: string): number | undefined => {
    const found = lines.get(name)?.find((point) => point.time === time);
    return found && Math.abs(found.value);
  };
  const parts = (["short", "long"] as const).map((side) => {
    const [told, most] = [of(side), of(`${side}-most`)];
    const open = known(told) && label !== "complete" && told !== most;
    const text = open && known(most) ? `${dollars(told)} – ${dollars(most)}` : (open ? "≥ " : "") + dollars(told);
    return h("span", { class: side }, h("i", {}, sides[side]), text);
  });
  const covers = say().completeness as Record<string, string>;
  return label ? [...parts, h("span", {}, covers[label] ?? label)] : parts;
}

function paneTops(chart: MarketChart): number[] {
  const top = chart.host.getBoundingClientRect().top;
  return chart.chart.panes().map((pane) => {
    return (pane.getHTMLElement()?.getBoundingClientRect().top ?? top) - top;
  });
}

/** What must be said wherever the map is shown. */
export function said(map: HeatMap): string {
  return estimated((map.table.facts["statements"] ?? []) as Statement[]);
}

/** How the map is to be read: its colours, its model, and how good it was found. */
export function key(map: HeatMap, look: Look): HTMLElement {
  const words = say().symbol;
  const last = map.last;
  const facts = map.table.facts;
  const row = (map.edges[1] ?? 0) / (map.edges[0] ?? 1) - 1;
  return h(
    "div",
    { class: "key" },
    h("h3", {}, words.keyTitle),
    h("div", { class: "ramp", style: `background:${gradient(look.palette)}` }),
    h(
      "div",
      { class: "ramp-ends" },
      h("span", {}, "0"),
      h("span", { class: "dim" }, words.perRow(percent(row, 1))),
      h("span", {}, `≥ ${dollars(look.top)}`),
    ),
    h("p", { class: "said" }, said(map)),
    h(
      "dl",
      { class: "facts" },
      fact(words.coverage, last < 0 ? "–" : percent(map.coverage[last], 0)),
      fact(words.unknownColumns, String(facts["unknown_columns"] ?? "–")),
      fact(words.pricesFrom, pricesFrom(String(facts["prices"] ?? "–"))),
    ),
    h(
      "p",
      { class: "drawn-by" },
      h("a", { href: "https://www.tradingview.com/", rel: "noreferrer" }, say().shell.charts),
    ),
  );
}

function fact(name: string, value: string): HTMLElement {
  return h("div", {}, h("dt", {}, name), h("dd", { class: "number" }, value));
}
