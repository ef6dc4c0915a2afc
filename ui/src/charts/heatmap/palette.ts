/** Colours of the map, as tables of 256; the lowest fade into the night they stand on. */

import type { Palette } from "../../state/address";

/** Even steps of each scale, dark to light: viridis and cividis, and a fire of one hue family. */
const STOPS: Record<Palette, string[]> = {
  purple: [
    "440154", "481467", "482576", "453781", "404688", "39558c", "33638d", "2d718e", "287d8e",
    "238a8d", "1f968b", "20a386", "29af7f", "3dbc74", "56c667", "75d054", "95d840", "bade28",
    "dde318", "fde725",
  ],
  cividis: [
    "00224e", "002c66", "15376e", "2d406c", "3d496b", "4a536b", "575d6d", "636770", "6f7174",
    "7b7b78", "898678", "979176", "a59c74", "b4a76f", "c3b369", "d2c060", "e2cd54", "f2da44",
    "fee838",
  ],
  ember: [
    "160b39", "2a0b55", "420a68", "5c126e", "741a6e", "8d226a", "a52c60", "bb3754", "cf4446",
    "e05536", "ed6925", "f78212", "fb9b06", "fcb519", "f8d13b", "f2ea69", "fcffa4",
  ],
};

/** The share of the scale over which colours rise out of the night. */
const FADE = 0.08;

/** Return 256 colours as they lie in a canvas: red, green, blue, alpha. */
export function colours(palette: Palette): Uint32Array {
  const stops = STOPS[palette].map(parse);
  const table = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let level = 1; level < 256; level++) {
    const share = level / 255;
    const at = Math.max(0, (share - FADE) / (1 - FADE)) * (stops.length - 1);
    const below = stops[Math.floor(at)]!;
    const above = stops[Math.min(stops.length - 1, Math.floor(at) + 1)]!;
    const part = at % 1;
    for (let k = 0; k < 3; k++) {
      bytes[4 * level + k] = below[k]! + (above[k]! - below[k]!) * part;
    }
    bytes[4 * level + 3] = 255 * Math.min(1, share / FADE);
  }
  return table;
}

/** A gradient for legends. */
export function gradient(palette: Palette): string {
  const stops = STOPS[palette];
  return `linear-gradient(90deg, var(--night), #${stops.join(", #")})`;
}

function parse(hex: string): [number, number, number] {
  const value = Number.parseInt(hex, 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
