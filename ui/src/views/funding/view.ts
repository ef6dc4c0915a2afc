/** Funding and basis: what leverage costs on each market, and what it has cost. */

import type { Table } from "../../api/columns";
import { plot, plotHost } from "../../charts/plot";
import { h } from "../../dom";
import { count, moment, percent, tone } from "../../format";
import { Panel } from "../../panel/panel";
import { type Column, place, sheetOf, table } from "../../panel/table";
import { type Address, RANGES, address, go } from "../../state/address";
import { coinOf, markets } from "../../state/markets";
import { say } from "../../text";
import { Loader } from "../loader";
import { type View, changed } from "../view";
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
  #markets: Market[] = [];
  #sort = "exchange";
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
    this.element = h("div", { class: "view funding" }, this.#bar, this.#history.element, this.#table.element);
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
    try {
      const [found, weighted] = await Promise.all([
        loadMarkets(address.value, signal),
        loadWeighted(address.value, signal),
      ]);
      this.#markets = found;
      if (!found.length) {
        for (const panel of [this.#table, this.#history]) panel.empty(say().panel.nothing, say().market.emptyTodo);
        return;
      }
      this.#showTable();
      this.#showHistory(weighted);
    } catch (error) {
      if (signal.aborted) return;
      for (const panel of [this.#table, this.#history]) panel.failed(error, () => this.#loader.start());
    }
  }

  #showTable(): void {
    place(
      this.#table.body,
      table(this.#markets, {
        name: say().funding.title,
        columns: columns(),
        sort: this.#sort,
        sorted: (sort) => {
          this.#sort = sort;
          this.#showTable();
        },
      }),
    );
    this.#table.ready();
  }

  /** The mean as steps over each market's own settlements. */
  #showHistory(weighted: Table): void {
    for (const undo of this.#undo) undo();
    const host = plotHost(300);
    this.#history.body.replaceChildren(host);
    const shown = this.#markets.slice(0, COLOURS.length);
    const means = weighted.times();
    const x = [...new Set([...means, ...shown.flatMap(({ times }) => times)])].sort((a, b) => a - b);
    const place = new Map(x.map((time, index) => [time, index]));
    const held = (times: ArrayLike<number>, values: ArrayLike<number>): (number | null)[] => {
      const line: (number | null)[] = x.map(() => null);
      for (let row = 0; row < times.length; row++) line[place.get(times[row]!)!] = values[row]!;
      return carried(line);
    };
    this.#undo = [
      plot(host, {
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
            kind: "steps" as const,
          })),
          { name: say().funding.weighted, colour: "ink", values: held(means, weighted.numbers("apr")), kind: "steps" as const },
        ],
      }),
    ];
    this.#history.ready();
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
