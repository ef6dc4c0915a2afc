/** The map as it is drawn: cells by column and row, and how they are looked up. */

import type { Floats, Table } from "../../api/columns";

/** Dollars that would be liquidated, by time and price. */
export class HeatMap {
  readonly time: Float64Array;
  readonly edges: Floats;
  readonly columns: number;
  readonly rows: number;
  readonly long: Floats;
  readonly short: Floats;
  readonly coverage: Floats;
  /** Seconds from one column to the next. */
  readonly interval: number;

  constructor(readonly table: Table) {
    this.time = table.times();
    this.edges = table.numbers("edges");
    this.columns = this.time.length;
    this.rows = Math.max(0, this.edges.length - 1);
    this.long = table.numbers("long_usd");
    this.short = table.numbers("short_usd");
    this.coverage = table.numbers("coverage");
    this.interval = Number(table.facts["interval_seconds"]) || 3600;
  }

  isKnown(column: number): boolean {
    return Number.isFinite(this.coverage[column] ?? Number.NaN);
  }

  /** The last column that is known, -1 if none is. */
  get last(): number {
    for (let column = this.columns - 1; column >= 0; column--) {
      if (this.isKnown(column)) return column;
    }
    return -1;
  }

  /** Dollars of both sides in a cell, NaN where unknown. */
  usd(column: number, row: number): number {
    const at = column * this.rows + row;
    return (this.long[at] ?? Number.NaN) + (this.short[at] ?? Number.NaN);
  }

  /** The row a price is in, -1 if it is outside. */
  rowOf(price: number): number {
    const { edges } = this;
    if (!(price >= edges[0]!) || price >= edges[this.rows]!) return -1;
    let low = 0;
    let high = this.rows;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (edges[middle]! <= price) low = middle;
      else high = middle;
    }
    return low;
  }

  /** The column a time is in, -1 if it is outside. */
  columnOf(seconds: number): number {
    const column = Math.floor((seconds - (this.time[0] ?? 0)) / this.interval + 1e-6);
    return column >= 0 && column < this.columns ? column : -1;
  }

  /** What the fuller side of a cell holds at least and most, where the mix was fitted. */
  limitsOf(column: number, row: number): [number, number] | null {
    const at = column * this.rows + row;
    const side = (this.long[at] ?? 0) >= (this.short[at] ?? 0) ? "long" : "short";
    if (!this.table.has(`${side}_usd_p10`)) return null;
    return [this.table.at(`${side}_usd_p10`, at), this.table.at(`${side}_usd_p90`, at)];
  }

  /** The dollars a scale ends at: all but the fullest few in a thousand of the cells are below. */
  top(): number {
    const filled: number[] = [];
    const stride = Math.max(1, Math.floor((this.columns * this.rows) / 60_000));
    for (let at = 0; at < this.columns * this.rows; at += stride) {
      const usd = (this.long[at] ?? 0) + (this.short[at] ?? 0);
      if (usd > 0) filled.push(usd);
    }
    if (!filled.length) return 1;
    filled.sort((a, b) => a - b);
    return filled[Math.floor(0.997 * (filled.length - 1))]!;
  }
}
