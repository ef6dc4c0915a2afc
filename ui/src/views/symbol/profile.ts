/** What stands at each price now, beside the chart and on its scale of prices. */

import type { HeatMap } from "../../charts/heatmap/data";
import type { Scales } from "../../charts/heatmap/renderer";
import { h, token } from "../../dom";
import { dollars, percent } from "../../format";
import { say } from "../../text";

export class Profile {
  readonly canvas = h("canvas", { class: "profile", role: "img" });
  #map: HeatMap | null = null;
  #column = -1;
  #peak = 1;
  #cumulative: { long: Float64Array; short: Float64Array; most: number } | null = null;

  /** Show a column of a map: the last, or the one pointed at. */
  show(map: HeatMap | null, column = map?.last ?? -1): void {
    if (map === this.#map && column === this.#column) return;
    this.#map = map;
    this.#column = column;
    this.#cumulative = map && column >= 0 ? cumulative(map, column) : null;
    this.#peak = 1;
    if (map && column >= 0) {
      for (let row = 0; row < map.rows; row++) {
        const usd = map.usd(column, row);
        if (usd > this.#peak) this.#peak = usd;
      }
      this.canvas.setAttribute("aria-label", said(map, column));
    }
  }

  draw(scales: Scales, height: number): void {
    const { canvas } = this;
    const width = canvas.clientWidth;
    const ratio = devicePixelRatio;
    canvas.style.height = `${height}px`;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const map = this.#map;
    if (!map || this.#column < 0) return;
    this.#bars(context, map, scales, width, height);
    this.#curves(context, map, scales, width);
    this.#scale(context, width);
  }

  #bars(
    context: CanvasRenderingContext2D,
    map: HeatMap,
    scales: Scales,
    width: number,
    height: number,
  ): void {
    const colours = { long: token("long"), short: token("short") };
    for (let row = 0; row < map.rows; row++) {
      const bottom = scales.y(map.edges[row]!);
      const top = scales.y(map.edges[row + 1]!);
      if (bottom === null || top === null || bottom < 0 || top > height) continue;
      const at = this.#column * map.rows + row;
      const tall = Math.max(1, bottom - top - (bottom - top > 3 ? 1 : 0));
      let left = 0;
      for (const side of ["long", "short"] as const) {
        const wide = ((map[side][at] ?? 0) / this.#peak) * (width - 6);
        context.fillStyle = colours[side];
        if (wide > 0) context.fillRect(left, top, wide, tall);
        left += wide;
      }
    }
  }

  #curves(context: CanvasRenderingContext2D, map: HeatMap, scales: Scales, width: number): void {
    const sums = this.#cumulative;
    if (!sums || !(sums.most > 0)) return;
    context.lineWidth = 1.5;
    context.strokeStyle = token("ink");
    context.globalAlpha = 0.75;
    for (const side of ["long", "short"] as const) {
      context.beginPath();
      let pen = false;
      for (let row = 0; row < map.rows; row++) {
        const value = sums[side][row]!;
        const y = scales.y((map.edges[row]! + map.edges[row + 1]!) / 2);
        if (y === null || !(value > 0)) continue;
        context[pen ? "lineTo" : "moveTo"]((value / sums.most) * (width - 6), y);
        pen = true;
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  #scale(context: CanvasRenderingContext2D, width: number): void {
    const words = say().symbol;
    context.font = `400 10.5px ${token("font")}`;
    context.textBaseline = "top";
    context.fillStyle = token("dim");
    context.textAlign = "right";
    context.fillText(`${words.bar} ${dollars(this.#peak)}`, width - 6, 6);
    context.fillText(`${words.sum} ${dollars(this.#cumulative?.most)}`, width - 6, 20);
    context.textAlign = "left";
  }
}

/** What would be liquidated on the way to each price, from where longs and shorts meet. */
function cumulative(
  map: HeatMap,
  column: number,
): { long: Float64Array; short: Float64Array; most: number } {
  const start = column * map.rows;
  const long = new Float64Array(map.rows);
  const short = new Float64Array(map.rows);
  for (let row = map.rows - 1, sum = 0; row >= 0; row--) {
    sum += map.long[start + row] || 0;
    long[row] = map.long[start + row]! > 0 || sum > 0 ? sum : 0;
  }
  for (let row = 0, sum = 0; row < map.rows; row++) {
    sum += map.short[start + row] || 0;
    short[row] = sum;
  }
  return { long, short, most: Math.max(long[0] ?? 0, short[map.rows - 1] ?? 0) };
}

function said(map: HeatMap, column: number): string {
  const sum = (side: "long" | "short"): number => {
    let total = 0;
    for (let row = 0; row < map.rows; row++) total += map[side][column * map.rows + row] || 0;
    return total;
  };
  const covered = percent(map.coverage[column], 0);
  return say().symbol.profileSaid(dollars(sum("long")), dollars(sum("short")), covered);
}
