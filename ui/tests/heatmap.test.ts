import { describe, expect, it } from "vitest";
import { Table } from "../src/api/columns";
import { level } from "../src/charts/heatmap/bitmap";
import { HeatMap } from "../src/charts/heatmap/data";
import { colours } from "../src/charts/heatmap/palette";
import { unknown } from "../src/charts/heatmap/renderer";

/** Three columns of two rows, of which the middle one is not known. */
function map(): HeatMap {
  const columns = new Map<string, Float64Array>([
    ["time", Float64Array.of(0, 60_000, 120_000)],
    ["edges", Float64Array.of(100, 110, 121)],
    ["long_usd", Float64Array.of(5, 0, Number.NaN, Number.NaN, 1, 0)],
    ["short_usd", Float64Array.of(0, 7, Number.NaN, Number.NaN, 0, 2)],
    ["coverage", Float64Array.of(0.5, Number.NaN, 0.6)],
  ]);
  return new HeatMap(new Table({ interval_seconds: 60 }, columns, new Map()));
}

describe("a map", () => {
  it("finds the row of a price, half open", () => {
    expect([99, 100, 109.9, 110, 120.9, 121].map((price) => map().rowOf(price))).toEqual([-1, 0, 0, 1, 1, -1]);
  });

  it("finds the column of a time", () => {
    expect([-1, 0, 59, 60, 179, 180].map((time) => map().columnOf(time))).toEqual([-1, 0, 0, 1, 2, -1]);
  });

  it("knows what it does not know", () => {
    expect(map().last).toBe(2);
    expect(unknown(map())).toEqual([[1, 2]]);
    expect(map().usd(1, 0)).toBeNaN();
    expect(map().usd(0, 1)).toBe(7);
    expect(map().limitsOf(0, 0)).toBeNull();
  });
});

describe("colours", () => {
  const look = { palette: "purple", top: 100, threshold: [0, 1] } as const;
  const levels = (values: number[], threshold: [number, number]): number[] =>
    values.map((usd) => level(usd, { ...look, threshold }));

  it("rise with dollars up to the top, and leave out what holds nothing", () => {
    expect(levels([0, Number.NaN, 0.01, 50, 100, 1_000], [0, 1])).toEqual([0, 0, 1, 128, 255, 255]);
  });

  it("leave out what is below or above a threshold; the top stays unless it is lowered", () => {
    expect(levels([10, 30, 90, 200], [0.2, 1])).toEqual([0, 77, 230, 255]);
    expect(levels([10, 30, 90, 200], [0.2, 0.5])).toEqual([0, 77, 0, 0]);
  });

  it.each(["purple", "cividis", "ember"] as const)("grow lighter all the way: %s", (palette) => {
    const bytes = new Uint8Array(colours(palette).buffer);
    const light = Array.from({ length: 256 }, (_, at) => {
      const [red, green, blue] = [bytes[4 * at]!, bytes[4 * at + 1]!, bytes[4 * at + 2]!];
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    });
    for (let at = 22; at < 256; at++) expect(light[at]!).toBeGreaterThanOrEqual(light[at - 1]! - 1);
    expect(bytes[3]).toBe(0);
    expect(bytes[1023]).toBe(255);
  });
});
