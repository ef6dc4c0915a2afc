/** A symbol: candles over the map, panes under it, what stands now beside it. */

import { Table } from "../../api/columns";
import type { Look } from "../../charts/heatmap/bitmap";
import type { HeatMap } from "../../charts/heatmap/data";
import { fill, h } from "../../dom";
import { count, dollars, moment, percent, price as priced } from "../../format";
import { Panel } from "../../panel/panel";
import { Progress, words as stageWords } from "../../panel/progress";
import { type Address, type Pane, RANGES, address, go } from "../../state/address";
import { say } from "../../text";
import { Loader } from "../loader";
import { type View, changed } from "../view";
import { MarketChart, type Pointed } from "./chart";
import { Legend, key, said } from "./legend";
import { burstsOf } from "./bursts";
import { type Forced, type Span, loadBursts, loadClusters, loadForced, loadMap, loadPane, loadProvenance } from "./load";
import { MOST } from "./marks";
import { bubblesOf, sheetOf } from "./rows";
import { Profile } from "./profile";
import { clusterList, labels, provenance } from "./side";
import { toolbar } from "./toolbar";

/** What makes the data, as against how they are looked at. */
const ASKED = ["symbol", "exchanges", "range", "model", "leverage"] as const;

/** Names a question about the map. */
function asked(shown: Address): string {
  return JSON.stringify(ASKED.map((part) => shown[part]));
}

export function symbolView(): View {
  return new SymbolView();
}

