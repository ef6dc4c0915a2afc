/** What dated futures pay over spot, and what pairs of markets have earned. */

import { askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import type { Line, PlotOptions } from "../../charts/plot";
import { day, lasting, percent, price, ratio, tone } from "../../format";
import type { Column } from "../../panel/table";
import type { Address } from "../../state/address";
import { coinOf, isStored } from "../../state/markets";
import { say } from "../../text";
import { fixed } from "../../text/told";
import { begin } from "../symbol/load";

const COLOURS = ["series", "series-2", "series-3", "series-4", "long", "short"];

export function loadBasis(shown: Address, signal: AbortSignal): Promise<Table> {
  const coin = coinOf(shown.symbol);
  const dated = isStored("option_quote", coin) || isStored("mark_price", coin);
  return dated ? askOrEmpty("/basis", { symbol: coin }, signal) : Promise.resolve(Table.empty);
}

export function loadDispersion(shown: Address, signal: AbortSignal): Promise<Table> {
  if (!isStored("funding", shown.symbol)) return Promise.resolve(Table.empty);
  const since = begin(shown.symbol, shown.range);
  return askOrEmpty("/funding-dispersion", { symbol: coinOf(shown.symbol), since }, signal);
}

export function loadArbitrage(shown: Address, signal: AbortSignal): Promise<Table> {
  if (!isStored("funding", shown.symbol)) return Promise.resolve(Table.empty);
  const since = begin(shown.symbol, shown.range);
  return askOrEmpty("/arbitrage", { coin: coinOf(shown.symbol), since }, signal);
}

/** Rows of a table of a kind. */
function rowsOf(table: Table, kind: string): number[] {
  const kinds = table.words("kind");
  return [...kinds.keys()].filter((row) => kinds[row] === kind);
}

/** Each curve's expiries by days to run. */
export function curve(table: Table): PlotOptions {
  const rows = rowsOf(table, "expiry").filter((row) => Number.isFinite(table.at("simple", row)));
  const [exchanges, contracts] = [table.words("exchange"), table.words("contract")];
  const days = [...new Set(rows.map((row) => table.at("days", row)))].sort((a, b) => a - b);
  const names = [...new Set(rows.map((row) => `${exchanges[row]} ${contracts[row]}`))];
  const lines = names.slice(0, COLOURS.length).map((name, index): Line => {
    const values: (number | null)[] = days.map(() => null);
    for (const row of rows) {
      if (`${exchanges[row]} ${contracts[row]}` !== name) continue;
      values[days.indexOf(table.at("days", row))] = table.at("simple", row);
    }
    return { name, colour: COLOURS[index]!, values, through: true };
  });
  return {
    x: days,
    xFormat: (value) => say().options.days(value.toFixed(0)),
    y: (value) => percent(value, 1, true),
    zero: true,
    label: say().funding.curve,
    lines,
  };
}

/** Lowest and highest market of each time. */
export function dispersion(table: Table): PlotOptions {
  const words = say().funding;
  const line = (name: string, colour: string, column: string): Line => ({
    name,
    colour,
    values: table.numbers(column),
    kind: "steps",
  });
  return {
    x: table.times(),
    time: true,
    zero: true,
    cut: true,
    y: (value) => percent(value, 0, true),
    label: words.dispersion,
    lines: [
      line(words.highest, "up", "highest"),
      line(words.median, "ink", "median"),
      line(words.lowest, "down", "lowest"),
    ],
  };
}

export function basisColumns(table: Table): Column<number>[] {
  const words = say().funding.basisColumns;
  const word = (key: "exchange" | "contract" | "maturity" | "state"): Column<number> => ({
    key,
    title: words[key],
    words: true,
    value: (row) => table.words(key)[row] ?? null,
    show: (row) => fixed(table.words(key)[row] ?? ""),
  });
  const number = (key: "days" | "price" | "basis" | "simple" | "roll_yield", show: (value: number) => string, signed = false): Column<number> => ({
    key,
    title: words[key],
    value: (row) => table.at(key, row),
    show: (row) => show(table.at(key, row)),
    ...(signed ? { tone: (row: number) => tone(table.at(key, row)) } : {}),
  });
  return [
    word("exchange"),
    word("contract"),
    word("maturity"),
    number("days", (value) => ratio(value, 1)),
    number("price", price),
    number("basis", (value) => percent(value, 2, true), true),
    number("simple", (value) => percent(value, 2, true), true),
    number("roll_yield", (value) => percent(value, 2, true), true),
    word("state"),
  ];
}

/** Expiries and constant maturities that have a figure. */
export function basisRows(table: Table): number[] {
  return [...rowsOf(table, "expiry"), ...rowsOf(table, "constant")].filter((row) =>
    Number.isFinite(table.at("basis", row)),
  );
}

export function earnedColumns(table: Table): Column<number>[] {
  const words = say().funding.earnedColumns;
  const word = (key: "long" | "short" | "reason"): Column<number> => ({
    key,
    title: words[key],
    words: true,
    value: (row) => table.words(key)[row] ?? null,
    show: (row) => fixed(table.words(key)[row] ?? ""),
  });
  const share = (key: "funding" | "basis" | "fees" | "net", signed: boolean): Column<number> => ({
    key,
    title: words[key],
    value: (row) => table.at(key, row),
    show: (row) => percent(key === "fees" ? -table.at(key, row) : table.at(key, row), 2, true),
    ...(signed ? { tone: (row: number) => `${tone(table.at(key, row))} strong` } : {}),
  });
  return [
    word("long"),
    word("short"),
    {
      key: "days",
      title: words.days,
      value: (row) => table.at("days", row),
      show: (row) => lasting(table.at("days", row) * 86_400),
    },
    { key: "until", title: words.until, value: (row) => table.times("until")[row] ?? null, show: (row) => day(table.times("until")[row]) },
    share("funding", false),
    share("basis", false),
    share("fees", false),
    share("net", true),
    word("reason"),
  ];
}
