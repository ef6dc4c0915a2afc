/** What the view of a symbol asks the server. */

import { Refusal, type Told, ask, askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { HeatMap } from "../../charts/heatmap/data";
import type { Address, Pane, Range } from "../../state/address";
import { coinOf, exchangesOf, firstOf, lastOf, markets, symbolsOf } from "../../state/markets";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

export const LENGTH: Record<Range, number> = {
  "12h": 12 * HOUR,
  "24h": DAY,
  "3d": 3 * DAY,
  "7d": 7 * DAY,
  "30d": 30 * DAY,
  "90d": 90 * DAY,
  "180d": 180 * DAY,
  "1y": 365 * DAY,
};

/** The steps tried, the shortest first, where the data allow them. */
const STEPS: Record<Range, [string, number][]> = {
  "12h": [["5m", 5 * MINUTE], ["15m", 15 * MINUTE], ["1h", HOUR]],
  "24h": [["5m", 5 * MINUTE], ["15m", 15 * MINUTE], ["1h", HOUR]],
  "3d": [["5m", 5 * MINUTE], ["15m", 15 * MINUTE], ["1h", HOUR]],
  "7d": [["10m", 10 * MINUTE], ["30m", 30 * MINUTE], ["1h", HOUR]],
  "30d": [["30m", 30 * MINUTE], ["1h", HOUR], ["4h", 4 * HOUR]],
  "90d": [["2h", 2 * HOUR], ["4h", 4 * HOUR], ["8h", 8 * HOUR]],
  "180d": [["4h", 4 * HOUR], ["8h", 8 * HOUR], ["1d", DAY]],
  "1y": [["8h", 8 * HOUR], ["12h", 12 * HOUR], ["1d", DAY]],
};
const ROWS = 480;

type Question = Record<string, string | number | boolean | string[]>;

export interface Span {
  since: string;
  /** Left out at the newest that is stored. */
  until?: string;
  /** Of a bar, as it is asked for. */
  step: string;
}

/** The range in the server's words: counted back from its end, or from what is stored, not from today. */
export function spanOf({ symbol, range, end }: Pick<Address, "symbol" | "range" | "end">): { since: string; until?: string } {
  const last = end ?? lastOf("open_interest", symbol);
  const from = Math.floor(((Number.isFinite(last) ? last : Date.now() / 1000) - LENGTH[range]) / HOUR) * HOUR;
  return { since: moment(from), ...(end === null ? {} : { until: moment(end) }) };
}

function moment(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** Where the range has to end to show what is stored until a moment; null where there is no map to show it with. */
export function endAt(symbol: string, last: number): number | null {
  return firstOf("open_interest", symbol) < last - DAY ? Math.floor(last / HOUR) * HOUR + HOUR : null;
}

/** Ask for the map, in the shortest bars that the data allow. */
export async function loadMap(
  shown: Address,
  signal: AbortSignal,
  told?: Told,
): Promise<{ map: HeatMap; span: Span }> {
  const span = spanOf(shown);
  const steps = STEPS[shown.range].filter(([, length], index, all) => length >= usual(shown.symbol) || index === all.length - 1);
  for (const [index, [step]] of steps.entries()) {
    try {
      const table = await ask("/heatmap", question(shown, { ...span, step }), signal, told);
      return { map: new HeatMap(table), span: { ...span, step } };
    } catch (error) {
      const tooShort = error instanceof Refusal && error.status === 422;
      if (!tooShort || index === steps.length - 1) throw error;
    }
  }
  throw new Refusal(404, "no-such-data", "no map");
}

/** How often open interest is told where it is told most often, seconds; 0 where that is not known. */
function usual(symbol: string): number {
  const { status } = markets.value;
  const meant = new Set<string | null>(symbolsOf("open_interest", symbol));
  const [kinds, symbols] = [status.words("kind"), status.words("symbol")];
  const [first, last] = [status.times("first"), status.times("last")];
  const found = kinds.flatMap((kind, row) => {
    if (kind !== "open_interest" || !meant.has(symbols[row] ?? null)) return [];
    const steps = status.at("rows", row) + status.at("missing", row) - 1;
    return [steps > 0 ? (last[row]! - first[row]!) / steps : 0];
  });
  return found.length ? Math.min(...found) * 0.99 : 0;
}

function question(shown: Address, { step, ...span }: Span): Question {
  return {
    symbol: shown.symbol,
    exchange: shown.exchanges,
    ...span,
    interval: step,
    rows: ROWS,
    ...modelOf(shown),
  };
}

/** Ask for what a pane shows. */
export function loadPane(
  pane: Pane,
  shown: Address,
  span: Span,
  signal: AbortSignal,
): Promise<Table> {
  const { step: _, ...times } = span;
  const asked = { symbol: shown.symbol, exchange: shown.exchanges, ...times };
  switch (pane) {
    case "interest":
      return askOrEmpty("/open-interest/candles", { ...asked, interval: span.step, every: finer(span.step) }, signal);
    case "funding":
      return within("funding", shown.symbol, span)
        ? askOrEmpty("/weighted-funding", asked, signal)
        : Promise.resolve(Table.empty);
    case "ratio":
      return rowsOf("long_short_ratio", shown, times, signal);
    case "liquidations":
      return within("liquidation", shown.symbol, span) || summed("liquidation_total", shown.symbol, span)
        ? askOrEmpty("/liquidations", { ...asked, every: span.step, by: "all" }, signal)
        : Promise.resolve(Table.empty);
    case "cvd":
      return flowing(shown.symbol, span)
        ? askOrEmpty("/flow", { ...asked, every: span.step }, signal)
        : Promise.resolve(Table.empty);
    case "basis":
      return dated(shown.symbol)
        ? askOrEmpty("/basis", { ...asked, symbol: coinOf(shown.symbol), every: coarser(span.step) }, signal)
        : Promise.resolve(Table.empty);
  }
}

/** The kinds of fact a pane is made of. */
const KINDS: Record<Pane, string[]> = {
  interest: ["open_interest"],
  funding: ["funding"],
  ratio: ["long_short_ratio"],
  liquidations: ["liquidation", "liquidation_total"],
  cvd: ["candle", "taker_volume", "trade"],
  basis: ["candle", "mark_price", "option_quote"],
};

/** Where what is stored of a pane ends, if that is a day or more before a moment; NaN where there is nothing. */
export function endOf(pane: Pane, symbol: string, end: number): number | null {
  const of = pane === "basis" ? coinOf(symbol) : symbol;
  const at = pane === "funding" ? exchangesOf(symbol) : undefined; // it is weighted by open interest
  const known = KINDS[pane].map((kind) => lastOf(kind, of, at)).filter(Number.isFinite);
  if (!known.length) return Number.NaN;
  const last = Math.max(...known);
  return last < end - DAY ? last : null;
}

/** Whether some of a kind may be stored of a span. */
export function within(kind: string, symbol: string, { since, until }: Omit<Span, "step">): boolean {
  const goesOn = lastOf(kind, symbol) >= Date.parse(since) / 1000;
  return goesOn && !(until !== undefined && firstOf(kind, symbol) >= Date.parse(until) / 1000);
}

/** Whether what a kind tells of lengths of time is told in steps as short as a span's. */
function summed(kind: string, symbol: string, span: Span): boolean {
  const { status } = markets.value;
  const meant = new Set<string | null>(symbolsOf(kind, symbol));
  const [kinds, symbols] = [status.words("kind"), status.words("symbol")];
  const short = status.words("detail").some((length, row) => {
    const fits = seconds(length?.split(" ")[0] ?? "") <= seconds(span.step);
    return fits && kinds[row] === kind && meant.has(symbols[row] ?? null);
  });
  return short && within(kind, symbol, span);
}

/** Seconds of a length such as 8h; NaN of anything else. */
function seconds(length: string): number {
  const unit = { m: MINUTE, h: HOUR, d: DAY }[length.slice(-1)];
  return unit ? Number(length.slice(0, -1)) * unit : Number.NaN;
}

/** At which open interest is looked at within a candle. */
function finer(step: string): string {
  return step.endsWith("m") ? "5m" : "1h";
}

/** Curves are not told every few minutes. */
function coarser(step: string): string {
  return step.endsWith("m") ? "1h" : step;
}

function flowing(symbol: string, span: Span): boolean {
  return within("trade", symbol, span) || ["candle", "taker_volume"].some((kind) => summed(kind, symbol, span));
}

/** Whether a coin has dated futures or options, of which alone there is a basis. */
function dated(symbol: string): boolean {
  const coin = coinOf(symbol);
  return ["mark_price", "candle", "option_quote"].some((kind) =>
    symbolsOf(kind, coin).some((name) => /-\d{6}/.test(name)),
  );
}

/** Single liquidations that are drawn, and since when they are asked for. */
export interface Forced {
  rows: Table;
  /** Null where all of the span is. */
  since: number | null;
}

/** Liquidations read at once: of more than that, the newest. */
const MOST = 10_000;

/** Ask for single liquidations, the newest of them where the bars count too many. */
export async function loadForced(
  bars: Table,
  shown: Address,
  span: Span,
  signal: AbortSignal,
): Promise<Forced> {
  const since = newestSince(bars, MOST);
  const { step: _, ...times } = span;
  const from = since === null ? times : { ...times, since: moment(since) };
  return { rows: await rowsOf("liquidation", shown, from, signal), since };
}

/** Ask for the bursts of liquidations; none where none is stored of the span. */
export function loadBursts(shown: Address, span: Span, signal: AbortSignal): Promise<Table> {
  const { step: _, ...times } = span;
  return within("liquidation", shown.symbol, span)
    ? askOrEmpty("/bursts", { symbol: shown.symbol, exchange: shown.exchanges, ...times }, signal)
    : Promise.resolve(Table.empty);
}

/** Open of the bar from which on at most so many were counted; null if that is the first. */
export function newestSince(bars: Table, most: number): number | null {
  const times = bars.times();
  let counted = 0;
  for (let row = times.length - 1; row >= 0; row--) {
    counted += (bars.at("long_count", row) || 0) + (bars.at("short_count", row) || 0);
    if (counted > most) return times[Math.min(row + 1, times.length - 1)]!;
  }
  return null;
}

/** Rows of a kind of fact for all symbols meant, joined. */
async function rowsOf(
  kind: "liquidation" | "long_short_ratio",
  shown: Address,
  times: { since: string; until?: string },
  signal: AbortSignal,
): Promise<Table> {
  const symbols = symbolsOf(kind, shown.symbol);
  const tables = await Promise.all(
    symbols.map((symbol) => pagesOf(kind, { symbol, exchange: shown.exchanges, ...times, limit: MOST }, signal)),
  );
  return Table.joined(tables.flat());
}

/** All pages of a kind of fact. */
async function pagesOf(
  kind: "liquidation" | "long_short_ratio",
  asked: Record<string, string | number | string[]>,
  signal: AbortSignal,
): Promise<Table[]> {
  const found = [await askOrEmpty(`/rows/${kind}`, asked, signal)];
  for (let next = found[0]!.facts["next"]; next; next = found.at(-1)!.facts["next"]) {
    found.push(await askOrEmpty(`/rows/${kind}`, { ...asked, cursor: String(next) }, signal));
  }
  return found;
}

export function loadClusters(shown: Address, span: Span, signal: AbortSignal, told: Told): Promise<Table> {
  return askOrEmpty("/clusters", nowOf(shown, span), signal, told);
}

export function loadProvenance(
  shown: Address,
  span: Span,
  [low, high]: [number, number],
  signal: AbortSignal,
  told: Told,
): Promise<Table> {
  return ask("/provenance", { ...nowOf(shown, span), low, high }, signal, told);
}

/** The map's last column, of the same bars and learnt from the same span. */
function nowOf(shown: Address, { step, ...times }: Span): Question {
  return { symbol: shown.symbol, exchange: shown.exchanges, ...times, interval: step, ...modelOf(shown) };
}

/** Where the leverage comes from, and which of it: the same for the map and for what is said of it. */
function modelOf({ model, leverage }: Address): Record<string, boolean | string[]> {
  return model === "prior" ? { leverage } : { [model]: true, leverage };
}
