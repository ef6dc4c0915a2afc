/** Beside the chart: clusters as a list, and what a range of prices is made of. */

import type { Table } from "../../api/columns";
import { fill, h } from "../../dom";
import { day, dollars, known, lasting, percent, price as priced } from "../../format";
import { go } from "../../state/address";
import { refused } from "../../panel/refusal";
import { say } from "../../text";
import type { Label } from "./marks";

/** Read clusters as labels. */
export function labels(clusters: Table, chosen: [number, number] | null): Label[] {
  return clusters.words("side").map((side, row) => {
    const low = clusters.at("price_low", row);
    const high = clusters.at("price_high", row);
    const near = (a: number, b: number): boolean => Math.abs(a / b - 1) < 1e-6;
    return {
      side: side ?? "",
      low,
      high,
      price: clusters.at("price", row),
      usd: clusters.at("value_usd", row),
      chosen: chosen !== null && near(low, chosen[0]) && near(high, chosen[1]),
    };
  });
}

/** The clusters, by falling dollars; each opens what it is made of. */
export function clusterList(clusters: Table | null, waiting = ""): HTMLElement {
  const words = say().symbol;
  if (!clusters) {
    return h("section", { class: "clusters" }, h("h3", {}, words.clusters), h("p", { class: "dim" }, waiting || say().panel.loading));
  }
  const rows = clusters.words("side").map((side, row) => {
    const range: [number, number] = [clusters.at("price_low", row), clusters.at("price_high", row)];
    const away = clusters.at("distance", row) * (side === "long" ? -1 : 1);
    return h(
      "li",
      {},
      h(
        "button",
        {
          class: "cluster",
          title: words.openCluster,
          onClick: () => go({ cell: range }, true),
        },
        h("span", { class: "unseen" }, words.sides[side as "long" | "short"]),
        h("i", { class: side ?? "", "aria-hidden": "true" }, side === "long" ? "▼" : "▲"),
        h("span", { class: "number" }, priced(clusters.at("price", row))),
        h("span", { class: "number dim" }, percent(away, 1, true)),
        h("span", { class: "number strong" }, dollars(clusters.at("value_usd", row))),
      ),
    );
  });
  return h(
    "section",
    { class: "clusters" },
    h("h3", {}, words.clusters),
    rows.length ? h("ul", {}, ...rows.slice(0, 8)) : h("p", { class: "dim" }, words.noClusters),
  );
}

/** Show what a range of prices is made of. */
export function provenance(
  element: HTMLElement,
  range: [number, number],
  table: Table | null,
  error: unknown,
  waiting = "",
): void {
  const words = say().symbol;
  fill(
    element,
    h(
      "header",
      {},
      h("h3", {}, words.madeOf),
      h("button", {
        class: "button icon",
        "aria-label": words.close,
        title: `${words.close} (Esc)`,
        onClick: () => go({ cell: null }),
      }, "×"),
    ),
    h("p", { class: "range number" }, `${priced(range[0])} – ${priced(range[1])}`),
    error ? h("p", { class: "bad", role: "alert" }, refused(error)) : null,
    !table && !error ? h("p", { class: "dim", role: "status" }, waiting || say().panel.loading) : null,
    table ? madeOf(table) : null,
  );
}

function madeOf(table: Table): HTMLElement {
  const words = say().symbol;
  const usd = [...table.numbers("value_usd")];
  const total = usd.reduce((a, b) => a + b, 0);
  if (!(total > 0)) return h("p", { class: "dim" }, words.nothingThere);
  const by = (keyOf: (row: number) => string): [string, number][] => {
    const sums = new Map<string, number>();
    usd.forEach((value, row) => sums.set(keyOf(row), (sums.get(keyOf(row)) ?? 0) + value));
    return [...sums].sort((a, b) => b[1] - a[1]);
  };
  const exchanges = table.words("exchange");
  const symbols = table.words("symbol");
  const sides = table.words("side");
  return h(
    "div",
    {},
    h("p", { class: "total" }, dollars(total), h("span", { class: "dim" }, words.estimate)),
    shares(words.bySide, by((row) => words.sides[sides[row] as "long" | "short"]), total),
    shares(words.byMarket, by((row) => `${exchanges[row]} ${symbols[row]}`), total),
    shares(words.byLeverage, by((row) => `${table.at("leverage", row)}×`), total),
    shares(words.byAge, by((row) => age(table, row)), total),
    entries(table),
  );
}

function age(table: Table, row: number): string {
  const [from, until] = [table.at("age_from", row), table.at("age_until", row)];
  const start = lasting(from * 3600);
  if (!known(until)) return say().symbol.older(start);
  return from > 0 ? `${start} – ${lasting(until * 3600)}` : say().symbol.younger(lasting(until * 3600));
}

function shares(title: string, parts: [string, number][], total: number): HTMLElement {
  return h(
    "section",
    { class: "shares" },
    h("h4", {}, title),
    ...parts.slice(0, 6).map(([name, value]) =>
      h(
        "div",
        { class: "share" },
        h("i", { style: `width:${(100 * value) / total}%` }),
        h("span", {}, name),
        h("span", { class: "number" }, percent(value / total, 0)),
      ),
    ),
  );
}

/** Where the positions were entered, the largest first. */
function entries(table: Table): HTMLElement {
  const words = say().symbol;
  const order = [...table.numbers("value_usd")]
    .map((value, row) => ({ value, row }))
    .sort((a, b) => b.value - a.value)
    .slice(0, 8);
  return h(
    "section",
    { class: "shares" },
    h("h4", {}, words.entered),
    h(
      "table",
      { class: "small" },
      h("thead", {}, h("tr", {}, ...words.enteredHead.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        ...order.map(({ value, row }) =>
          h(
            "tr",
            {},
            h("td", { class: "number" }, `${table.at("leverage", row)}×`),
            h("td", { class: "number" }, `${priced(table.at("entry_low", row))} – ${priced(table.at("entry_high", row))}`),
            h("td", { class: "number" }, day(table.times("traded_last")[row])),
            h("td", { class: "number" }, dollars(value)),
          ),
        ),
      ),
    ),
  );
}
