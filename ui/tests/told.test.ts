import { beforeEach, describe, expect, it } from "vitest";
import { Refusal } from "../src/api/client";
import { refused } from "../src/panel/refusal";
import { type Address, address } from "../src/state/address";
import { estimated, missed, pricesFrom, stated } from "../src/text/told";

const late = { code: "lagging", figure: 15, named: null };
const score = { code: "score_of_fitted", skill: 0.123, low: -0.05, high: 0.3, days: 12 };

function choose(language: Address["language"]): void {
  address.set({ ...address.value, language });
}

describe("what the server says", () => {
  beforeEach(() => choose("en"));

  it("is English where that is chosen", () => {
    expect(estimated([{ code: "prior" }, { code: "not_scored" }])).toBe(
      "an estimate: leverage mix is a prior, not fitted; not scored",
    );
    expect(stated([late])).toBe("lagging: 15 minutes late");
  });

  it("is Chinese where that is chosen, with the same figures", () => {
    choose("zh");
    expect(stated([late, { code: "reported", figure: 0.42, named: "week" }])).toBe("滞后：晚 15 分钟；近一周只报告了 42%");
    expect(stated([score])).toContain("+0.12（−0.05 至 +0.30），共 12 天");
    expect(pricesFrom("open interest, its value over its amount")).toBe("持仓量；价值除以数量");
    expect(pricesFrom("okx BTC/USDT:USDT, candles of 1:00:00")).toBe("okx BTC/USDT:USDT；1:00:00 的 K 线");
    expect(missed("refused: not recorded")).toBe("被拒绝：未录制");
  });

  it("leaves words of others as they are", () => {
    choose("zh");
    expect(missed("closed by the exchange")).toBe("closed by the exchange");
    expect(refused(new Refusal(418, "of-another-version", "a teapot"))).toBe("a teapot");
  });

  it("tells refusals by their kind", () => {
    const refusal = new Refusal(413, "too-many-steps", "it has about 9 steps");
    expect(refused(refusal)).toBe("it has about 9 steps");
    choose("zh");
    expect(refused(refusal)).toMatch(/^问题过大/);
    expect(refused(new Refusal(0, "silence", ""))).toBe("服务器没有应答。");
  });
});
