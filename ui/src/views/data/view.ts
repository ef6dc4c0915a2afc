/** Exchanges and data: what is stored since when, what is missing, and how far behind it is. */

import { askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { h } from "../../dom";
import { count, day, lasting, moment } from "../../format";
import { Panel } from "../../panel/panel";
import { type Column, ordered, place, sheetOf, table } from "../../panel/table";
import { type Address, address, go } from "../../state/address";
import { newest } from "../../state/feed";
import { coinOf, isStored, markets } from "../../state/markets";
import { say } from "../../text";
import { Loader } from "../loader";
import { type Grade, gradeColumns, loadGrades } from "./grades";
import { type View, changed } from "../view";

interface Series {
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

interface Exchange {
  exchange: string;
  kinds: string[];
  series: number;
  rows: number;
  first: number;
  last: number;
  gaps: number;
}

interface Gap {
  exchange: string;
  symbol: string;
  stream: string;
  since: number;
  until: number;
  reason: string;
}

/** Rows of series shown at once: a page that scrolls for ever helps nobody. */
const MOST = 400;

export function dataView(): View {
  return new DataView();
}

class DataView implements View {
  readonly element: HTMLElement;
  #gaps: Gap[] = [];
  #exchangeSort = "exchange";
  #gapSort = "-since";
  readonly #gapLoader = new Loader((signal) => this.#loadGaps(signal));
  readonly #exchanges: Panel;
  readonly #series: Panel;
  readonly #gapPanel: Panel;
  readonly #gradePanel: Panel;
  readonly #gradeLoader = new Loader((signal) => this.#loadGrades(signal));
  #grades: Grade[] = [];
  #gradeSort = "-grade";

  constructor() {
    const words = say().data;
    this.#exchanges = new Panel({
      title: words.exchangesTitle,
      note: words.exchangesNote,
      name: "exchanges",
      sheet: () => sheetOf(exchanges(), exchangeColumns()),
    });
    this.#gapPanel = new Panel({
      title: words.gapsTitle,
      note: words.gapsNote,
      name: "gaps",
      sheet: () => sheetOf(this.#gaps, gapColumns()),
    });
    this.#series = new Panel({
      title: words.title,
      note: words.note,
      name: "series",
      tools: [this.#filter()],
      sheet: () => sheetOf(this.#shown(), seriesColumns()),
    });
    this.#gradePanel = new Panel({
      title: words.gradesTitle,
      note: words.gradesNote,
      name: "grades",
      sheet: () => sheetOf(this.#grades, gradeColumns()),
    });
    this.#gradePanel.body.classList.add("bounded");
    const upper = h("div", { class: "halves" }, this.#exchanges.element, this.#gapPanel.element);
    this.element = h("div", { class: "view data" }, upper, this.#gradePanel.element, this.#series.element);
    this.renew();
    this.#gradeLoader.start(); // a week's grades do not change by the minute
  }

  follow(now: Address, before: Address): void {
    if (changed(now, before, "sort", "filter")) this.#showSeries();
  }

  renew(): void {
    this.#showExchanges();
    this.#showSeries();
    this.#gapLoader.renew();
  }

  dispose(): void {
    this.#gapLoader.dispose();
    this.#gradeLoader.dispose();
  }

  #showExchanges(): void {
    place(
      this.#exchanges.body,
      table(exchanges(), {
        name: say().data.exchangesTitle,
        columns: exchangeColumns(),
        sort: this.#exchangeSort,
        sorted: (sort) => {
          this.#exchangeSort = sort;
          this.#showExchanges();
        },
      }),
    );
    if (exchanges().length) this.#exchanges.ready();
    else this.#exchanges.empty(say().panel.nothing, say().market.emptyTodo);
  }

  #shown(): Series[] {
    const wanted = address.value.filter.trim().toLowerCase().split(/\s+/);
    const found = series().filter((one) => {
      const text = `${one.kind} ${one.exchange} ${one.symbol} ${one.detail}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    const { sort } = address.value;
    const known = seriesColumns().some(({ key }) => key === sort.replace(/^-/, ""));
    return ordered(found, seriesColumns(), known ? sort : "kind");
  }

  #showSeries(): void {
    const found = this.#shown();
    this.#series.note(say().data.shown(count(Math.min(MOST, found.length)), count(found.length)));
    place(
      this.#series.body,
      table(found.slice(0, MOST), {
        name: say().data.title,
        columns: seriesColumns(),
        sort: address.value.sort,
        sorted: (sort) => go({ sort }),
      }),
    );
    if (found.length) this.#series.ready();
    else this.#series.empty(say().data.noMatch, say().market.noMatchTodo);
  }

  async #loadGaps(signal: AbortSignal): Promise<void> {
    try {
      const stored = isStored("gap");
      this.#gaps = read(stored ? await askOrEmpty("/rows/gap", { limit: 1_000 }, signal) : Table.empty);
      this.#showGaps();
    } catch (error) {
      if (!signal.aborted) this.#gapPanel.failed(error, () => this.#gapLoader.start());
    }
  }

  #showGaps(): void {
    if (!this.#gaps.length) {
      this.#gapPanel.empty(say().data.noGaps, say().data.noGapsWhy);
      return;
    }
    place(
      this.#gapPanel.body,
      table(this.#gaps, {
        name: say().data.gapsTitle,
        columns: gapColumns(),
        sort: this.#gapSort,
        sorted: (sort) => {
          this.#gapSort = sort;
          this.#showGaps();
        },
      }),
    );
    this.#gapPanel.ready();
  }

  async #loadGrades(signal: AbortSignal): Promise<void> {
    try {
      this.#grades = await loadGrades(signal);
      this.#showGrades();
    } catch (error) {
      if (!signal.aborted) this.#gradePanel.failed(error, () => this.#gradeLoader.start());
    }
  }

  #showGrades(): void {
    if (!this.#grades.length) {
      this.#gradePanel.empty(say().panel.nothing);
      return;
    }
    place(
      this.#gradePanel.body,
      table(this.#grades, {
        name: say().data.gradesTitle,
        columns: gradeColumns(),
        sort: this.#gradeSort,
        sorted: (sort) => {
          this.#gradeSort = sort;
          this.#showGrades();
        },
      }),
    );
    this.#gradePanel.ready();
  }

  #filter(): HTMLElement {
    return h("input", {
      class: "field filter",
      type: "search",
      value: address.value.filter,
      placeholder: say().market.filter,
      "aria-label": say().market.filter,
      onInput: (event: Event) => go({ filter: (event.target as HTMLInputElement).value }),
    });
  }
}

function series(): Series[] {
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

function exchanges(): Exchange[] {
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

function read(gaps: Table): Gap[] {
  const [since, until] = [gaps.times("since"), gaps.times("until")];
  const opened = since.length ? since : gaps.times("time");
  return Array.from(opened, (from, row) => ({
    exchange: String(gaps.value("exchange", row) ?? ""),
    symbol: String(gaps.value("symbol", row) ?? ""),
    stream: String(gaps.value("stream", row) ?? ""),
    since: from,
    until: until[row] ?? Number.NaN,
    reason: String(gaps.value("reason", row) ?? ""),
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

function exchangeColumns(): Column<Exchange>[] {
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

function seriesColumns(): Column<Series>[] {
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

function gapColumns(): Column<Gap>[] {
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
