/** Options: what they say, and what they hide. */

import { plot, plotHost, type PlotOptions } from "../../charts/plot";
import { fill, h } from "../../dom";
import { day, dollars, moment, percent, price, ratio, short } from "../../format";
import { Panel } from "../../panel/panel";
import type { Sheet } from "../../panel/export";
import { type Column, place, sheetOf, table } from "../../panel/table";
import { type Address, address, go } from "../../state/address";
import { coinOf } from "../../state/markets";
import { say } from "../../text";
import { Loader } from "../loader";
import { type View, changed } from "../view";
import { type Chain, expiries, loadChain, optionCoins } from "./load";
import * as plots from "./plots";

type Plot = "byStrike" | "byExpiry" | "smile" | "term" | "gamma" | "history";
const PLOTS: Plot[] = ["byStrike", "smile", "byExpiry", "term", "gamma", "history"];
const HEIGHT = 236;

export function optionsView(): View {
  return new OptionsView();
}

class OptionsView implements View {
  readonly element: HTMLElement;
  readonly #bar = h("div", { class: "toolbar" });
  readonly #figures: Panel;
  readonly #table: Panel;
  readonly #panels = new Map<Plot, Panel>();
  readonly #loader = new Loader((signal) => this.#load(signal));
  #chain: Chain | null = null;
  #undo: (() => void)[] = [];
  #sort = "expiry";

  constructor() {
    const words = say().options;
    this.#figures = new Panel({ title: words.title, name: "options", className: "figures-panel", sheet: () => this.#summarySheet() });
    this.#figures.body.classList.add("figures");
    this.#table = new Panel({ title: words.table, name: "options-by-expiry", sheet: () => sheetOf(this.#rows(), columns()) });
    for (const name of PLOTS) {
      this.#panels.set(name, new Panel({ title: words[name], note: words.notes[name], name: `options-${name}`, sheet: () => this.#plotSheet(name) }));
    }
    this.element = h(
      "div",
      { class: "view options" },
      this.#bar,
      this.#figures.element,
      h("div", { class: "halves" }, ...[...this.#panels.values()].map(({ element }) => element)),
      this.#table.element,
    );
    this.#loader.start();
  }

  follow(now: Address, before: Address): void {
    if (changed(now, before, "symbol")) this.#loader.start();
    else if (changed(now, before, "expiry")) this.#draw();
  }

  renew(): void {
    this.#loader.renew();
  }

  dispose(): void {
    this.#loader.dispose();
    for (const undo of this.#undo) undo();
  }

  get #coin(): string {
    const coins = optionCoins();
    const wanted = coinOf(address.value.symbol);
    return coins.includes(wanted) ? wanted : (coins[0] ?? "");
  }

  async #load(signal: AbortSignal): Promise<void> {
    const words = say().options;
    this.#showBar();
    const all = [this.#figures, this.#table, ...this.#panels.values()];
    if (!this.#coin) {
      for (const panel of all) panel.empty(words.none, words.todo);
      return;
    }
    try {
      this.#chain = await loadChain(this.#coin, signal);
      this.#draw();
    } catch (error) {
      if (signal.aborted) return;
      for (const panel of all) panel.failed(error, () => this.#loader.start());
    }
  }

  #draw(): void {
    const chain = this.#chain;
    if (!chain) return;
    this.#showBar();
    this.#showFigures(chain);
    for (const undo of this.#undo) undo();
    this.#undo = PLOTS.map((name) => {
      const panel = this.#panels.get(name)!;
      const options = this.#plot(chain, name);
      if (!options.x.length) {
        panel.empty(say().panel.nothing);
        return () => {};
      }
      const host = plotHost(HEIGHT);
      panel.body.replaceChildren(host);
      panel.ready();
      return plot(host, options);
    });
    this.#showTable();
  }

  #plot(chain: Chain, name: Plot): PlotOptions {
    const chosen = this.#expiry(chain);
    switch (name) {
      case "byStrike":
        return plots.byStrike(chain, chosen);
      case "smile":
        return plots.smile(chain, chosen ?? nearest(chain));
      default:
        return plots[name](chain);
    }
  }

