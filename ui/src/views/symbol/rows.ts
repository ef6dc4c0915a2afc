/** What is read off a map and its liquidations, row by row. */

import type { Table } from "../../api/columns";
import type { HeatMap } from "../../charts/heatmap/data";
import type { Sheet } from "../../panel/export";
import type { Bubble } from "./marks";

const BAR = ["time", "open", "high", "low", "close", "volume_usd", "open_interest_usd", "coverage"];
const CELL = ["price_low", "price_high", "long_usd", "short_usd"];

/** Liquidations that happened, as bubbles over the bars they fell into. */
export function bubblesOf(map: HeatMap, table: Table): Bubble[] {
  const sides = table.words("side");
  const times = table.times();
  const found: Bubble[] = [];
  for (let row = 0; row < times.length; row++) {
    const at = (times[row]! - map.time[0]!) / map.interval - 0.5;
    const [price, usd] = [table.at("price", row), table.at("value_usd", row)];
    if (price > 0 && usd > 0) found.push({ at, price, usd, side: sides[row] ?? "" });
  }
  return found;
}

/** The bars, and beside the last known one what the map holds at each price. */
export function sheetOf(map: HeatMap | null): Sheet {
  const rows: Sheet["rows"] = [];
  for (let column = 0; column < (map?.columns ?? 0); column++) {
    const bar = [
      new Date(map!.time[column]! * 1000).toISOString(),
      ...BAR.slice(1).map((name) => map!.table.at(name, column)),
    ];
    if (column === map!.last) rows.push(...cells(map!, column).map((cell) => [...bar, ...cell]));
    else rows.push([...bar, ...CELL.map(() => null)]);
  }
  return { columns: [...BAR, ...CELL], rows };
}

function cells(map: HeatMap, column: number): number[][] {
  const found: number[][] = [];
  for (let row = 0; row < map.rows; row++) {
    const at = column * map.rows + row;
    if (map.usd(column, row) > 0) {
      found.push([map.edges[row]!, map.edges[row + 1]!, map.long[at]!, map.short[at]!]);
    }
  }
  return found;
}
