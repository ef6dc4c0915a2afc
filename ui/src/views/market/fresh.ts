/** How far behind the newest row of all each exchange is, by what it tells. */

import { h } from "../../dom";
import { lasting, moment } from "../../format";
import type { Sheet } from "../../panel/export";
import { markets, present } from "../../state/markets";
import { say } from "../../text";

const KINDS = ["candle", "open_interest", "funding", "liquidation", "long_short_ratio", "option_quote"];
/** Behind by so much, a number is old, seconds; funding settles rarely. */
const OLD = 3_600;
const RARE: Record<string, number> = { funding: 9 * 3_600, liquidation: 24 * 3_600 };

interface Newest {
  exchange: string;
  kind: string;
  last: number;
}

function rows(): Newest[] {
  const { status } = markets.value;
  const kinds = status.words("kind");
  const times = status.times("last");
  const found = new Map<string, Newest>();
  status.words("exchange").forEach((exchange, row) => {
    const kind = kinds[row] ?? "";
    const key = `${exchange} ${kind}`;
    if (!((found.get(key)?.last ?? Number.NEGATIVE_INFINITY) >= times[row]!)) {
      found.set(key, { exchange: exchange ?? "", kind, last: times[row]! });
    }
  });
  return [...found.values()];
}

export function fresh(): HTMLElement {
  const all = rows();
  const kinds = KINDS.filter((kind) => all.some((one) => one.kind === kind));
  const told = all.filter(({ kind }) => kinds.includes(kind));
  const exchanges = [...new Set(told.map(({ exchange }) => exchange))].sort();
  const words = say();
  return h(
    "table",
    { class: "table" },
    h("caption", { class: "unseen" }, words.market.freshness),
    h(
      "thead",
      {},
      h("tr", {}, h("td", {}), ...kinds.map((kind) => h("th", { scope: "col", class: "number" }, words.kinds[kind as keyof typeof words.kinds]))),
    ),
    h(
      "tbody",
      {},
      ...exchanges.map((exchange) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, exchange),
          ...kinds.map((kind) => cell(all.find((one) => one.exchange === exchange && one.kind === kind))),
        ),
      ),
    ),
  );
}

function cell(one: Newest | undefined): HTMLElement {
  if (!one) return h("td", { class: "number faint" }, "–");
  const behind = present() - one.last;
  const old = behind > (RARE[one.kind] ?? OLD);
  return h(
    "td",
    { class: `number ${old ? "warn" : ""}`, title: moment(one.last) },
    behind < 60 ? "●" : lasting(behind),
  );
}

export function freshSheet(): Sheet {
  return {
    columns: ["exchange", "kind", "newest"],
    rows: rows().map(({ exchange, kind, last }) => [exchange, kind, new Date(last * 1000).toISOString()]),
  };
}
