/** What the crosshair is on, in numbers, and how the map is to be read. */

import { gradient } from "../../charts/heatmap/palette";
import type { Look } from "../../charts/heatmap/bitmap";
import type { HeatMap } from "../../charts/heatmap/data";
import { fill, h, token } from "../../dom";
import { dollars, known, moment, percent, price as priced, tone } from "../../format";
import { say } from "../../text";
import type { MarketChart, Pointed } from "./chart";
import { COLOURS, DRAWN } from "./panes";

/** The lines of numbers over the panes. */
export class Legend {
  readonly element = h("div", { class: "legends", "aria-hidden": "true" });
  readonly tip = h("div", { class: "tip", hidden: true });
  /** Which liquidations are drawn as bubbles, where not all are. */
  bubbles = "";

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
    this.#point(map, at, chart.host.clientWidth);
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

  /** Say beside the pointer what its cell holds. */
  #point(map: HeatMap, at: Pointed | null, width: number): void {
    const row = at?.price ? map.rowOf(at.price) : -1;
    this.tip.hidden = !at || row < 0 || at.pane !== 0;
    if (!at || row < 0 || !at.price) return;
    const words = say().symbol;
    const usd = map.usd(at.column, row);
    const limits = map.limitsOf(at.column, row);
    const open = map.table.at("open", at.column);
    const side = (map.long[at.column * map.rows + row] ?? 0) > 0 ? "long" : "short";
    fill(
      this.tip,
      h("b", {}, known(usd) ? dollars(usd) : words.unknownCell),
      known(usd) && usd > 0 ? h("span", { class: side }, words.sides[side]) : null,
      limits && usd > 0 ? h("span", {}, `p10 ${dollars(limits[0])} · p90 ${dollars(limits[1])}`) : null,
      h("span", {}, `${priced(map.edges[row])} – ${priced(map.edges[row + 1])}`),
      h("span", { class: "dim" }, words.fromPrice(percent(at.price / open - 1, 1, true))),
    );
    const left = at.x + 18 + 190 > width - 80 ? at.x - 18 - this.tip.offsetWidth : at.x + 18;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${at.y + 14}px)`;
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
  const said = say().completeness as Record<string, string>;
  return label ? [...parts, h("span", {}, said[label] ?? label)] : parts;
}

function paneTops(chart: MarketChart): number[] {
  const top = chart.host.getBoundingClientRect().top;
  return chart.chart.panes().map((pane) => {
    return (pane.getHTMLElement()?.getBoundingClientRect().top ?? top) - top;
  });
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
    h("p", { class: "said" }, String(facts["said"] ?? "")),
    h(
      "dl",
      { class: "facts" },
      fact(words.coverage, last < 0 ? "–" : percent(map.coverage[last], 0)),
      fact(words.unknownColumns, String(facts["unknown_columns"] ?? "–")),
      fact(words.pricesFrom, String(facts["prices"] ?? "–")),
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
