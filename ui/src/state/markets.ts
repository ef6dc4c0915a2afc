/** What is stored: known to every view, asked once and again when there is news. */

import { Table } from "../api/columns";
import { Cell } from "./cell";
import { newest } from "./feed";

export interface Markets {
  coins: string[];
  symbols: string[];
  exchanges: string[];
  status: Table;
}

export const markets = new Cell<Markets>({ coins: [], symbols: [], exchanges: [], status: Table.empty });

/** Take in what the server says is stored. */
export function take(status: Table): void {
  const kinds = status.words("kind");
  const held = (name: string): string[] => [
    ...new Set(status.words(name).filter((word, row) => word && kinds[row] === "open_interest")),
  ] as string[];
  const symbols = held("symbol").sort();
  markets.set({
    coins: [...new Set(symbols.map(coinOf))],
    symbols,
    exchanges: held("exchange").sort(),
    status,
  });
  const last = status.times("last").reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY);
  if (Number.isFinite(last)) newest.set(last);
}

/** The exchanges on which a coin or symbol has open interest. */
export function exchangesOf(symbol: string): string[] {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const symbols = status.words("symbol");
  const found = status.words("exchange").filter((_, row) => {
    const name = symbols[row];
    return kinds[row] === "open_interest" && (name === symbol || coinOf(name ?? "") === symbol);
  });
  return [...new Set(found as string[])].sort();
}

/** Whether anything of a kind is stored, of a coin or symbol if one is named. */
export function isStored(kind: string, symbol?: string): boolean {
  if (symbol !== undefined) return symbolsOf(kind, symbol).length > 0;
  return markets.value.status.words("kind").includes(kind);
}

/** The newest row of a kind, of a coin or symbol or on exchanges if named, in seconds; NaN where there is none. */
export function lastOf(kind: string, symbol?: string, at?: string[]): number {
  return Math.max(...timesOf("last", kind, symbol, at));
}

/** The oldest row of a kind of a coin or symbol, in seconds; NaN where there is none. */
export function firstOf(kind: string, symbol: string): number {
  return Math.min(...timesOf("first", kind, symbol));
}

function timesOf(end: "first" | "last", kind: string, symbol?: string, at?: string[]): number[] {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const symbols = status.words("symbol");
  const details = status.words("detail");
  const exchanges = status.words("exchange");
  const found = Array.from(status.times(end)).filter((time, row) => {
    const name = symbols[row] ?? "";
    const here = at === undefined || at.includes(exchanges[row] ?? "");
    const meant = here && (symbol === undefined || name === symbol || coinOf(name) === symbol);
    // No view shows what funding was predicted to be.
    return kinds[row] === kind && meant && details[row] !== "predicted" && Number.isFinite(time);
  });
  return found.length ? found : [Number.NaN];
}

/** The symbols meant by a coin or symbol for which a kind of fact is stored. */
export function symbolsOf(kind: string, symbol: string): string[] {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const found = status.words("symbol").filter((name, row) => {
    return kinds[row] === kind && (name === symbol || coinOf(name ?? "") === symbol);
  });
  return [...new Set(found as string[])];
}

/** The newest open interest stored, in seconds: the present of the market, which may be long ago. */
export function present(): number {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const times = status.times("last").filter((time, row) => kinds[row] === "open_interest" && time > 0);
  return times.length ? Math.max(...times) : Date.now() / 1000;
}

export function coinOf(symbol: string): string {
  return symbol.split("/")[0]!;
}
