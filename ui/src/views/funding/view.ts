/** Funding and basis: what leverage costs on each market, and what it has cost. */

import { Table } from "../../api/columns";
import { type PlotOptions, plot, plotHost } from "../../charts/plot";
import { h } from "../../dom";
import { count, moment, percent, tone } from "../../format";
import { Panel } from "../../panel/panel";
import type { Sheet } from "../../panel/export";
import { type Column, place, sheetOf, table } from "../../panel/table";
import { type Address, RANGES, address, go } from "../../state/address";
import { coinOf, markets } from "../../state/markets";
import { say } from "../../text";
import { fixed } from "../../text/told";
import { Loader } from "../loader";
import { type View, changed } from "../view";
import {
  basisColumns,
  basisRows,
  curve,
  dispersion,
  earnedColumns,
  loadArbitrage,
  loadBasis,
  loadDispersion,
} from "./basis";
import { deviations, fairSheet, loadFair, unknown } from "./fair";
import { type Market, loadMarkets, loadWeighted } from "./load";

const COLOURS = ["series", "series-2", "series-3", "series-4", "long", "short"];

export function fundingView(): View {
  return new FundingView();
}

class FundingView implements View {
  readonly element: HTMLElement;
  readonly #bar = h("div", { class: "toolbar" });
  readonly #table: Panel;
  readonly #history: Panel;
  readonly #curve: Panel;
  readonly #dispersion: Panel;
  readonly #fair: Panel;
  readonly #basis: Panel;
  readonly #earned: Panel;
  #basisTable = Table.empty;
  #earnedTable = Table.empty;
  #spread = Table.empty;
  #fairTable = Table.empty;
  #markets: Market[] = [];
  #sorts = { table: "exchange", basis: "exchange", earned: "-net" };
  #undo: (() => void)[] = [];
  readonly #loader = new Loader((signal) => this.#load(signal));

