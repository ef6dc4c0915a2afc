/** Exchanges and data: what is stored since when, what is missing, and how far behind it is. */

import { askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { h } from "../../dom";
import { count } from "../../format";
import { Panel } from "../../panel/panel";
import { ordered, place, sheetOf, table } from "../../panel/table";
import { type Address, address, go } from "../../state/address";
import { isStored } from "../../state/markets";
import { say } from "../../text";
import { Loader } from "../loader";
import { type Grade, gradeColumns, loadGrades } from "./grades";
import {
  type Gap,
  type Series,
  exchangeColumns,
  exchanges,
  gapColumns,
  gapsOf,
  series,
  seriesColumns,
} from "./rows";
import { type View, changed } from "../view";

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
      this.#gaps = gapsOf(stored ? await askOrEmpty("/rows/gap", { limit: 1_000 }, signal) : Table.empty);
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
