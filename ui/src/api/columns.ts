/** Binary columns, as `docs/reference/server.md` says them: a header in JSON, then plain arrays. */

export const COLUMNS = "application/vnd.plimsoll.columns";
const MAGIC = 0x314d4c50; // "PLM1", little endian

export type Floats = Float64Array | Float32Array;
type Values = Floats | unknown[];

interface Described {
  name: string;
  dtype: "f8" | "f4" | "json";
  shape: number[];
  offset: number;
  bytes: number;
}

/** What was found, as columns, and the facts beside them. */
export class Table {
  constructor(
    readonly facts: Record<string, unknown>,
    private readonly columns: Map<string, Values>,
    private readonly shapes: Map<string, number[]>,
  ) {}

  static readonly empty = new Table({}, new Map(), new Map());

  /** A table that stands among the facts of another, as lists; empty if there is none. */
  inner(name: string): Table {
    const lists = (this.facts[name] ?? {}) as Record<string, unknown[]>;
    const columns = new Map<string, Values>();
    const shapes = new Map<string, number[]>();
    for (const [column, values] of Object.entries(lists)) {
      columns.set(column, plain(values));
      shapes.set(column, [values.length]);
    }
    return new Table({}, columns, shapes);
  }

  /** Several tables of the same columns, one after the other. */
  static joined(tables: Table[]): Table {
    const [first, ...rest] = tables.filter((table) => table.length);
    if (!first || !rest.length) return first ?? Table.empty;
    const columns = new Map<string, Values>();
    const shapes = new Map<string, number[]>();
    for (const name of first.names) {
      const parts = [first, ...rest].map((table) => table.columns.get(name) ?? []);
      const lists = parts.some(Array.isArray);
      const all = parts.flatMap((part) => Array.from(part as ArrayLike<unknown>));
      columns.set(name, lists ? all : Float64Array.from(all as number[]));
      shapes.set(name, [all.length]);
    }
    return new Table(first.facts, columns, shapes);
  }

  get names(): string[] {
    return [...this.columns.keys()];
  }

  /** Rows of the first column. */
  get length(): number {
    return this.columns.values().next().value?.length ?? 0;
  }

  has(name: string): boolean {
    return this.columns.has(name);
  }

  shape(name: string): number[] {
    return this.shapes.get(name) ?? [];
  }

  /** A column of numbers, NaN where unknown; empty if there is none of that name. */
  numbers(name: string): Floats {
    const found = this.columns.get(name);
    if (found === undefined) return new Float64Array();
    return Array.isArray(found) ? Float64Array.from(found, numberOf) : found;
  }

  /** A column of times, in seconds since 1970. */
  times(name = "time"): Float64Array {
    return Float64Array.from(this.numbers(name), (milliseconds) => milliseconds / 1000);
  }

  /** A column of words. */
  words(name: string): (string | null)[] {
    const found = this.columns.get(name);
    return Array.isArray(found) ? (found as (string | null)[]) : [];
  }

  /** A column of lists of numbers, such as sparklines. */
  lists(name: string): (number | null)[][] {
    const found = this.columns.get(name);
    return Array.isArray(found) ? (found as (number | null)[][]) : [];
  }

  /** One number; NaN where unknown. */
  at(name: string, row: number): number {
    return this.numbers(name)[row] ?? Number.NaN;
  }

  /** One value as it came, null where unknown. */
  value(name: string, row: number): unknown {
    const value = this.columns.get(name)?.[row];
    return value === undefined || (typeof value === "number" && Number.isNaN(value)) ? null : value;
  }
}

const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

/** Lists as they stand in JSON: numbers as an array of them, times as milliseconds. */
function plain(values: unknown[]): Values {
  const first = values.find((value) => value !== null);
  if (first === undefined || typeof first === "number") return Float64Array.from(values, numberOf);
  if (typeof first !== "string" || !TIME.test(first)) return values;
  return Float64Array.from(values, (value) => Date.parse(String(value)));
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** Read an answer in binary columns. */
export function decode(buffer: ArrayBuffer): Table {
  const view = new DataView(buffer);
  if (buffer.byteLength < 8 || view.getUint32(0, true) !== MAGIC) {
    throw new TypeError("this is no answer in binary columns");
  }
  const size = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size))) as {
    facts: Record<string, unknown>;
    arrays: Described[];
  };
  const columns = new Map<string, Values>();
  const shapes = new Map<string, number[]>();
  for (const one of header.arrays) {
    columns.set(one.name, values(buffer, 8 + size + one.offset, one));
    shapes.set(one.name, one.shape);
  }
  return new Table(header.facts, columns, shapes);
}

function values(buffer: ArrayBuffer, at: number, one: Described): Values {
  if (one.dtype === "f8") return new Float64Array(buffer, at, one.bytes / 8);
  if (one.dtype === "f4") return new Float32Array(buffer, at, one.bytes / 4);
  return JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, at, one.bytes))) as unknown[];
}
