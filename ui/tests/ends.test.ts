import { beforeEach, describe, expect, it } from "vitest";
import type { Table } from "../src/api/columns";
import { START } from "../src/state/address";
import { firstOf, lastOf, markets } from "../src/state/markets";
import { endAt, spanOf, within } from "../src/views/symbol/load";

const DAY = 86_400;
const END = 1_736_553_600; // 2025-01-11 00:00 UTC

/** What is stored: kind, symbol, detail, and days before and after that moment. */
const STORED: [string, string, string | null, number, number][] = [
  ["open_interest", "SOL/USDT:USDT", null, -100, 30],
  ["open_interest", "ETH/USDT:USDT", null, 10, 40],
  ["funding", "SOL/USDT:USDT", "settled", -50, 0],
  ["funding", "SOL/USDT:USDT", "predicted", -50, 20],
  ["liquidation", "ETH/USDT:USDT", "fill", -50, -40],
];

beforeEach(() => {
  const words = { kind: 0, symbol: 1, detail: 2 } as Record<string, 0 | 1 | 2>;
  const times = { first: 3, last: 4 } as Record<string, 3 | 4>;
  const status = {
    words: (name: string) => STORED.map((row) => row[words[name]!]),
    times: (name: string) => Float64Array.from(STORED, (row) => END + DAY * row[times[name]!]),
  } as unknown as Table;
  markets.set({ coins: ["ETH", "SOL"], symbols: [], exchanges: [], status });
});

describe("where data end", () => {
  it("is where the last was settled, whatever was predicted", () => {
    expect(lastOf("funding", "SOL")).toBe(END);
    expect(firstOf("open_interest", "SOL")).toBe(END - 100 * DAY);
    expect(lastOf("funding", "ETH")).toBeNaN();
  });

  it("can be gone to where a map can be drawn of it", () => {
    expect(endAt("SOL", END)).toBe(END + 3_600);
    expect(endAt("ETH", END - 40 * DAY)).toBeNull(); // open interest begins later
  });

  it("is where the range is counted back from", () => {
    const shown = { ...START, symbol: "SOL" };
    expect(spanOf(shown)).toEqual({ since: "2025-02-03T00:00:00.000Z" });
    expect(spanOf({ ...shown, end: END })).toEqual({
      since: "2025-01-04T00:00:00.000Z",
      until: "2025-01-11T00:00:00.000Z",
    });
  });

  it("says whether something may be stored of a range", () => {
    const of = (end: number | null): boolean => within("funding", "SOL", spanOf({ ...START, symbol: "SOL", end }));
    expect([null, END, END - 60 * DAY].map(of)).toEqual([false, true, false]);
  });
});
