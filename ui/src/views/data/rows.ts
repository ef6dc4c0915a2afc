/** What is stored and what is missing, as rows and their columns. */

import type { Table } from "../../api/columns";
import { h } from "../../dom";
import { count, day, lasting, moment } from "../../format";
import type { Column } from "../../panel/table";
import { go } from "../../state/address";
import { newest } from "../../state/feed";
import { coinOf, markets } from "../../state/markets";
import { say } from "../../text";
import { missed } from "../../text/told";

export interface Series {
  kind: string;
  exchange: string;
  symbol: string;
  detail: string;
  rows: number;
  first: number;
  last: number;
  gaps: number;
  missing: number;
  revisions: number;
}

export interface Exchange {
  exchange: string;
  kinds: string[];
  series: number;
  rows: number;
  first: number;
  last: number;
  gaps: number;
}

export interface Gap {
  exchange: string;
  symbol: string;
  stream: string;
  since: number;
  until: number;
  reason: string;
}

export function series(): Series[] {
  const { status } = markets.value;
  const [first, last] = [status.times("first"), status.times("last")];
  const word = (name: string, row: number): string => (status.value(name, row) as string | null) ?? "";
  return status.words("kind").map((kind, row) => ({
    kind: kind ?? "",
    exchange: word("exchange", row),
    symbol: word("symbol", row),
    detail: word("detail", row),
    rows: status.at("rows", row),
    first: first[row]!,
    last: last[row]!,
    gaps: status.at("gaps", row),
    missing: status.at("missing", row),
    revisions: status.at("revisions", row),
  }));
}

export function exchanges(): Exchange[] {
  const found = new Map<string, Series[]>();
  for (const one of series()) found.set(one.exchange, [...(found.get(one.exchange) ?? []), one]);
  return [...found].map(([exchange, all]) => ({
    exchange,
    kinds: [...new Set(all.map(({ kind }) => kind))],
    series: all.length,
    rows: all.reduce((sum, { rows }) => sum + rows, 0),
    first: Math.min(...all.map(({ first }) => first)),
    last: Math.max(...all.map(({ last }) => last)),
    gaps: all.reduce((sum, { gaps }) => sum + (Number.isFinite(gaps) ? gaps : 0), 0),
  }));
}

export function gapsOf(gaps: Table): Gap[] {
  const [since, until] = [gaps.times("since"), gaps.times("until")];
  const opened = since.length ? since : gaps.times("time");
  return Array.from(opened, (from, row) => ({
    exchange: String(gaps.value("exchange", row) ?? ""),
    symbol: String(gaps.value("symbol", row) ?? ""),
    stream: String(gaps.value("stream", row) ?? ""),
    since: from,
    until: until[row] ?? Number.NaN,
    reason: missed(String(gaps.value("reason", row) ?? "")),
  }));
}

type Key = keyof ReturnType<typeof say>["data"]["columns"];

function words<Row>(key: Key & keyof Row): Column<Row> {
  const value = (row: Row): string => String(row[key]);
  return { key, title: say().data.columns[key], words: true, value };
}

function number<Row>(key: Key & keyof Row, show: (value: number) => string): Column<Row> {
  const value = (row: Row): number => row[key] as number;
  return { key, title: say().data.columns[key], value, show: (row) => show(value(row)) };
}

export function exchangeColumns(): Column<Exchange>[] {
  const behind = (one: Exchange): number => (newest.value ?? Number.NaN) - one.last;
  return [
    { ...words<Exchange>("exchange"), show: ({ exchange }) => h("b", {}, exchange) },
    number<Exchange>("series", count),
    number<Exchange>("rows", count),
    number<Exchange>("first", day),
    number<Exchange>("last", moment),
    {
      key: "delay",
      title: say().data.columns.delay,
      value: behind,
      show: (one) => (behind(one) < 1 ? "●" : lasting(behind(one))),
      tone: (one) => (behind(one) > 3_600 ? "warn" : "good"),
    },
    number<Exchange>("gaps", count),
  ];
}

export function seriesColumns(): Column<Series>[] {
  return [
    words<Series>("kind"),
    words<Series>("exchange"),
    {
      ...words<Series>("symbol"),
      show: ({ symbol }) =>
        h("button", { class: "row-button", onClick: () => go({ view: "symbol", symbol: coinOf(symbol) }, true) }, symbol),
    },
    words<Series>("detail"),
    number<Series>("rows", count),
    number<Series>("first", moment),
    number<Series>("last", moment),
    { ...number<Series>("gaps", count), tone: ({ gaps }) => (gaps > 0 ? "warn" : "") },
    { ...number<Series>("missing", count), tone: ({ missing }) => (missing > 0 ? "warn" : "") },
    number<Series>("revisions", count),
  ];
}

export function gapColumns(): Column<Gap>[] {
  return [
    words<Gap>("exchange"),
    words<Gap>("stream"),
    words<Gap>("symbol"),
    number<Gap>("since", moment),
    number<Gap>("until", moment),
    {
      key: "length",
      title: say().data.columns.length,
      value: ({ since, until }) => until - since,
      show: ({ since, until }) => lasting(until - since),
    },
    words<Gap>("reason"),
  ];
}
