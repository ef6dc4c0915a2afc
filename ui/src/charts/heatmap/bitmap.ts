/** The cells as pixels: one for each, row by row from the highest price. */

import type { HeatMap } from "./data";
import { colours } from "./palette";
import type { Palette } from "../../state/address";

export interface Look {
  palette: Palette;
  /** Dollars at which the scale ends. */
  top: number;
  /** Shares of the scale between which cells are shown. */
  threshold: [number, number];
}

/** Return the level of 0 … 255 that a cell is drawn at; 0 is not drawn. */
export function level(usd: number, look: Look): number {
  if (!(usd > 0)) return 0;
  const share = Math.min(1, usd / look.top);
  const [low, high] = look.threshold;
  if (share < low || (share > high && high < 1)) return 0;
  return Math.max(1, Math.round(255 * share));
}

/** Draw all cells into a bitmap of columns × rows pixels. */
export function bitmap(map: HeatMap, look: Look): OffscreenCanvas | null {
  if (!map.columns || !map.rows) return null;
  const { columns, rows, long, short } = map;
  const table = colours(look.palette);
  const pixels = new Uint32Array(columns * rows);
  for (let column = 0; column < columns; column++) {
    const start = column * rows;
    for (let row = 0; row < rows; row++) {
      const usd = long[start + row]! + short[start + row]!;
      if (usd > 0) pixels[(rows - 1 - row) * columns + column] = table[level(usd, look)]!;
    }
  }
  const canvas = new OffscreenCanvas(columns, rows);
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}
