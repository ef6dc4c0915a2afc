import { describe, expect, it } from "vitest";
import { csv } from "../src/panel/export";
import { type Column, ordered } from "../src/panel/table";
import { Grid } from "../src/views/symbol/panes";

const columns: Column<{ n: number | null; w: string }>[] = [
  { key: "n", title: "n", value: ({ n }) => n },
  { key: "w", title: "w", value: ({ w }) => w },
];
const rows = [
  { n: 2, w: "b" },
  { n: null, w: "c" },
  { n: 10, w: "a" },
];

describe("tables", () => {
  it("sort either way, with what is unknown last", () => {
    expect(ordered(rows, columns, "n").map(({ n }) => n)).toEqual([2, 10, null]);
    expect(ordered(rows, columns, "-n").map(({ n }) => n)).toEqual([10, 2, null]);
    expect(ordered(rows, columns, "w").map(({ w }) => w)).toEqual(["a", "b", "c"]);
    expect(ordered(rows, columns, "other")).toEqual(rows);
  });

  it("are written so that a spreadsheet reads numbers, and no formula", () => {
    const sheet = { columns: ["a", "b"], rows: [[1.5, 'say "x", y'], [Number.NaN, "=1+1"], [null, ""]] };
    expect(csv(sheet)).toBe('a,b\r\n1.5,"say ""x"", y"\r\n,\'=1+1\r\n,\r\n');
  });
});

describe("a grid of bars", () => {
  const grid = new Grid(0, 60, 3);
  const times = Float64Array.of(-1, 0, 59, 60, 200);

  it("puts rows to the bar they fall into, and leaves out those outside", () => {
    expect(grid.sum(times, [1, 2, 3, 4, 5])).toEqual([{ time: 0, value: 5 }, { time: 60, value: 4 }]);
    expect(grid.last(times, [1, 2, 3, Number.NaN, 5])).toEqual([{ time: 0, value: 3 }]);
  });

  it("lets the last value hold until the last bar", () => {
    expect(grid.held([{ time: 0 as never, value: 7 }])).toEqual([{ time: 0, value: 7 }, { time: 120, value: 7 }]);
    expect(grid.held([])).toEqual([]);
  });
});
