/** Draws the bitmap where the chart's scales put it. */

import type { IPrimitivePaneRenderer } from "lightweight-charts";
import type { HeatMap } from "./data";

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

/** Where things lie on the pane, in its own pixels. */
export interface Scales {
  /** The middle of a column. */
  x: (column: number) => number | null;
  y: (price: number) => number | null;
}

/** Rows drawn as one: over so few, a bent scale is straight to a twentieth of a row. */
const STRIP = 16;

export class MapRenderer implements IPrimitivePaneRenderer {
  constructor(
    private readonly map: HeatMap,
    private readonly image: OffscreenCanvas | null,
    private readonly scales: Scales,
    private readonly night: string,
    private readonly hatch: string,
  ) {}

  draw(target: Target): void {
    target.useBitmapCoordinateSpace(({ context, bitmapSize, ...ratio }) => {
      context.save();
      context.fillStyle = this.night;
      context.fillRect(0, 0, bitmapSize.width, bitmapSize.height);
      this.#cells(context, bitmapSize, ratio.horizontalPixelRatio, ratio.verticalPixelRatio);
      this.#unknown(context, bitmapSize, ratio.horizontalPixelRatio);
      context.restore();
    });
  }

  #cells(
    context: CanvasRenderingContext2D,
    size: { width: number; height: number },
    across: number,
    down: number,
  ): void {
    const { map, image, scales } = this;
    const first = scales.x(0);
    const second = scales.x(1);
    if (!image || first === null || second === null) return;
    const width = (second - first) * across;
    const left = first * across - width / 2;
    const from = Math.max(0, Math.floor(-left / width));
    const until = Math.min(map.columns, Math.ceil((size.width - left) / width));
    if (until <= from) return;
    const x = Math.round(left + from * width);
    const wide = Math.round(left + until * width) - x;
    context.imageSmoothingEnabled = width < 1;
    for (let low = 0; low < map.rows; low += STRIP) {
      const high = Math.min(map.rows, low + STRIP);
      const bottom = scales.y(map.edges[low]!);
      const top = scales.y(map.edges[high]!);
      if (bottom === null || top === null) continue;
      const y = Math.round(top * down);
      const tall = Math.round(bottom * down) - y;
      if (tall <= 0 || y > size.height || y + tall < 0) continue;
      context.drawImage(
        image, from, map.rows - high, until - from, high - low, x, y, wide, tall,
      );
    }
  }

  /** Hatch the columns nothing is known of. */
  #unknown(
    context: CanvasRenderingContext2D,
    size: { width: number; height: number },
    across: number,
  ): void {
    const { map, scales } = this;
    const first = scales.x(0);
    const second = scales.x(1);
    if (first === null || second === null) return;
    const width = (second - first) * across;
    const left = first * across - width / 2;
    context.beginPath();
    for (const [from, until] of unknown(map)) {
      const start = Math.max(0, left + from * width);
      const end = Math.min(size.width, left + until * width);
      if (end > start) context.rect(start, 0, end - start, size.height);
    }
    context.clip();
    context.beginPath();
    const step = 7 * across;
    for (let x = -size.height; x < size.width; x += step) {
      context.moveTo(x, size.height);
      context.lineTo(x + size.height, 0);
    }
    context.strokeStyle = this.hatch;
    context.lineWidth = across;
    context.stroke();
  }
}

/** Spans of columns, half open, that are not known. */
export function unknown(map: HeatMap): [number, number][] {
  const spans: [number, number][] = [];
  for (let column = 0; column < map.columns; column++) {
    if (map.isKnown(column)) continue;
    const last = spans.at(-1);
    if (last && last[1] === column) last[1] = column + 1;
    else spans.push([column, column + 1]);
  }
  return spans;
}
