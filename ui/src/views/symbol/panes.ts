/** The panes under the price: what each draws, on the map's own grid of time. */

import {
  BaselineSeries,
  CandlestickSeries,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  type SeriesType,
  type UTCTimestamp,
} from "lightweight-charts";
import type { Table } from "../../api/columns";
import { token } from "../../dom";
import { dollars, percent, ratio, short } from "../../format";
import type { Pane } from "../../state/address";

const DAY = 86_400;

export interface Point {
  time: UTCTimestamp;
  value: number;
  /** Of candles, the rest of them; their value is the close. */
  open?: number;
  high?: number;
  low?: number;
  close?: number;
  color?: string;
}
/** A line of a pane by name. */
export type Lines = Map<string, Point[]>;

interface Drawn {
  format: (value: number) => string;
  lines: (table: Table, grid: Grid) => Lines;
  make: (chart: IChartApi, pane: number, line: string, index: number) => ISeriesApi<SeriesType>;
  /** What a bar's sums cover. */
  completeness?: (table: Table, grid: Grid) => Map<number, string>;
}

/** The bars' opens; what a table says is put to the bar it falls into. */
export class Grid {
  constructor(
    readonly start: number,
    readonly step: number,
    readonly columns: number,
  ) {}

  /** The open of the bar a time is in; null outside of them. */
  slot(seconds: number): UTCTimestamp | null {
    const column = Math.floor((seconds - this.start) / this.step + 1e-6);
    if (column < 0 || column >= this.columns) return null;
    return (this.start + column * this.step) as UTCTimestamp;
  }

  /** The last of each bar. */
  last(times: Float64Array, values: ArrayLike<number>, take?: (row: number) => boolean): Point[] {
    return this.#gathered(times, values, (_, value) => value, take);
  }

  /** What holds until something else does: up to the last bar, but not for longer than a day. */
  held(points: Point[]): Point[] {
    const last = points.at(-1);
    const end = (this.start + (this.columns - 1) * this.step) as UTCTimestamp;
    const fresh = last && last.time < end && end - last.time <= DAY;
    return fresh ? [...points, { time: end, value: last.value }] : points;
  }

  /** The sum of each bar. */
  sum(times: Float64Array, values: ArrayLike<number>, take?: (row: number) => boolean): Point[] {
    return this.#gathered(times, values, (before, value) => before + value, take);
  }

  /** Candles as they came, of columns with an ending. */
  candles(table: Table, ending: string): Point[] {
    const times = table.times();
    const found: Point[] = [];
    times.forEach((seconds, row) => {
      const time = this.slot(seconds);
      const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => table.at(name + ending, row));
      if (time === null || !Number.isFinite(open) || !Number.isFinite(close)) return;
      found.push({ time, value: close!, open: open!, high: high!, low: low!, close: close! });
    });
    return found;
  }

  #gathered(
    times: Float64Array,
    values: ArrayLike<number>,
    add: (before: number, value: number) => number,
    take: (row: number) => boolean = () => true,
  ): Point[] {
    const found = new Map<UTCTimestamp, number>();
    times.forEach((seconds, row) => {
      const value = values[row];
      const slot = this.slot(seconds);
      if (slot === null || value === undefined || !Number.isFinite(value) || !take(row)) return;
      found.set(slot, add(found.get(slot) ?? 0, value));
    });
    return [...found].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value }));
  }
}

export const COLOURS = ["series", "series-2", "series-3", "series-4"];
const QUIET = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };

function line(chart: IChartApi, pane: number, colour: string): ISeriesApi<SeriesType> {
  return chart.addSeries(LineSeries, { color: token(colour), lineWidth: 2, ...QUIET }, pane);
}

