import { describe, expect, it } from "vitest";
import { Table } from "../src/api/columns";
import { newestSince } from "../src/views/symbol/load";
import { DRAWN, Grid } from "../src/views/symbol/panes";

/** Columns of an answer, as lists. */
function told(columns: Record<string, unknown[]>): Table {
  return new Table({ told: columns }, new Map(), new Map()).inner("told");
}

const bars = told({
  time: ["1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z"],
  long_count: [5, 0, 2],
  short_count: [1, null, 1],
  long_usd: [50, null, 20],
  short_usd: [10, null, 0],
  long_most_usd: [50, null, 90],
  short_most_usd: [10, 7, null],
  completeness: ["complete", "unknown", "throttled"],
});

describe("what was closed by force", () => {
  const { lines, completeness } = DRAWN.liquidations!;
  const grid = new Grid(0, 60, 3);

  it("stands in bars of what was told, and of what it can be at most where that is known", () => {
    const drawn = lines(bars, grid);
    expect(drawn.get("long")).toEqual([{ time: 0, value: -50 }, { time: 120, value: -20 }]);
    expect(drawn.get("short")).toEqual([{ time: 0, value: 10 }, { time: 120, value: 0, color: "transparent" }]);
    expect(drawn.get("long-most")).toEqual([{ time: 0, value: -50 }, { time: 120, value: -90 }]);
    expect(drawn.get("short-most")).toEqual([{ time: 0, value: 10 }, { time: 60, value: 7 }]);
  });

  it("draws bounds first, so that they lie behind", () => {
    expect([...lines(bars, grid).keys()].slice(0, 2)).toEqual(["short-most", "long-most"]);
  });

  it("says what each bar covers", () => {
    expect([...completeness!(bars, grid)]).toEqual([[0, "complete"], [60, "unknown"], [120, "throttled"]]);
  });

  it("is read from the first bar on, or the newest of it: 3 in the last bar, 9 in all", () => {
    expect(newestSince(bars, 9)).toBeNull();
    expect(newestSince(bars, 8)).toBe(60);
    expect(newestSince(bars, 3)).toBe(60);
    expect(newestSince(bars, 2)).toBe(120);
    expect(newestSince(Table.empty, 2)).toBeNull();
  });
});