  /** The expiry that the address names; null for all. */
  #expiry(chain: Chain): number | null {
    return expiries(chain).find((time) => day(time) === address.value.expiry) ?? null;
  }

  #showBar(): void {
    const words = say().options;
    const chain = this.#chain;
    const { expiry } = address.value;
    fill(
      this.#bar,
      h(
        "select",
        {
          class: "field strong",
          "aria-label": say().symbol.contract,
          onChange: (event: Event) => go({ symbol: (event.target as HTMLSelectElement).value, expiry: "" }),
        },
        ...optionCoins().map((coin) => h("option", { value: coin, selected: coin === this.#coin }, coin)),
      ),
      h(
        "div",
        { class: "group", role: "group", "aria-label": words.expiry },
        ...["", ...(chain ? expiries(chain).map(day) : [])].map((one) =>
          h("button", { class: "button", "aria-pressed": String(one === expiry), onClick: () => go({ expiry: one }) }, one ? one.slice(2) : words.all),
        ),
      ),
      h("span", { class: "faint" }, chain ? words.asOf(moment(chain.time)) : ""),
    );
  }

  #showFigures(chain: Chain): void {
    const words = say().options;
    const figure = (name: keyof typeof words.figures, key: string, show: (value: number) => string): HTMLElement => {
      const found = chain.summary.get(key);
      const rank = found && Number.isFinite(found.percentile) ? words.rank(percent(found.percentile, 0)) : words.unranked;
      const unusual = found && Number.isFinite(found.z) ? ` · z\u00a0${ratio(found.z, 1)}` : "";
      const [title, note] = words.figures[name];
      return h(
        "div",
        { class: "figure", title: note ?? null },
        h("h3", {}, title ?? ""),
        h("p", { class: "figure-value" }, show(found?.value ?? Number.NaN)),
        h("p", { class: "figure-note" }, rank + unusual),
      );
    };
    fill(
      this.#figures.body,
      figure("putCall", "put_call_open_interest", (value) => ratio(value)),
      figure("putCallVolume", "put_call_volume", (value) => ratio(value)),
      figure("held", "open_interest", (value) => short(value)),
      figure("far", "beyond_90", (value) => percent(value, 0)),
      figure("leverage", "leverage", (value) => `${ratio(value, 1)}×`),
      figure("index", "index_30", (value) => percent(value, 0)),
      figure("atm", "atm_30", (value) => percent(value, 0)),
      figure("reversal", "risk_reversal_30", (value) => percent(value, 1)),
      figure("strangle", "strangle_30", (value) => percent(value, 1)),
      figure("gamma", "naive_usd", (value) => dollars(value)),
      figure("blocks", "block_share", (value) => percent(value, 0)),
    );
    this.#figures.ready();
  }

  #rows(): number[] {
    return [...(this.#chain?.byExpiry.numbers("days").keys() ?? [])];
  }

  #showTable(): void {
    const chain = this.#chain;
    if (!chain) return;
    place(
      this.#table.body,
      table(this.#rows(), {
        name: say().options.table,
        columns: columns(chain),
        sort: this.#sort,
        sorted: (sort) => {
          this.#sort = sort;
          this.#showTable();
        },
      }),
    );
    this.#table.ready();
  }

  #summarySheet(): Sheet {
    const rows = [...(this.#chain?.summary ?? [])];
    return {
      columns: ["measure", "value", "unit", "percentile"],
      rows: rows.map(([name, { value, unit, percentile }]) => [name, value, unit, percentile]),
    };
  }

  #plotSheet(name: Plot): Sheet {
    if (!this.#chain) return { columns: [], rows: [] };
    const { x, lines } = this.#plot(this.#chain, name);
    return {
      columns: ["x", ...lines.map((line) => line.name)],
      rows: Array.from(x, (value, row) => [value, ...lines.map((line) => line.values[row])]),
    };
  }
}

/** The first expiry that is a week away, whose smile is told best. */
function nearest(chain: Chain): number {
  const times = expiries(chain);
  return times.find((time) => time - chain.time > 7 * 86_400) ?? times[0] ?? 0;
}

function columns(chain?: Chain): Column<number>[] {
  const words = say().options.columns;
  const from = chain?.byExpiry;
  const number = (key: keyof typeof words, show: (value: number) => string): Column<number> => ({
    key,
    title: words[key],
    value: (row) => from?.at(key, row) ?? null,
    show: (row) => show(from?.at(key, row) ?? Number.NaN),
  });
  const all: Column<number>[] = [
    {
      key: "expiry",
      title: words.expiry,
      words: true,
      value: (row) => from?.times("expiry")[row] ?? null,
      show: (row) => h("b", {}, day(from?.times("expiry")[row])),
    },
    number("days", (value) => ratio(value, 1)),
    number("calls", short),
    number("puts", short),
    number("put_call_open_interest", (value) => ratio(value)),
    number("put_call_volume", (value) => ratio(value)),
    number("notional_usd", dollars),
    number("premium_usd", dollars),
    number("leverage", (value) => `${ratio(value, 1)}×`),
    number("naive_usd", dollars),
    number("max_pain", price),
  ];
  const tones: Record<string, string> = { calls: "up", puts: "down" };
  return all.map((column) => ({ ...column, tone: () => tones[column.key] ?? "" }));
}

