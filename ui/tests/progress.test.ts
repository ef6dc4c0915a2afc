import { describe, expect, it } from "vitest";
import { share, words } from "../src/panel/progress";
import { take } from "../src/state/markets";
import { Table } from "../src/api/columns";
import { endOf } from "../src/views/symbol/load";

describe("how far an answer has come", () => {
  it("counts what is done within what is being done", () => {
    // Two of four markets, and of the third half of its assumptions: 2.5 of 4.
    const stages = [{ name: "fitting", done: 2, of: 4 }, { name: "candidates", done: 16, of: 32 }];
    expect(share(stages)).toBeCloseTo(0.625);
    expect(words(stages)).toBe("fitting market 3 of 4, assumption 17 of 32");
  });

  it("is nothing before it is begun, and names what it does not know", () => {
    expect(share([])).toBe(0);
    expect(words([])).toBe("waiting for its turn");
    expect(words([{ name: "new thing", done: 0, of: 2 }])).toBe("new thing");
  });
});

describe("where a pane's data end", () => {
  const stored = { kind: ["funding", "open_interest"], symbol: ["BTC/USDT:USDT", "BTC/USDT:USDT"], exchange: ["a", "a"] };
  const last = ["2026-03-07T08:00:00Z", "2026-06-11T00:00:00Z"];
  take(new Table({ told: { ...stored, last } }, new Map(), new Map()).inner("told"));
  const end = Date.parse("2026-06-11T00:00:00Z") / 1000;

  it("is said where the map goes on for a day or more, of a coin and of its contracts", () => {
    for (const symbol of ["BTC", "BTC/USDT:USDT"]) {
      expect(endOf("funding", symbol, end)).toBe(Date.parse(last[0]!) / 1000);
      expect(endOf("interest", symbol, end)).toBeNull();
    }
  });

  it("is unknown of what was never stored", () => {
    expect(endOf("ratio", "BTC", end)).toBeNaN();
    expect(endOf("funding", "ETH", end)).toBeNaN();
  });
});
