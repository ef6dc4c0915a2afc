/** What the view of funding and basis asks. */

import { askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import type { Address } from "../../state/address";
import { LENGTH, spanOf, within } from "../symbol/load";

/** A market's settlements, and the last of them. */
export interface Market {
  exchange: string;
  symbol: string;
  times: number[];
  aprs: number[];
  time: number;
  apr: number;
  rate: number;
  interval_hours: number;
  excess: number;
  cumulative: number;
  streak: number;
  percentile: number;
}

const LAST = ["apr", "rate", "interval_hours", "excess", "cumulative", "streak", "percentile"] as const;

/** Whether funding is stored of the range. */
export function isFunded(shown: Address): boolean {
  return within("funding", shown.symbol, spanOf(shown));
}

export async function loadMarkets(shown: Address, signal: AbortSignal): Promise<Market[]> {
  if (!isFunded(shown)) return [];
  const table = await askOrEmpty(
    "/funding",
    { symbol: shown.symbol, exchange: shown.exchanges, ...spanOf(shown) },
    signal,
  );
  return markets(table);
}

function markets(table: Table): Market[] {
  const found = new Map<string, Market>();
  const [times, aprs] = [table.times(), table.numbers("apr")];
  const [exchanges, symbols] = [table.words("exchange"), table.words("symbol")];
  for (let row = 0; row < table.length; row++) {
    const [exchange, symbol] = [exchanges[row] ?? "", symbols[row] ?? ""];
    const key = `${exchange} ${symbol}`;
    const one = found.get(key) ?? ({ exchange, symbol, times: [], aprs: [] } as unknown as Market);
    one.times.push(times[row]!);
    one.aprs.push(aprs[row]!);
    one.time = times[row]!;
    for (const name of LAST) one[name] = table.at(name, row);
    found.set(key, one);
  }
  return [...found.values()];
}

export function loadWeighted(shown: Address, signal: AbortSignal): Promise<Table> {
  if (!isFunded(shown)) return Promise.resolve(Table.empty);
  const every = LENGTH[shown.range] > 90 * 86_400 ? "1d" : "8h";
  return askOrEmpty(
    "/weighted-funding",
    { symbol: shown.symbol, exchange: shown.exchanges, ...spanOf(shown), every },
    signal,
  );
}
