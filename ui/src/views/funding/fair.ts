/** How far perpetuals lie from the premium at which funding would pay what holding the coin costs. */

import { askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import type { Line, PlotOptions } from "../../charts/plot";
import { percent } from "../../format";
import type { Sheet } from "../../panel/export";
import type { Address } from "../../state/address";
import { isStored } from "../../state/markets";
import { say } from "../../text";
import { LENGTH, begin } from "../symbol/load";

const COLOURS = ["series", "series-2", "series-3", "series-4", "long", "short"];
const NAMES = ["price", "spot", "premium", "cost", "fair", "deviation"];

export function loadFair(shown: Address, signal: AbortSignal): Promise<Table> {
  const priced = isStored("mark_price", shown.symbol) || isStored("candle", shown.symbol);
  if (!priced) return Promise.resolve(Table.empty);
  const every = LENGTH[shown.range] > 90 * 86_400 ? "1d" : "8h";
  return askOrEmpty(
    "/fair-value",
    { symbol: shown.symbol, exchange: shown.exchanges, since: begin(shown.symbol, shown.range), every },
    signal,
  );
}

/** Rows of which it is known what is fair. */
function known(table: Table): number[] {
  return [...table.numbers("deviation").keys()].filter((row) => Number.isFinite(table.at("deviation", row)));
}

/** Why of no market it is known what is fair; nothing where it is, or where none is stored. */
export function unknown(table: Table): string | undefined {
  return known(table).length ? undefined : table.words("reason").at(-1) || undefined;
}

/** Each market's premium less the fair one. */
export function deviations(table: Table): PlotOptions {
  const [rows, times] = [known(table), table.times()];
  const [exchanges, symbols] = [table.words("exchange"), table.words("symbol")];
  const x = [...new Set(rows.map((row) => times[row]!))].sort((a, b) => a - b);
  const at = new Map(x.map((time, index) => [time, index]));
  const names = [...new Set(rows.map((row) => `${exchanges[row]} ${symbols[row]}`))];
  const lines = names.slice(0, COLOURS.length).map((name, index): Line => {
    const values: (number | null)[] = x.map(() => null);
    for (const row of rows) {
      if (`${exchanges[row]} ${symbols[row]}` === name) values[at.get(times[row]!)!] = table.at("deviation", row);
    }
    return { name, colour: COLOURS[index]!, values };
  });
  return {
    x,
    time: true,
    zero: true,
    cut: true,
    y: (value) => percent(value, 3, true),
    label: say().funding.fair,
    lines,
  };
}

export function fairSheet(table: Table): Sheet {
  const [times, exchanges, symbols] = [table.times(), table.words("exchange"), table.words("symbol")];
  return {
    columns: ["time", "exchange", "symbol", ...NAMES],
    rows: [...exchanges.keys()].map((row) => [
      new Date(times[row]! * 1000).toISOString(),
      exchanges[row],
      symbols[row],
      ...NAMES.map((name) => table.at(name, row)),
    ]),
  };
}