class SymbolView implements View {
  readonly element: HTMLElement;
  readonly #panel: Panel;
  readonly #host = h("div", { class: "chart-host" });
  readonly #side = h("aside", { class: "side" });
  readonly #drawer = h("aside", { class: "drawer", hidden: true, tabindex: -1 });
  readonly #legend = new Legend();
  readonly #profile = new Profile();
  readonly #progress = new Progress();
  /** What the map that is drawn says of itself. */
  #facts: Record<string, unknown> = {};
  readonly #bar = toolbar(() => void this.#share(), {
    top: () => this.#top,
    facts: () => this.#facts,
  });
  readonly #chart: MarketChart;
  readonly #loader = new Loader((signal) => this.#load(signal));
  #tables = new Map<Pane, Table>();
  #forced: Forced = { rows: Table.empty, since: null };
  #bursts = Table.empty;
  #clusters: Table | null = null;
  /** What the map that is drawn answers, and what one is being asked for meanwhile. */
  #answered = "";
  #begun = "";
  /** What the clusters wait for. */
  #waiting = "";
  #top = 1;
  #moving = 0;

  constructor() {
    const { symbol } = address.value;
    this.#panel = new Panel({
      title: say().symbol.title(symbol),
      name: `symbol-${symbol.replaceAll(/[^\w-]/g, "-")}`,
      sheet: () => sheetOf(this.#map),
      className: "symbol-panel",
    });
    this.#panel.body.append(
      h("div", { class: "chart-area" }, this.#host, this.#legend.element, this.#legend.tip),
      h("div", { class: "beside" }, this.#profile.canvas, this.#side),
      this.#drawer,
    );
    this.#panel.element.append(this.#progress.element);
    this.element = h("div", { class: "view symbol" }, this.#bar.element, this.#panel.element);
    this.#chart = new MarketChart(this.#host, {
      drawn: (scales, height) => this.#profile.draw(scales, height),
      pointed: (at) => this.#pointed(at),
      clicked: (at) => this.#clicked(at),
      moved: () => this.#moved(),
    });
    this.#loader.start();
    void this.#openCell(address.value);
  }

  get keys(): NonNullable<View["keys"]> {
    const move = this.#chart.gestures;
    const range = (step: number): void => {
      const next = RANGES[RANGES.indexOf(address.value.range) + step];
      if (next) go({ range: next, span: null, prices: null });
    };
    return {
      ArrowLeft: () => move.pan(-0.1),
      ArrowRight: () => move.pan(0.1),
      ArrowUp: (event) => (event.shiftKey ? move.stretch(0.85) : move.lift(0.08)),
      ArrowDown: (event) => (event.shiftKey ? move.stretch(1.18) : move.lift(-0.08)),
      "+": () => move.zoom(0.75),
      "=": () => move.zoom(0.75),
      "-": () => move.zoom(1.33),
      "0": () => move.refit(),
      "[": () => range(-1),
      "]": () => range(1),
      l: () => go({ log: !address.value.log, prices: null }),
      m: () => go({ map: !address.value.map }),
      b: () => go({ bubbles: !address.value.bubbles }),
      c: () => go({ clusters: !address.value.clusters }),
      x: () => this.#bar.open("leverage"),
      s: () => void this.#share(),
      Escape: () => go({ cell: null }),
    };
  }

  follow(now: Address, before: Address): void {
    this.#bar.update();
    if (changed(now, before, ...ASKED)) {
      if (changed(now, before, "symbol", "range")) this.#chart.refit();
      this.#clusters = null;
      this.#panel.element.querySelector("h2")!.textContent = say().symbol.title(now.symbol);
      this.#loader.start();
    } else if (changed(now, before, "map", "log")) this.#draw();
    else if (changed(now, before, "palette", "threshold", "top")) this.#look();
    if (changed(now, before, "panes")) void this.#loadPanes(now.panes.filter((pane) => !this.#tables.has(pane)));
    if (changed(now, before, "bubbles", "clusters", "cell")) this.#mark();
    if (changed(now, before, "cell", "symbol", "exchanges", "model", "leverage")) void this.#openCell(now);
    if (changed(now, before, "zone")) this.#legend.update(this.#chart, null);
  }

  renew(): void {
    this.#loader.renew();
  }

  dispose(): void {
    this.#loader.dispose();
    clearTimeout(this.#moving);
    this.#chart.dispose();
  }

  #span: Span | null = null;

  async #load(signal: AbortSignal): Promise<void> {
    this.#panel.loading();
    this.#panel.element.setAttribute("aria-busy", "true");
    const shown = address.value;
    const meanwhile = new AbortController();
    try {
      const { map, span } = await loadMap(shown, signal, (stages) => {
        const early = shown.model === "fitted" && this.#answered !== asked(shown);
        if (early && this.#answered !== asked({ ...shown, model: "prior" })) void this.#meanwhile(shown, meanwhile);
        if (!signal.aborted) this.#progress.show(stages, early ? say().symbol.notFitted : "");
      });
      this.#take(map, span, shown);
      this.#progress.hide();
      this.#tables.clear();
      await Promise.all([this.#loadPanes(address.value.panes), this.#loadClusters(signal)]);
    } catch (error) {
      if (!signal.aborted) this.#panel.failed(error, () => this.#loader.start());
    } finally {
      meanwhile.abort();
      if (!signal.aborted) {
        this.#panel.element.removeAttribute("aria-busy");
        this.#progress.hide();
      }
    }
  }

  /** Show the map before it is fitted, once, while the fit takes its time. */
  async #meanwhile(shown: Address, controller: AbortController): Promise<void> {
    const plain: Address = { ...shown, model: "prior" };
    if (this.#begun === asked(plain)) return;
    this.#begun = asked(plain);
    try {
      const { signal } = controller;
      const stop = (): void => controller.abort();
      this.#loader.signal.addEventListener("abort", stop);
      const { map, span } = await loadMap(plain, signal);
      if (signal.aborted) return;
      this.#take(map, span, plain);
      await this.#loadPanes(address.value.panes);
    } catch {
      // What is being fitted says what is wrong.
    } finally {
      this.#begun = "";
    }
  }

  #take(map: HeatMap, span: Span, shown: Address): void {
    this.#span = span;
    this.#top = shown.top ?? map.top();
    this.#answered = asked(shown);
    this.#facts = map.table.facts;
    this.#panel.ready();
    this.#draw(map);
    this.#bar.update();
  }

  async #loadPanes(wanted: Pane[]): Promise<void> {
    const { signal } = this.#loader;
    const span = this.#span;
    if (!span) return;
    // Bars say which single liquidations are asked for as bubbles.
    const asked = new Set<Pane>([...wanted, ...(this.#tables.has("liquidations") ? [] : ["liquidations" as const])]);
    await Promise.all(
      [...asked].map(async (pane) => {
        this.#tables.set(pane, await loadPane(pane, address.value, span, signal));
      }),
    );
    if (signal.aborted) return;
    this.#chart.showPanes(address.value.panes.map((pane) => [pane, this.#tables.get(pane) ?? Table.empty]), address.value.symbol);
    if (asked.has("liquidations")) {
      [this.#forced, this.#bursts] = await Promise.all([
        loadForced(this.#tables.get("liquidations")!, address.value, span, signal),
        loadBursts(address.value, span, signal),
      ]);
      if (signal.aborted) return;
    }
    this.#mark();
    requestAnimationFrame(() => this.#legend.update(this.#chart, null));
  }

  async #loadClusters(signal: AbortSignal): Promise<void> {
    const found = await loadClusters(address.value, signal, (stages) => {
      if (signal.aborted || this.#clusters) return;
      this.#waiting = stageWords(stages);
      this.#sideNow();
    });
    if (signal.aborted) return;
    this.#clusters = found;
    this.#waiting = "";
    this.#mark();
  }

  get #map(): HeatMap | null {
    return this.#chart.map;
  }

  #lookNow(): Look {
    const { palette, threshold } = address.value;
    return { palette, threshold, top: this.#top };
  }

  #draw(map = this.#map): void {
    if (!map) return;
    this.#chart.show(map, address.value, this.#lookNow());
    this.#profile.show(map);
    this.#sideNow();
    this.#say(map);
    this.#legend.update(this.#chart, null);
  }

  #look(): void {
    this.#top = address.value.top ?? this.#map?.top() ?? 1;
    this.#chart.look(address.value, this.#lookNow());
    this.#sideNow();
  }

  #sideNow(): void {
    const map = this.#map;
    if (map) fill(this.#side, clusterList(this.#clusters, this.#waiting), key(map, this.#lookNow()));
  }

  #mark(): void {
    const { bubbles, clusters, cell } = address.value;
    const drawn = bubbles && this.#map ? bubblesOf(this.#map, this.#forced.rows) : [];
    const { since } = this.#forced;
    this.#legend.bubbles =
      drawn.length > MOST ? say().symbol.largest(count(MOST), count(drawn.length), since === null ? null : moment(since)) : "";
    this.#chart.marks(
      drawn,
      clusters && this.#areOfNow() ? labels(this.#clusters ?? Table.empty, cell) : [],
    );
    this.#legend.bursts = this.#map ? burstsOf(this.#map, this.#bursts) : [];
    this.#chart.bursts(this.#legend.bursts, bubbles);
    this.#sideNow();
  }

  /** Clusters stand where the newest prices are, and a map may end long before. */
  #areOfNow(): boolean {
    const end = this.#map?.time.at(-1) ?? Number.NaN;
    const time = this.#clusters?.times()[0] ?? Number.NaN;
    return Math.abs(time - end) <= Math.max(86_400, 2 * (this.#map?.interval ?? 0));
  }

  #pointed(at: Pointed | null): void {
    this.#legend.update(this.#chart, at);
    const map = this.#map;
    if (!map) return;
    const column = at && map.isKnown(at.column) ? at.column : map.last;
    this.#profile.show(map, column);
  }

  /** A click on the map opens what stands there now: within half a per cent. */
  #clicked(at: Pointed): void {
    const map = this.#map;
    if (!map || at.price === null || at.pane !== 0) return;
    const hit = labels(this.#clusters ?? Table.empty, null).find(({ low, high }) => at.price! >= low && at.price! <= high);
    const row = map.rowOf(at.price);
    if (row < 0) return;
    go({ cell: hit ? [hit.low, hit.high] : [at.price * 0.9975, at.price * 1.0025] });
  }

  async #openCell(shown: Address): Promise<void> {
    this.#drawer.hidden = shown.cell === null;
    if (!shown.cell) return;
    const { cell } = shown;
    provenance(this.#drawer, cell, null, null);
    this.#drawer.focus({ preventScroll: true });
    try {
      const table = await loadProvenance(shown, cell, this.#loader.signal, (stages) => {
        if (address.value.cell === cell) provenance(this.#drawer, cell, null, null, stageWords(stages));
      });
      if (address.value.cell === cell) provenance(this.#drawer, cell, table, null);
    } catch (error) {
      if (address.value.cell === cell) provenance(this.#drawer, cell, null, error);
    }
  }

  /** Keep the visible span and prices in the address once they rest. */
  #moved(): void {
    clearTimeout(this.#moving);
    this.#moving = setTimeout(() => {
      if (this.#map) go(this.#seen());
    }, 400) as unknown as number;
  }

  /** What is visible; as the address has it where that is the same to a bar. */
  #seen(): Pick<Address, "span" | "prices"> {
    const kept = address.value;
    const [span, prices] = [this.#chart.span(), this.#chart.prices()];
    const same = (one: [number, number] | null, other: [number, number] | null, least: number): boolean =>
      !!one && !!other && one.every((end, index) => Math.abs(end - other[index]!) < least);
    const pixel = prices ? (prices[1] - prices[0]) / 200 : 0;
    return {
      span: same(span, kept.span, this.#map?.interval ?? 1) ? kept.span : span,
      prices: same(prices, kept.prices, pixel) ? kept.prices : prices,
    };
  }

  async #share(): Promise<void> {
    go(this.#seen());
    const words = say().symbol;
    try {
      await navigator.clipboard.writeText(location.href);
      this.#panel.note(words.shared);
    } catch {
      this.#panel.note(location.href);
    }
    setTimeout(() => this.#panel.note(""), 4_000);
  }

  #say(map: HeatMap): void {
    const last = map.last;
    const price = map.table.at("close", map.columns - 1);
    this.#panel.summary(
      say().symbol.said(
        address.value.symbol,
        priced(price),
        moment(map.time[map.columns - 1]),
        last < 0 ? "–" : percent(map.coverage[last], 0),
        dollars(map.table.at("open_interest_usd", last)),
        said(map),
      ),
    );
  }
}