export const DRAWN: Partial<Record<Pane, Drawn>> = {
  interest: {
    format: (value) => dollars(value),
    lines: (table, grid) => new Map([["", grid.candles(table, "_usd")]]),
    make: (chart, pane) =>
      chart.addSeries(
        CandlestickSeries,
        {
          upColor: token("series"),
          wickUpColor: token("series"),
          downColor: token("series-3"),
          wickDownColor: token("series-3"),
          borderVisible: false,
          priceLineVisible: false,
          lastValueVisible: false,
        },
        pane,
      ),
  },
  cvd: {
    format: (value) => short(value),
    lines: (table, grid) =>
      new Map(
        ["spot", "futures"].map((name) => [
          name,
          grid.last(table.times(), table.numbers(`${name}_cvd`)),
        ] as const).filter(([, points]) => points.length),
      ),
    make: (chart, pane, _, index) => line(chart, pane, COLOURS[index]!),
  },
  basis: {
    format: (value) => percent(value, 1, true),
    lines: (table, grid) => {
      const [kinds, maturities] = [table.words("kind"), table.words("maturity")];
      const exchanges = table.words("exchange");
      const constant = (row: number): boolean => kinds[row] === "constant" && maturities[row] === "30d";
      const names = [...new Set(exchanges)].slice(0, COLOURS.length) as string[];
      const found = names.map((name): [string, Point[]] => [
        name,
        grid.held(grid.last(table.times(), table.numbers("simple"), (row) => constant(row) && exchanges[row] === name)),
      ]);
      return new Map(found.filter(([, points]) => points.length));
    },
    make: (chart, pane, _, index) => line(chart, pane, COLOURS[index]!),
  },
  funding: {
    format: (value) => percent(value, 1, true),
    lines: (table, grid) => new Map([["", grid.held(grid.last(table.times(), table.numbers("apr")))]]),
    make: (chart, pane) =>
      chart.addSeries(
        BaselineSeries,
        {
          baseValue: { type: "price", price: 0 },
          topLineColor: token("up"),
          topFillColor1: wash("positive-wash", 0.3),
          topFillColor2: wash("positive-wash", 0.04),
          bottomLineColor: token("down"),
          bottomFillColor1: wash("negative-wash", 0.04),
          bottomFillColor2: wash("negative-wash", 0.3),
          lineWidth: 2,
          lineType: 1,
          ...QUIET,
        },
        pane,
      ),
  },
  ratio: {
    format: (value) => ratio(value),
    lines: (table, grid) => {
      const populations = table.words("population");
      const exchanges = table.words("exchange");
      const names = [...new Set(exchanges)].slice(0, COLOURS.length) as string[];
      const values = table.numbers("ratio");
      return new Map(
        names.map((name) => [
          name,
          grid.last(
            table.times(),
            values,
            (row) => exchanges[row] === name && populations[row] === "accounts",
          ),
        ]),
      );
    },
    make: (chart, pane, _, index) => line(chart, pane, COLOURS[index]!),
  },
  liquidations: {
    format: (value) => dollars(Math.abs(value)),
    lines: (table, grid) => {
      const of = (name: string, way: number): Point[] =>
        grid.sum(table.times(), table.numbers(name)).map(({ time, value }) =>
          value === 0 ? { time, value, color: "transparent" } : { time, value: way * value },
        );
      // What it can be at most stands behind what was told.
      return new Map([
        ["short-most", of("short_most_usd", 1)],
        ["long-most", of("long_most_usd", -1)],
        ["short", of("short_usd", 1)],
        ["long", of("long_usd", -1)],
      ]);
    },
    make: (chart, pane, name) => {
      const side = token(name.startsWith("long") ? "long" : "short");
      const most = name.endsWith("-most");
      return chart.addSeries(
        HistogramSeries,
        { color: most ? `${side}40` : side, ...QUIET },
        pane,
      );
    },
    completeness: (table, grid) => {
      const words = table.words("completeness");
      const found = new Map<number, string>();
      table.times().forEach((seconds, row) => {
        const slot = grid.slot(seconds);
        if (slot !== null) found.set(slot, words[row] ?? "unknown");
      });
      return found;
    },
  },
};

function wash(name: string, alpha: number): string {
  return `rgb(${token(name)} / ${Math.round(alpha * 100)}%)`;
}
