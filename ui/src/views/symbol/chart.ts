/** Candles over the map, with panes on one scale of time. */

import {
  CandlestickSeries,
  type CandlestickData,
  type IChartApi,
  type ISeriesApi,
  type MouseEventParams,
  PriceScaleMode,
  type SeriesType,
  type UTCTimestamp,
  type WhitespaceData,
  createChart,
} from "lightweight-charts";
import type { Table } from "../../api/columns";
import type { Look } from "../../charts/heatmap/bitmap";
import type { HeatMap } from "../../charts/heatmap/data";
import type { Scales } from "../../charts/heatmap/renderer";
import { HeatMapPrimitive } from "../../charts/heatmap/series";
import { chartOptions } from "../../charts/options";
import { token } from "../../dom";
import { decimalsOf, price as priced } from "../../format";
import type { Address, Pane } from "../../state/address";
import { type Gestures, gestures } from "./gestures";
import { type Burst, BurstMarks } from "./bursts";
import { type Bubble, type Label, Marks } from "./marks";
import { endOf } from "./load";
import { DRAWN, Grid, type Lines, type Point } from "./panes";

/** What lies under the pointer. */
export interface Pointed {
  column: number;
  price: number | null;
  x: number;
  y: number;
  pane: number;
}

export interface Listeners {
  drawn: (scales: Scales, height: number) => void;
  pointed: (at: Pointed | null) => void;
  clicked: (at: Pointed) => void;
  moved: () => void;
}

export interface PaneState {
  pane: Pane;
  lines: Lines;
  /** What the sums of each bar cover, where they are sums. */
  completeness: Map<number, string>;
  /** Where what is stored of it ends, if that is a day or more before the map does; else null. */
  ends: number | null;
}

export class MarketChart {
  readonly chart: IChartApi;
  readonly candles: ISeriesApi<"Candlestick">;
  readonly gestures: Gestures;
  panes: PaneState[] = [];
  map: HeatMap | null = null;
  #shown: HeatMap | null = null;
  readonly #heat: HeatMapPrimitive;
  readonly #marks = new Marks();
  readonly #burstMarks = new BurstMarks("mark");
  readonly #burstBands = new BurstMarks("band");
  #series: ISeriesApi<SeriesType>[] = [];
  #fitted = false;

