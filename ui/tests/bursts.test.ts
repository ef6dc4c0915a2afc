import { describe, expect, it } from "vitest";
import { Table } from "../src/api/columns";
import type { HeatMap } from "../src/charts/heatmap/data";
import { burstAt, burstsOf } from "../src/views/symbol/bursts";

/** Four bars of an hour from midnight on. */
const map = { time: [0, 3_600, 7_200, 10_800], interval: 3_600, columns: 4 } as unknown as HeatMap;

function told(rows: [string, string, number][]): Table {
  const columns = {
    start: rows.map(([start]) => `1970-01-01T${start}:00Z`),
    until: rows.map(([, until]) => `1970-01-01T${until}:00Z`),
    multiple: rows.map(([, , multiple]) => multiple),
    side: rows.map(() => "long"),
    completeness: rows.map(() => "throttled"),
  };
  return new Table({ told: columns }, new Map(), new Map()).inner("told");
}

describe("bursts", () => {
  it("lie in the bars that they began and ended in", () => {
    const [one] = burstsOf(map, told([["01:30", "01:45", 20]]));
    expect(one!.from).toBeCloseTo(1); // the middle of the second bar
    expect(one!.to).toBeCloseTo(1.25);
    expect([0, 1, 2].map((column) => burstAt([one!], column)?.multiple)).toEqual([undefined, 20, undefined]);
  });

  it("are left out where the map does not reach", () => {
    expect(burstsOf(map, told([["05:00", "05:10", 20]]))).toEqual([]);
  });

  it("that touch one bar are told by the largest", () => {
    const both = burstsOf(map, told([["02:00", "02:05", 12], ["02:30", "03:20", 40]]));
    expect(burstAt(both, 2)!.multiple).toBe(40);
    expect(burstAt(both, 3)!.multiple).toBe(40);
  });
});
