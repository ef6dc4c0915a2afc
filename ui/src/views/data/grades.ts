/** Whose numbers can be believed: a grade for each market and metric, with its reasons. */

import { askOrEmpty } from "../../api/client";
import type { Table } from "../../api/columns";
import { h } from "../../dom";
import { dollars, ratio } from "../../format";
import type { Column } from "../../panel/table";
import { markets } from "../../state/markets";
import { say } from "../../text";
import { type Statement, stated } from "../../text/told";
import { begin } from "../symbol/load";

export interface Grade {
  exchange: string;
  symbol: string;
  metric: string;
  population: string;
  grade: string;
  reasons: string;
  value_usd: number;
  z: number;
  lag_minutes: number;
}

/** Coins that are graded: each takes the server a second. */
const MOST = 6;

export async function loadGrades(signal: AbortSignal): Promise<Grade[]> {
  const coins = markets.value.coins.slice(0, MOST);
  const found: Grade[] = [];
  for (const symbol of coins) {
    const since = begin(symbol, "7d");
    found.push(...read((await askOrEmpty("/consensus", { symbol, since }, signal)).inner("grades")));
  }
  return found;
}

function read(table: Table): Grade[] {
  const word = (name: string, row: number): string => String(table.value(name, row) ?? "");
  return table.words("grade").map((grade, row) => ({
    exchange: word("exchange", row),
    symbol: word("symbol", row),
    metric: word("metric", row),
    population: word("population", row),
    grade: grade ?? "",
    reasons: stated((table.value("findings", row) as Statement[] | null) ?? []),
    value_usd: table.at("value_usd", row),
    z: table.at("z", row),
    lag_minutes: table.at("lag_minutes", row),
  }));
}

const TONES: Record<string, string> = { A: "good", B: "", C: "warn", D: "bad" };

export function gradeColumns(): Column<Grade>[] {
  const titles = say().data.columns;
  const metrics = say().data.metrics as Record<string, string>;
  const populations = say().data.populations as Record<string, string>;
  const word = (key: "exchange" | "symbol" | "metric" | "reasons"): Column<Grade> => ({
    key,
    title: titles[key],
    words: true,
    value: (one) => one[key],
  });
  const number = (key: "value_usd" | "z" | "lag_minutes", show: (value: number) => string): Column<Grade> => ({
    key,
    title: titles[key],
    value: (one) => one[key],
    show: (one) => show(one[key]),
  });
  return [
    {
      key: "grade",
      title: titles.grade,
      words: true,
      value: ({ grade }) => grade,
      show: ({ grade }) => h("b", { class: TONES[grade] ?? "" }, grade),
    },
    word("exchange"),
    word("symbol"),
    {
      ...word("metric"),
      show: ({ metric, population }) =>
        [metrics[metric] ?? metric, populations[population] ?? population].filter(Boolean).join(" · "),
    },
    number("value_usd", dollars),
    number("z", (value) => ratio(value, 1)),
    number("lag_minutes", (value) => ratio(value, 0)),
    word("reasons"),
  ];
}
