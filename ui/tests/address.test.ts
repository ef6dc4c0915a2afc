import { describe, expect, it } from "vitest";
import { type Address, START, read, write } from "../src/state/address";

const elsewhere: Address = {
  ...START,
  view: "symbol",
  symbol: "BTC/USDT:USDT-250328",
  exchanges: ["binance", "okx"],
  range: "90d",
  end: 1_736_557_200,
  span: [1_700_000_000, 1_700_086_400],
  prices: [80_000.5, 120_000],
  log: true,
  map: false,
  palette: "ember",
  threshold: [0.2, 0.8],
  top: 231_000_000,
  model: "fitted",
  panes: [],
  cell: [95_000, 96_000],
  sort: "coin",
  filter: "a b",
  theme: "light",
  language: "zh",
  zone: "Asia/Tokyo",
};

describe("the address", () => {
  it("is empty at the start", () => expect(write(START)).toBe(""));

  it("says everything, and is read as it was written", () => {
    expect(read(write(elsewhere))).toEqual(elsewhere);
  });

  it("can be read by people", () => {
    expect(write({ ...START, view: "symbol", symbol: "BTC/USDT:USDT", exchanges: ["a", "b"] })).toBe(
      "?view=symbol&symbol=BTC/USDT:USDT&exchanges=a,b",
    );
  });

  it.each([
    "?view=nowhere",
    "?symbol=<script>alert(1)</script>",
    "?span=2~1",
    "?span=x~y",
    "?prices=1",
    "?zone=Mars/Olympus",
    "?theme=green",
    "?top=-1",
    "?__proto__=1&constructor=2",
  ])("keeps the start where it cannot be read: %s", (query) => {
    expect(read(query)).toEqual(START);
  });
});
