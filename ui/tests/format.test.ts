import { describe, expect, it } from "vitest";
import { count, dollars, lasting, moment, percent, price, ratio, short, tone } from "../src/format";
import { START, address } from "../src/state/address";

describe("numbers", () => {
  it.each([
    [29_143_000_000, "$29.1bn"],
    [999_950, "$1.00m"],
    [1_234, "$1.23k"],
    [12.345, "$12.3"],
    [-4_500_000, "−$4.50m"],
    [0, "$0"],
  ])("are shortened to three digits: %d", (value, text) => expect(dollars(value)).toBe(text));

  it.each([null, undefined, Number.NaN, Number.POSITIVE_INFINITY])("are a dash if unknown: %s", (value) => {
    for (const format of [dollars, short, price, percent, ratio, count, lasting, moment]) {
      expect(format(value)).toBe("–");
    }
    expect(tone(value)).toBe("");
  });

  it("have a sign where it is asked for, but zero has none", () => {
    expect(percent(0.114, 1, true)).toBe("+11.4%");
    expect(percent(-0.114)).toBe("−11.4%");
    expect(percent(0.0001, 1, true)).toBe("0.0%");
    expect(percent(-0.0001, 1, true)).toBe("0.0%");
  });

  it.each([
    [101_330.4, "101,330"],
    [3_474.52, "3,474.5"],
    [143.259, "143.26"],
    [0.0712, "0.07120"],
    [0.00001234, "0.00001234"],
  ])("have as many decimals as a price needs: %d", (value, text) => expect(price(value)).toBe(text));

  it("tell lengths of time in one unit", () => {
    expect([45, 600, 7_200, 90_000, 200_000].map(lasting)).toEqual(["45 s", "10 min", "2 h", "25 h", "2 d"]);
    address.set({ ...START, language: "zh" });
    expect([45, 600, 7_200, 200_000].map(lasting)).toEqual(["45 秒", "10 分钟", "2 小时", "2 天"]);
    address.set(START);
  });
});