  constructor(
    readonly host: HTMLElement,
    listeners: Listeners,
  ) {
    this.chart = createChart(host, chartOptions());
    this.candles = this.chart.addSeries(CandlestickSeries, { priceLineVisible: true });
    this.#heat = new HeatMapPrimitive((scales) => {
      listeners.drawn(scales, this.chart.paneSize(0).height);
    });
    this.candles.attachPrimitive(this.#heat);
    this.candles.attachPrimitive(this.#marks);
    this.candles.attachPrimitive(this.#burstMarks);
    this.chart.subscribeCrosshairMove((event) => listeners.pointed(this.#pointed(event)));
    this.chart.subscribeClick((event) => {
      const at = this.#pointed(event);
      if (at) listeners.clicked(at);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => listeners.moved());
    this.gestures = gestures(this, listeners.moved);
  }

  /** Show a map's candles; the map itself under them if it is wanted. */
  show(map: HeatMap, shown: Address, look: Look): void {
    const before = this.#shown;
    this.map = this.#shown = map;
    const night = shown.map;
    const [open, high, low, close] = ["open", "high", "low", "close"].map((name) =>
      map.table.numbers(name),
    );
    const bars: (CandlestickData | WhitespaceData)[] = [];
    map.time.forEach((time, i) => {
      const at = time as UTCTimestamp;
      const known = Number.isFinite(open![i]) && Number.isFinite(close![i]);
      bars.push(
        known
          ? { time: at, open: open![i]!, high: high![i]!, low: low![i]!, close: close![i]! }
          : { time: at },
      );
    });
    const decimals = decimalsOf(close?.find(Number.isFinite) ?? 1);
    this.candles.applyOptions({
      upColor: token(night ? "rise" : "up"),
      wickUpColor: token(night ? "rise" : "up"),
      downColor: token(night ? "fall" : "down"),
      wickDownColor: token(night ? "fall" : "down"),
      borderVisible: false,
      priceLineColor: token("faint"),
      priceFormat: { type: "custom", formatter: priced, minMove: 10 ** -decimals },
    });
    const range = this.chart.timeScale().getVisibleLogicalRange();
    this.candles.setData(bars);
    this.look(shown, look);
    this.candles.priceScale().applyOptions({
      mode: shown.log ? PriceScaleMode.Logarithmic : PriceScaleMode.Normal,
      scaleMargins: { top: 0.16, bottom: 0.16 },
    });
    if (!this.#fitted) {
      this.#fitted = true;
      this.fit(shown);
    } else if (before && range && before !== map) this.#keep(range, before, map);
  }

  /** Show the same span of another map, or all of it where all was shown. */
  #keep(range: { from: number; to: number }, before: HeatMap, map: HeatMap): void {
    if (range.from <= 0.5 && range.to >= before.columns - 1.5) {
      this.chart.timeScale().fitContent();
      return;
    }
    const [from, to] = [range.from, range.to].map(
      (at) => (before.time[0]! + at * before.interval - map.time[0]!) / map.interval,
    );
    this.chart.timeScale().setVisibleLogicalRange({ from: from!, to: to! });
  }

  look(shown: Address, look: Look): void {
    this.#heat.show(shown.map ? this.map : null, look);
  }

  marks(bubbles: Bubble[], labels: Label[]): void {
    this.#marks.show(bubbles, labels);
  }

  /** Show bursts in the pane of liquidations; over the price as well if they are wanted there. */
  bursts(bursts: Burst[], over: boolean): void {
    this.#burstBands.show(bursts);
    this.#burstMarks.show(over ? bursts : []);
  }

  /** Draw the panes anew. */
  showPanes(tables: [Pane, Table][], symbol: string): void {
    for (const series of this.#series) this.chart.removeSeries(series);
    this.#series = [];
    while (this.chart.panes().length > 1) this.chart.removePane(this.chart.panes().length - 1);
    const { map } = this;
    if (!map) return;
    const grid = new Grid(map.time[0] ?? 0, map.interval, map.columns);
    this.panes = [];
    for (const [pane, table] of tables) {
      const drawn = DRAWN[pane];
      if (!drawn) continue;
      const lines = drawn.lines(table, grid);
      this.panes.push({
        pane,
        lines,
        completeness: drawn.completeness?.(table, grid) ?? new Map(),
        ends: endOf(pane, symbol, map.time.at(-1) ?? 0),
      });
      const place = this.panes.length;
      const empty: [string, Point[]][] = [["", []]]; // a pane needs a line to be one
      [...(lines.size ? lines : empty)].forEach(([name, points], index) => {
        const series = drawn.make(this.chart, place, name, index);
        series.applyOptions({ priceFormat: { type: "custom", formatter: drawn.format, minMove: 1e-6 } });
        series.priceScale().applyOptions({ scaleMargins: { top: 0.22, bottom: 0.08 } });
        series.setData(points);
        if (pane === "liquidations" && index === 0) series.attachPrimitive(this.#burstBands);
        this.#series.push(series);
      });
    }
    const [first, ...rest] = this.chart.panes();
    first?.setStretchFactor(1);
    for (const pane of rest) pane.setStretchFactor(0.2);
  }

  /** Show all of the range, or what the address says. */
  fit(shown: Address): void {
    const scale = this.chart.timeScale();
    if (shown.span && this.map) {
      const [from, to] = shown.span.map((time) => (time - this.map!.time[0]!) / this.map!.interval);
      scale.setVisibleLogicalRange({ from: from!, to: to! });
    } else scale.fitContent();
    const prices = this.candles.priceScale();
    if (shown.prices) prices.setVisibleRange({ from: shown.prices[0], to: shown.prices[1] });
    else prices.setAutoScale(true);
  }

  /** Fit anew when the next map comes. */
  refit(): void {
    this.#fitted = false;
  }

  /** The visible span in seconds; null if all is. */
  span(): [number, number] | null {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const { map } = this;
    if (!range || !map) return null;
    if (range.from <= 0.5 && range.to >= map.columns - 1.5) return null;
    const start = map.time[0]!;
    return [Math.round(start + range.from * map.interval), Math.round(start + range.to * map.interval)];
  }

  /** The visible prices; null if they are fitted. */
  prices(): [number, number] | null {
    const scale = this.candles.priceScale();
    if (scale.options().autoScale) return null;
    const height = this.chart.paneSize(0).height;
    const low = this.candles.coordinateToPrice(height);
    const high = this.candles.coordinateToPrice(0);
    return low !== null && high !== null && low < high ? [low, high] : null;
  }

  dispose(): void {
    this.gestures.dispose();
    this.chart.remove();
  }

  #pointed(event: MouseEventParams): Pointed | null {
    const { map } = this;
    if (!event.point || !map || event.logical === undefined) return null;
    const pane = event.paneIndex ?? 0;
    return {
      column: Math.min(map.columns - 1, Math.max(0, Math.round(event.logical))),
      price: pane === 0 ? this.candles.coordinateToPrice(event.point.y) : null,
      x: event.point.x,
      y: event.point.y,
      pane,
    };
  }
}
