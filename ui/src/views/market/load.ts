/** What the view of the market asks, and its rows. */

import { ask, askOrEmpty } from "../../api/client";
import type { Table } from "../../api/columns";
import { newest } from "../../state/feed";
import { coinOf, isStored } from "../../state/markets";

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
  const since = new Date(((newest.value ?? Date.now() / 1000) - 2 * DAY) * 1000).toISOString();
  const tables = await Promise.all(
    coins
      .filter((coin) => isStored("funding", coin))
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

/** How concentrated the open interest of a coin is on exchanges: as if on so many equal ones. */
export async function loadEffective(symbol: string, signal: AbortSignal): Promise<number> {
  const since = new Date(((newest.value ?? Date.now() / 1000) - 2 * DAY) * 1000).toISOString();
  const table = await askOrEmpty("/open-interest", { symbol, since }, signal);
  return table.at("effective", table.length - 1);
}
