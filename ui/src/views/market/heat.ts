/** Funding of each coin on each exchange, as a table whose colour is the rate. */

import { h } from "../../dom";
import { percent } from "../../format";
import type { Sheet } from "../../panel/export";
import { go } from "../../state/address";
import { say } from "../../text";
import type { Settled } from "./load";

/** The rate that is coloured fully, a year. */
const FULL = 0.3;

export function heat(settled: Settled[], coins: string[]): HTMLElement {
  const words = say().market;
  const exchanges = [...new Set(settled.map(({ exchange }) => exchange))].sort();
  const rows = coins.filter((coin) => settled.some((one) => one.coin === coin));
  return h(
    "table",
    { class: "table heat" },
    h("caption", { class: "unseen" }, words.heat),
    h(
      "thead",
      {},
      h("tr", {}, h("td", {}), ...exchanges.map((name) => h("th", { scope: "col", class: "number" }, name))),
    ),
    h(
      "tbody",
      {},
      ...rows.map((coin) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("button", { class: "row-button", onClick: () => go({ view: "funding", symbol: coin }, true) }, coin)),
          ...exchanges.map((exchange) =>
            cell(settled.filter((one) => one.coin === coin && one.exchange === exchange)),
          ),
        ),
      ),
    ),
  );
}

/** Of several contracts on an exchange, the one that is settled most lately. */
function cell(found: Settled[]): HTMLElement {
  const one = found.sort((a, b) => b.time - a.time)[0];
  if (!one || !Number.isFinite(one.apr)) return h("td", { class: "number faint" }, "–");
  const wash = one.apr >= 0 ? "positive-wash" : "negative-wash";
  const strength = Math.min(1, Math.abs(one.apr) / FULL) * 0.62;
  return h(
    "td",
    {
      class: "number",
      style: `background:rgb(var(--${wash}) / ${Math.round(strength * 100)}%)`,
      title: `${one.symbol}, ${say().market.heatPerHours(String(one.hours))}`,
    },
    percent(one.apr, 1, true),
  );
}

export function heatSheet(settled: Settled[]): Sheet {
  return {
    columns: ["coin", "exchange", "symbol", "time", "apr", "interval_hours"],
    rows: settled.map((one) => [
      one.coin,
      one.exchange,
      one.symbol,
      new Date(one.time * 1000).toISOString(),
      one.apr,
      one.hours,
    ]),
  };
}