  constructor() {
    const words = say().funding;
    this.#table = new Panel({
      title: words.title,
      note: words.note,
      name: "funding",
      sheet: () => sheetOf(this.#markets, columns()),
    });
    this.#history = new Panel({
      title: words.history,
      note: words.historyNote,
      name: "funding-history",
      sheet: () => ({
        columns: ["time", "exchange", "symbol", "apr"],
        rows: this.#markets.flatMap(({ exchange, symbol, times, aprs }) =>
          times.map((time, row) => [new Date(time * 1000).toISOString(), exchange, symbol, aprs[row]]),
        ),
      }),
    });
    this.#curve = new Panel({ title: words.curve, note: words.curveNote, name: "term-structure", sheet: () => sheetOf(basisRows(this.#basisTable), basisColumns(this.#basisTable)) });
    this.#dispersion = new Panel({
      title: words.dispersion,
      note: words.dispersionNote,
      name: "funding-dispersion",
      sheet: () => rawSheet(this.#spread, ["median", "lowest", "highest", "spread"]),
    });
    this.#fair = new Panel({ title: words.fair, note: words.fairNote, name: "fair-value", sheet: () => fairSheet(this.#fairTable) });
    this.#basis = new Panel({ title: words.basis, note: words.basisNote, name: "basis", sheet: () => sheetOf(basisRows(this.#basisTable), basisColumns(this.#basisTable)) });
    this.#earned = new Panel({ title: words.earned, note: words.earnedNote, name: "carry-earned", sheet: () => sheetOf([...this.#earnedTable.numbers("net").keys()], earnedColumns(this.#earnedTable)) });
    this.element = h(
      "div",
      { class: "view funding" },
      this.#bar,
      this.#history.element,
      h("div", { class: "halves" }, this.#curve.element, this.#dispersion.element),
      this.#fair.element,
      this.#table.element,
      this.#earned.element,
      this.#basis.element,
    );
    this.#showBar();
    this.#loader.start();
  }

  follow(now: Address, before: Address): void {
    if (!changed(now, before, "symbol", "range", "exchanges")) return;
    this.#showBar();
    this.#loader.start();
  }

  renew(): void {
    this.#loader.renew();
  }

  dispose(): void {
    this.#loader.dispose();
    for (const undo of this.#undo) undo();
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { value } = address;
    try {
      const [found, weighted, basis, spread, earned, fair] = await Promise.all([
        loadMarkets(value, signal),
        loadWeighted(value, signal),
        loadBasis(value, signal),
        loadDispersion(value, signal),
        loadArbitrage(value, signal),
        loadFair(value, signal),
      ]);
      this.#markets = found;
      [this.#basisTable, this.#spread, this.#earnedTable, this.#fairTable] = [basis, spread, earned, fair];
      for (const undo of this.#undo) undo();
      this.#undo = [];
      this.#showHistory(weighted);
      this.#showPlot(this.#curve, curve(basis));
      this.#showPlot(this.#dispersion, dispersion(spread));
      this.#showPlot(this.#fair, deviations(fair), fixed(unknown(fair) ?? say().panel.nothing));
      this.#showTables();
    } catch (error) {
      if (signal.aborted) return;
      for (const panel of this.#panels) panel.failed(error, () => this.#loader.start());
    }
  }

  get #panels(): Panel[] {
    return [this.#table, this.#history, this.#curve, this.#dispersion, this.#fair, this.#basis, this.#earned];
  }

  #showTables(): void {
    const words = say().funding;
    this.#showTable(this.#table, "table", words.title, this.#markets, columns());
    this.#showTable(this.#basis, "basis", words.basis, basisRows(this.#basisTable), basisColumns(this.#basisTable));
    const pairs = [...this.#earnedTable.numbers("net").keys()];
    this.#showTable(this.#earned, "earned", words.earned, pairs, earnedColumns(this.#earnedTable));
  }

  #showTable<Row>(
    panel: Panel,
    key: "table" | "basis" | "earned",
    name: string,
    rows: Row[],
    all: Column<Row>[],
  ): void {
    if (!rows.length) {
      panel.empty(say().panel.nothing);
      return;
    }
    const sort = this.#sorts[key];
    const sorted = (next: string): void => {
      this.#sorts[key] = next;
      this.#showTables();
    };
    place(panel.body, table(rows, { name, columns: all, sort, sorted }));
    panel.ready();
  }

  #showPlot(panel: Panel, options: PlotOptions, nothing = say().panel.nothing): void {
    if (!options.x.length) {
      panel.empty(nothing);
      return;
    }
    const host = plotHost(230);
    panel.body.replaceChildren(host);
    panel.ready();
    this.#undo.push(plot(host, options));
  }

  /** The mean as steps over each market's own settlements. */
  #showHistory(weighted: Table): void {
    const shown = this.#markets.slice(0, COLOURS.length);
    const means = weighted.times();
    const x = [...new Set([...means, ...shown.flatMap(({ times }) => times)])].sort((a, b) => a - b);
    const at = new Map(x.map((time, index) => [time, index]));
    const held = (times: ArrayLike<number>, values: ArrayLike<number>): (number | null)[] => {
      const line: (number | null)[] = x.map(() => null);
      for (let row = 0; row < times.length; row++) line[at.get(times[row]!)!] = values[row]!;
      return carried(line);
    };
    const steps = "steps" as const;
    this.#showPlot(this.#history, {
      x,
      time: true,
      zero: true,
      cut: true,
      label: say().funding.history,
      y: (value) => percent(value, 0, true),
      lines: [
        ...shown.map(({ exchange, symbol, times, aprs }, index) => ({
          name: `${exchange} ${symbol}`,
          colour: COLOURS[index]!,
          values: held(times, aprs),
          kind: steps,
        })),
        { name: say().funding.weighted, colour: "ink", values: held(means, weighted.numbers("apr")), kind: steps },
      ],
    });
  }

  #showBar(): void {
    const { symbol, range } = address.value;
    const coins = markets.value.coins;
    this.#bar.replaceChildren(
      h(
        "select",
        {
          class: "field strong",
          "aria-label": say().symbol.contract,
          onChange: (event: Event) => go({ symbol: (event.target as HTMLSelectElement).value, exchanges: [] }),
        },
        ...coins.map((coin) => h("option", { value: coin, selected: coin === coinOf(symbol) }, coin)),
      ),
      h(
        "div",
        { class: "group", role: "group", "aria-label": say().symbol.range },
        ...RANGES.map((one) =>
          h("button", { class: "button", "aria-pressed": String(one === range), onClick: () => go({ range: one }) }, one),
        ),
      ),
    );
  }
}

/** What was settled last holds until the next settlement. */
function carried(line: (number | null)[]): (number | null)[] {
  let last: number | null = null;
  return line.map((value) => (last = value ?? last));
}

/** Columns of a table as they came, by time. */
function rawSheet(table: Table, names: string[]): Sheet {
  const times = table.times();
  return {
    columns: ["time", ...names],
    rows: Array.from(times, (time, row) => [
      new Date(time * 1000).toISOString(),
      ...names.map((name) => table.at(name, row)),
    ]),
  };
}

function columns(): Column<Market>[] {
  const words = say().funding;
  const number = (
    key: "apr" | "rate" | "interval_hours" | "excess" | "cumulative" | "streak" | "percentile" | "time",
    show: (value: number) => string,
    signed = false,
  ): Column<Market> => ({
    key,
    title: words.columns[key],
    value: (market) => market[key],
    show: (market) => show(market[key]),
    ...(signed ? { tone: (market: Market) => tone(market[key]) } : {}),
  });
  const word = (key: "exchange" | "symbol"): Column<Market> => ({
    key,
    title: words.columns[key],
    words: true,
    value: (market) => market[key],
  });
  return [
    word("exchange"),
    word("symbol"),
    number("apr", (value) => percent(value, 1, true), true),
    number("rate", (value) => percent(value, 4, true)),
    number("interval_hours", (value) => words.hours(count(value))),
    number("excess", (value) => percent(value, 1, true), true),
    number("cumulative", (value) => percent(value, 2, true), true),
    number("streak", (value) => count(value)),
    number("percentile", (value) => percent(value, 0)),
    number("time", moment),
  ];
}
