/** The whole market in a line: what is open, what it costs, what was closed by force. */

import { fill, h } from "../../dom";
import { dollars, known, percent, ratio, tone } from "../../format";
import { say } from "../../text";
import type { Coin, Forced, Largest } from "./load";

/** Sums and means over coins; what is unknown of a coin is left out and said. */
export interface Totals {
  interest: number;
  /** Change in a day as if each coin's price had stood still. */
  change: number;
  funding: number;
  ratio: number;
  load: number;
  liquidated: number;
  weakest: string | null;
}

const WEAKEST = ["unknown", "sampled", "throttled", "aggregated"];

export function totals(coins: Coin[]): Totals {
  const weigh = (value: (coin: Coin) => number): number => {
    let [sum, weight] = [0, 0];
    for (const coin of coins) {
      if (!known(value(coin)) || !known(coin.open_interest_usd)) continue;
      sum += value(coin) * coin.open_interest_usd;
      weight += coin.open_interest_usd;
    }
    return weight > 0 ? sum / weight : Number.NaN;
  };
  const before = weigh((coin) => 1 / (1 + coin.open_interest_change));
  const said = new Set(coins.map(({ completeness }) => completeness).filter(Boolean));
  return {
    interest: sumOf(coins.map(({ open_interest_usd }) => open_interest_usd)),
    change: 1 / before - 1,
    funding: weigh(({ funding_apr }) => funding_apr),
    ratio: median(coins.map(({ long_short }) => long_short)),
    load: weigh(({ load }) => load),
    liquidated: sumOf(coins.map(({ liquidated_usd }) => liquidated_usd)),
    weakest: WEAKEST.find((word) => said.has(word)) ?? (said.size ? "complete" : null),
  };
}

export function sumOf(values: number[]): number {
  const seen = values.filter(known);
  return seen.length ? seen.reduce((a, b) => a + b, 0) : Number.NaN;
}

export function median(values: number[]): number {
  const seen = values.filter(known).sort((a, b) => a - b);
  if (!seen.length) return Number.NaN;
  const middle = seen.length >> 1;
  return seen.length % 2 ? seen[middle]! : (seen[middle - 1]! + seen[middle]!) / 2;
}

export function figures(
  element: HTMLElement,
  coins: Coin[],
  largest: Largest | null,
  forced: Forced | null,
): void {
  const words = say().market;
  const sums = totals(coins);
  const bound = sums.weakest === "throttled" || sums.weakest === "sampled" ? "≥ " : "";
  const name = h("span", { class: "faint" }, coins[0]?.coin ?? "");
  const completeness = say().completeness as Record<string, string>;
  fill(
    element,
    figure(words.interest, dollars(sums.interest), h("span", { class: tone(sums.change) }, percent(sums.change, 1, true)), words.interestNote(String(coins.length)), words.change),
    figure(words.load, percent(sums.load, 1), h("span", { class: "tag" }, words.estimate), words.loadNote),
    figure(words.funding, percent(sums.funding, 1, true), null, words.fundingNote, "", tone(sums.funding)),
    figure(words.ratio, ratio(sums.ratio), null, words.ratioNote),
    figure(words.liquidated, bound + dollars(sums.liquidated), sides(forced), completeness[sums.weakest ?? ""] ?? ""),
    figure(words.putCall, ratio(largest?.putCall), name, rank(largest)),
    figure(words.concentration, ratio(largest?.effective, 1), name.cloneNode(true), words.concentrationNote(ratio(largest?.effective, 1))),
  );
}

/** Longs and shorts as the parts of a bar. */
function sides(forced: Forced | null): HTMLElement | null {
  if (!forced || !(forced.long + forced.short > 0)) return null;
  const share = forced.long / (forced.long + forced.short);
  const words = say().symbol.sides;
  return h(
    "span",
    { class: "sides", title: `${words.long} ${dollars(forced.long)}, ${words.short} ${dollars(forced.short)}` },
    h("i", { class: "long", style: `width:${100 * share}%` }),
    h("i", { class: "short", style: `width:${100 * (1 - share)}%` }),
    h("span", { class: "unseen" }, `${words.long} ${dollars(forced.long)}, ${words.short} ${dollars(forced.short)}`),
  );
}

function rank(largest: Largest | null): string {
  const words = say().options;
  return largest && known(largest.putCallRank)
    ? words.rank(percent(largest.putCallRank, 0))
    : words.unranked;
}

function figure(
  name: string,
  value: string,
  beside: Node | null,
  note: string,
  why = "",
  colour = "",
): HTMLElement {
  return h(
    "div",
    { class: "figure", title: why || null },
    h("h3", {}, name),
    h("p", { class: `figure-value ${colour}` }, value, beside),
    h("p", { class: "figure-note" }, note),
  );
}
