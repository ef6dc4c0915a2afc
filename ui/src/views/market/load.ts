/** What the view of the market asks, and its rows. */

import { ask, askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { coinOf, lastOf, present } from "../../state/markets";

/** A coin, at a glance. */
export interface Coin {
  coin: string;
  time: number;
  price: number;
  price_change: number;
  open_interest_usd: number;
  open_interest_change: number;
  coverage: number;
  exchanges: number;
  funding_apr: number;
  long_short: number;
  load: number;
  long_cluster_price: number;
  long_cluster_usd: number;
  short_cluster_price: number;
  short_cluster_usd: number;
  liquidated_usd: number;
  completeness: string | null;
  price_history: (number | null)[];
  open_interest_history: (number | null)[];
  funding_history: (number | null)[];
}

const NUMBERS = [
  "price",
  "price_change",
  "open_interest_usd",
  "open_interest_change",
  "coverage",
  "exchanges",
  "funding_apr",
  "long_short",
  "load",
  "long_cluster_price",
  "long_cluster_usd",
  "short_cluster_price",
  "short_cluster_usd",
  "liquidated_usd",
] as const;
const LISTS = ["price_history", "open_interest_history", "funding_history"] as const;

export async function loadCoins(signal: AbortSignal): Promise<Coin[]> {
  const table = await ask("/overview", {}, signal);
  const times = table.times();
  return table.words("coin").map((coin, row) => ({
    coin: coin ?? "",
    time: times[row]!,
    completeness: table.value("liquidated_completeness", row) as string | null,
    ...(Object.fromEntries(NUMBERS.map((name) => [name, table.at(name, row)])) as Record<
      (typeof NUMBERS)[number],
      number
    >),
    ...(Object.fromEntries(LISTS.map((name) => [name, table.lists(name)[row] ?? []])) as Record<
      (typeof LISTS)[number],
      (number | null)[]
    >),
  }));
}

/** The last settlement of a market. */
export interface Settled {
  coin: string;
  exchange: string;
  symbol: string;
  time: number;
  apr: number;
  hours: number;
}

const DAY = 86_400;

/** Ask for the last settlement of each market of some coins. */
export async function loadFunding(coins: string[], signal: AbortSignal): Promise<Settled[]> {
  const since = before(2);
  const tables = await Promise.all(
    coins
      .filter((coin) => isFresh("funding", coin, 2))
      .map((symbol) => askOrEmpty("/funding", { symbol, since }, signal)),
  );
  return tables.flatMap(last);
}

function last(table: Table): Settled[] {
  const found = new Map<string, Settled>();
  const times = table.times();
  const exchanges = table.words("exchange");
  const symbols = table.words("symbol");
  for (let row = 0; row < table.length; row++) {
    const [exchange, symbol] = [exchanges[row] ?? "", symbols[row] ?? ""];
    const key = `${exchange} ${symbol}`;
    if ((found.get(key)?.time ?? 0) > times[row]!) continue;
    const [apr, hours] = [table.at("apr", row), table.at("interval_hours", row)];
    const coin = coinOf(symbol);
    found.set(key, { coin, exchange, symbol, time: times[row]!, apr, hours });
  }
  return [...found.values()];
}

/** What is asked of the largest coin, beside the table. */
export interface Largest {
  /** As if on so many equal exchanges. */
  effective: number;
  /** Puts over calls, by open interest, with its rank in its own history. */
  putCall: number;
  putCallRank: number;
}

export async function loadLargest(symbol: string, signal: AbortSignal): Promise<Largest> {
  const since = before(2);
  const [held, options] = await Promise.all([
    askOrEmpty("/open-interest", { symbol, since }, signal),
    isFresh("option_quote", symbol, 2)
      ? askOrEmpty("/option-history", { symbol, since }, signal)
      : Promise.resolve(Table.empty),
  ]);
  return {
    effective: held.at("effective", held.length - 1),
    putCall: options.at("put_call_open_interest", options.length - 1),
    putCallRank: options.at("put_call_open_interest_percentile", options.length - 1),
  };
}

/** What was closed by force in a day, by side, of all coins whose sums are told. */
export interface Forced {
  long: number;
  short: number;
}

export async function loadForced(coins: string[], signal: AbortSignal): Promise<Forced> {
  const tables = await Promise.all(
    coins
      .filter((coin) => isFresh("liquidation", coin, 1))
      .map((symbol) => askOrEmpty("/liquidations", { symbol, since: before(1), by: "all" }, signal)),
  );
  const sum = (side: string): number => {
    const seen = tables.flatMap((table) => [...table.numbers(`${side}_usd`)]).filter(Number.isFinite);
    return seen.length ? seen.reduce((a, b) => a + b, 0) : Number.NaN;
  };
  return { long: sum("long"), short: sum("short") };
}

function before(days: number): string {
  return new Date((present() - days * DAY) * 1000).toISOString();
}

/** Whether a kind of fact of a coin was told in the last days. */
function isFresh(kind: string, coin: string, days: number): boolean {
  return lastOf(kind, coin) > present() - days * DAY;
}
