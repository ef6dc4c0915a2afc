/** What the view of options asks, and the parts of its answer. */

import { ask, askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { newest } from "../../state/feed";
import { coinOf, markets } from "../../state/markets";

/** A measure of all options, with its rank in the market's own history. */
export interface Measured {
  value: number;
  percentile: number;
  z: number;
  unit: string;
}

export interface Chain {
  price: number;
  time: number;
  summary: Map<string, Measured>;
  byExpiry: Table;
  byStrike: Table;
  smile: Table;
  curves: Table;
  term: Table;
  profile: Table;
  zero: { price: number | null; reason: string | null };
  history: Table;
}

/** The coins whose options are stored. */
export function optionCoins(): string[] {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const found = status.words("symbol").filter((_, row) => kinds[row] === "option_quote");
  return [...new Set((found as string[]).map(coinOf))].sort();
}

const SPAN = 90 * 86_400;

export async function loadChain(coin: string, signal: AbortSignal): Promise<Chain> {
  const since = new Date(((newest.value ?? Date.now() / 1000) - SPAN) * 1000).toISOString();
  const [state, history] = await Promise.all([
    ask("/options", { symbol: coin }, signal),
    askOrEmpty("/option-history", { symbol: coin, since }, signal),
  ]);
  const summary = state.inner("summary");
  const measures = summary.words("measure").map((name, row): [string, Measured] => [
    name ?? "",
    {
      value: summary.at("value", row),
      percentile: summary.at("percentile", row),
      z: summary.at("z", row),
      unit: summary.words("unit")[row] ?? "",
    },
  ]);
  return {
    price: Number(state.facts["price"] ?? Number.NaN),
    time: Date.parse(String(state.facts["time"])) / 1000,
    summary: new Map(measures),
    byExpiry: state.inner("by_expiry"),
    byStrike: state.inner("by_strike"),
    smile: state.inner("smile"),
    curves: state.inner("curves"),
    term: state.inner("term"),
    profile: state.inner("profile"),
    zero: state.facts["naive_zero"] as Chain["zero"],
    history,
  };
}

/** The expiries of a chain, in seconds, the nearest first. */
export function expiries(chain: Chain): number[] {
  return [...chain.byExpiry.times("expiry")].sort((a, b) => a - b);
}
