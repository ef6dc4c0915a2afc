/** The table of coins. */

import { sparkline } from "../../charts/sparkline";
import { h } from "../../dom";
import { day, dollars, known, percent, price, ratio, tone } from "../../format";
import type { Column } from "../../panel/table";
import { lastOf } from "../../state/markets";
import { say } from "../../text";
import type { Coin } from "./load";

export function columns(): Column<Coin>[] {
  const { columns: titles, columnsWhy } = say().market;
  const column = (
    key: keyof typeof titles,
    rest: Omit<Column<Coin>, "key" | "title" | "value"> & Partial<Pick<Column<Coin>, "value">>,
  ): Column<Coin> => ({
    key,
    title: titles[key],
    why: columnsWhy[key],
    value: (coin) => coin[key] as number,
    ...rest,
  });
  const line = (key: "price_history" | "open_interest_history" | "funding_history", colour: string): Column<Coin> =>
    column(key, {
      value: (coin) => coin[key].findLast((value) => value !== null) ?? null,
      sortable: false,
      show: (coin) => sparkline(coin[key], key === "funding_history" ? { colour, base: 0 } : { colour }),
    });
  return [
    column("coin", { value: ({ coin }) => coin, words: true, show: ({ coin }) => h("b", {}, coin) }),
    column("price", { show: (coin) => price(coin.price) }),
    signed(column("price_change", {})),
    line("price_history", "series-2"),
    column("open_interest_usd", { show: (coin) => dollars(coin.open_interest_usd), tone: () => "strong" }),
    signed(column("open_interest_change", {})),
    line("open_interest_history", "series"),
    dated("funding", signed(column("funding_apr", {}))),
    line("funding_history", "series-4"),
    dated("long_short_ratio", column("long_short", { show: (coin) => ratio(coin.long_short) })),
    dated("liquidation", column("liquidated_usd", { show: liquidated })),
    column("load", { show: bar }),
    cluster("long", column("long_cluster_price", {})),
    cluster("short", column("short_cluster_price", {})),
    column("coverage", { show: (coin) => percent(coin.coverage, 0) }),
  ];
}

function signed(column: Column<Coin>): Column<Coin> {
  const value = (coin: Coin): number => column.value(coin) as number;
  return {
    ...column,
    show: (coin) => percent(value(coin), 1, true),
    tone: (coin) => tone(value(coin)),
  };
}

/** Where nothing is known now, say when it was known last. */
function dated(kind: string, column: Column<Coin>): Column<Coin> {
  return {
    ...column,
    show: (coin) => {
      const last = lastOf(kind, coin.coin);
      if (known(column.value(coin) as number) || !known(last)) return column.show!(coin);
      return h("span", { class: "faint last-known", title: say().market.lastKnown(day(last)) }, day(last).slice(2));
    },
  };
}

function liquidated(coin: Coin): Node | string {
  if (!known(coin.liquidated_usd)) return "–";
  const partly = coin.completeness === "throttled" || coin.completeness === "sampled";
  const words = say().completeness as Record<string, string>;
  return h(
    "span",
    { title: words[coin.completeness ?? "unknown"] ?? null },
    partly ? h("span", { class: "faint" }, "≥ ") : null,
    dollars(coin.liquidated_usd),
  );
}

/** The share as a number over a bar of its size; a fifth fills it. */
function bar(coin: Coin): Node | string {
  if (!known(coin.load)) return "–";
  return h(
    "span",
    { class: "load" },
    h("i", { style: `width:${Math.min(100, coin.load * 500)}%` }),
    h("span", {}, percent(coin.load, 1)),
  );
}

function cluster(side: "long" | "short", column: Column<Coin>): Column<Coin> {
  return {
    ...column,
    show: (coin) => {
      const at = coin[`${side}_cluster_price`];
      if (!known(at)) return "–";
      return h(
        "span",
        { class: "two" },
        h("span", { class: side }, price(at)),
        h("span", { class: "faint" }, dollars(coin[`${side}_cluster_usd`])),
      );
    },
  };
}
