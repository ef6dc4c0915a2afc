/** The market: every coin's load, what it costs, and how fresh that is. */

import { h } from "../../dom";
import { dollars, percent } from "../../format";
import type { Sheet } from "../../panel/export";
import { Panel } from "../../panel/panel";
import { ordered, place, sheetOf, table } from "../../panel/table";
import { type Address, address, go } from "../../state/address";
import { say } from "../../text";
import { Loader } from "../loader";
import { type View, changed } from "../view";
import { columns } from "./coins";
import { figures, lastKnown } from "./figures";
import { fresh, freshSheet } from "./fresh";
import { growth } from "./growth";
import { heat, heatSheet } from "./heat";
import { type Coin, type Settled, type Whole, loadFunding, loadMarket } from "./load";

/** Coins whose funding is told by exchange. */
const HEATED = 14;

export function marketView(): View {
  return new MarketView();
}

class MarketView implements View {
  readonly element: HTMLElement;
  #coins: Coin[] = [];
  #settled: Settled[] = [];
  #whole: Whole | null = null;
  readonly #loader = new Loader((signal) => this.#load(signal));
  readonly #figures: Panel;
  readonly #table: Panel;
  readonly #heat: Panel;
  readonly #fresh: Panel;
  readonly #growth: Panel;
  #undo = (): void => {};

  constructor() {
    const words = say().market;
    this.#figures = new Panel({
      title: words.figures,
      name: "market",
      className: "figures-panel",
      sheet: () => this.#sheet(),
    });
    this.#figures.body.classList.add("figures");
    this.#table = new Panel({
      title: words.table,
      name: "coins",
      tools: [this.#filter()],
      sheet: () => sheetOf(this.#shown(), columns()),
    });
    this.#heat = new Panel({ title: words.heat, note: words.heatNote, name: "funding-by-exchange", sheet: () => heatSheet(this.#settled) });
    this.#fresh = new Panel({ title: words.freshness, note: words.freshnessNote, name: "freshness", sheet: freshSheet });
    this.#fresh.body.classList.add("bounded");
    this.#growth = new Panel({
      title: words.growth,
      note: words.growthNote,
      name: "growth",
      sheet: () => ({
        columns: ["coin", "hours_before", "open_interest_usd"],
        rows: this.#coins.flatMap(({ coin, open_interest_history: history }) =>
          history.map((value, hour) => [coin, history.length - 1 - hour, value]),
        ),
      }),
    });
    this.element = h(
      "div",
      { class: "view market" },
      this.#figures.element,
      this.#table.element,
      h("div", { class: "halves" }, this.#heat.element, this.#fresh.element),
      this.#growth.element,
    );
    this.#loader.start();
  }

  follow(now: Address, before: Address): void {
    if (changed(now, before, "sort", "filter")) this.#showTable();
  }

  renew(): void {
    this.#loader.renew();
  }

  dispose(): void {
    this.#loader.dispose();
    this.#undo();
  }

  async #load(signal: AbortSignal): Promise<void> {
    this.#showFresh();
    try {
      ({ coins: this.#coins, whole: this.#whole } = await loadMarket(signal));
      this.#showTable();
      this.#showFigures();
      this.#showGrowth();
      const names = this.#coins.slice(0, HEATED).map(({ coin }) => coin);
      this.#settled = await loadFunding(names, signal);
      place(this.#heat.body, heat(this.#settled, names));
      if (this.#settled.length) this.#heat.ready();
      else this.#heat.empty(say().panel.nothing, lastKnown("funding"));
    } catch (error) {
      if (signal.aborted) return;
      for (const panel of [this.#figures, this.#table, this.#heat, this.#growth]) {
        panel.failed(error, () => this.#loader.start());
      }
    }
  }

  #shown(): Coin[] {
    const wanted = address.value.filter.trim().toUpperCase();
    const found = this.#coins.filter(({ coin }) => coin.toUpperCase().includes(wanted));
    return ordered(found, columns(), address.value.sort);
  }

  #showTable(): void {
    const words = say().market;
    const rows = this.#shown();
    if (!rows.length) {
      this.#table.empty(words.noMatch, words.noMatchTodo);
      return;
    }
    place(
      this.#table.body,
      table(rows, {
        name: words.table,
        columns: columns(),
        sort: address.value.sort,
        sorted: (sort) => go({ sort }),
        open: ({ coin }) => go({ view: "symbol", symbol: coin, exchanges: [] }, true),
      }),
    );
    this.#table.ready();
  }

  #showFigures(): void {
    if (!this.#whole) return;
    figures(this.#figures.body, this.#whole);
    const [largest] = this.#coins;
    const interest = this.#whole.open_interest_usd;
    if (largest) {
      const share = percent(largest.open_interest_usd / interest, 0);
      this.#figures.summary(say().market.said(dollars(interest), largest.coin, share));
    }
    this.#figures.ready();
  }

  #sheet(): Sheet {
    const { oldest, absent, ...numbers } = this.#whole ?? ({} as Partial<Whole>);
    const whole = { ...numbers, absent: (absent ?? []).join(" ") };
    return { columns: Object.keys(whole), rows: [Object.values(whole)] };
  }

  #showGrowth(): void {
    this.#undo();
    this.#undo = growth(this.#growth.body, this.#coins);
    this.#growth.ready();
  }

  #showFresh(): void {
    place(this.#fresh.body, fresh());
    this.#fresh.ready();
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
