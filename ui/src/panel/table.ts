/** A table that can be sorted, read aloud and taken away. */

import { fill, h } from "../dom";
import { known } from "../format";
import type { Sheet } from "./export";

export interface Column<Row> {
  key: string;
  title: string;
  why?: string;
  /** What is sorted by and exported; null where unknown. */
  value: (row: Row) => string | number | null;
  /** What is shown; the value as it is if left out. */
  show?: (row: Row) => Node | string;
  /** Words stand left, numbers right. */
  words?: boolean;
  /** A class of the cell, such as that of its tone. */
  tone?: (row: Row) => string;
  sortable?: boolean;
}

export interface TableOptions<Row> {
  name: string;
  columns: Column<Row>[];
  sort: string;
  sorted: (sort: string) => void;
  /** Opens a row; it can then be reached by key. */
  open?: (row: Row) => void;
  /** Names the row in its button. */
  opens?: (row: Row) => string;
}

export function table<Row>(rows: Row[], options: TableOptions<Row>): HTMLTableElement {
  const { columns, sort } = options;
  const descending = sort.startsWith("-");
  const key = sort.replace(/^-/, "");
  return h(
    "table",
    { class: "table" },
    h("caption", { class: "unseen" }, options.name),
    h(
      "thead",
      {},
      h("tr", {}, ...columns.map((column) => head(column, column.key === key ? descending : null, options))),
    ),
    h("tbody", {}, ...ordered(rows, columns, sort).map((row) => line(row, options))),
  );
}

function head<Row>(
  column: Column<Row>,
  descending: boolean | null,
  { sorted }: TableOptions<Row>,
): HTMLElement {
  const way = descending === null ? "none" : descending ? "descending" : "ascending";
  const next = descending === null ? !column.words : !descending;
  return h(
    "th",
    {
      scope: "col",
      class: column.words ? "" : "number",
      title: column.why || null,
      "aria-sort": column.sortable === false ? null : way,
    },
    column.sortable === false
      ? column.title
      : h(
          "button",
          { class: "sorter", "data-key": `sort-${column.key}`, onClick: () => sorted((next ? "-" : "") + column.key) },
          column.title,
          h("i", { "aria-hidden": "true" }, descending === null ? "" : descending ? "↓" : "↑"),
        ),
  );
}

function line<Row>(row: Row, { columns, open, opens }: TableOptions<Row>): HTMLElement {
  return h(
    "tr",
    open ? { class: "opens", onClick: () => open(row) } : {},
    ...columns.map((column, index) => {
      const shown = column.show ? column.show(row) : String(column.value(row) ?? "–");
      const name = `${column.words ? "" : "number"} ${column.tone?.(row) ?? ""}`;
      if (index > 0 || !open) return h("td", { class: name }, shown);
      const button = h("button", { class: "row-button", "aria-label": opens?.(row) ?? null }, shown);
      return h("th", { scope: "row", class: name }, button);
    }),
  );
}

/** Sort rows by a column; what is unknown stands last either way. */
export function ordered<Row>(rows: Row[], columns: Column<Row>[], sort: string): Row[] {
  const way = sort.startsWith("-") ? -1 : 1;
  const column = columns.find(({ key }) => key === sort.replace(/^-/, ""));
  if (!column) return rows;
  return [...rows].sort((one, other) => {
    const [a, b] = [column.value(one), column.value(other)];
    const [seenA, seenB] = [isKnown(a), isKnown(b)];
    if (!seenA || !seenB) return Number(seenB) - Number(seenA);
    return way * (typeof a === "string" ? a.localeCompare(String(b)) : (a as number) - (b as number));
  });
}

function isKnown(value: string | number | null): boolean {
  return typeof value === "number" ? known(value) : value !== null;
}

export function sheetOf<Row>(rows: Row[], columns: Column<Row>[]): Sheet {
  return {
    columns: columns.map(({ key }) => key),
    rows: rows.map((row) => columns.map(({ value }) => value(row))),
  };
}

/** Put a table into an element, and keep the focus where it was. */
export function place(element: HTMLElement, made: HTMLElement): void {
  const held = (document.activeElement as HTMLElement | null)?.dataset["key"];
  const within = element.contains(document.activeElement);
  fill(element, made);
  if (within && held) element.querySelector<HTMLElement>(`[data-key="${held}"]`)?.focus();
}
