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

/** All coins together, as the server says it. */
export interface Whole {
  oldest: number;
  coins: number;
  absent: string[];
  open_interest_usd: number;
  open_interest_change: number;
  exchanges: number;
  effective: number;
  believed: number;
  load: number;
  funding_apr: number;
  funding_spread: number;
  funding_at_cap: number;
  long_short: number;
  liquidated_long_usd: number;
  liquidated_short_usd: number;
  liquidated_long_most_usd: number;
  liquidated_short_most_usd: number;
  liquidated_completeness: string | null;
  bursts: number;
  put_call: number;
}

export async function loadMarket(signal: AbortSignal): Promise<{ coins: Coin[]; whole: Whole }> {
  const table = await ask("/overview", {}, signal);
  const facts = table.facts["whole"] as Record<string, unknown>;
  const known = Object.entries(facts).map(([name, value]) => [name, value ?? Number.NaN]);
  const whole = {
    ...Object.fromEntries(known),
    oldest: Date.parse(String(facts["oldest"])) / 1000,
    liquidated_completeness: facts["liquidated_completeness"],
  } as Whole;
  return { coins: coinsOf(table), whole };
}

function coinsOf(table: Table): Coin[] {
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

function before(days: number): string {
  return new Date((present() - days * DAY) * 1000).toISOString();
}

/** Whether a kind of fact of a coin was told in the last days. */
function isFresh(kind: string, coin: string, days: number): boolean {
  return lastOf(kind, coin) > present() - days * DAY;
}
