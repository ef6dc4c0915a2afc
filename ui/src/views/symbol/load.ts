/** What the view of a symbol asks the server. */

import { Refusal, type Told, ask, askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { HeatMap } from "../../charts/heatmap/data";
import type { Address, Pane, Range } from "../../state/address";
import { coinOf, isStored, lastOf, markets, symbolsOf } from "../../state/markets";

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

export interface Span {
  since: string;
  /** Of a bar, as it is asked for. */
  step: string;
}

/** Where a range begins: counted back from what is stored, not from today. */
export function begin(symbol: string, range: Range): string {
  const last = lastOf("open_interest", symbol);
  const end = Number.isFinite(last) ? last : Date.now() / 1000;
  const from = Math.floor((end - LENGTH[range]) / HOUR) * HOUR;
  return new Date(from * 1000).toISOString();
}

/** Ask for the map, in the shortest bars that the data allow. */
export async function loadMap(
  shown: Address,
  signal: AbortSignal,
  told?: Told,
): Promise<{ map: HeatMap; span: Span }> {
  const since = begin(shown.symbol, shown.range);
  const steps = STEPS[shown.range];
  for (const [index, [step]] of steps.entries()) {
    try {
      const table = await ask("/heatmap", question(shown, since, step), signal, told);
      return { map: new HeatMap(table), span: { since, step } };
    } catch (error) {
      const tooShort = error instanceof Refusal && error.status === 422;
      if (!tooShort || index === steps.length - 1) throw error;
    }
  }
  throw new Refusal(404, "no-such-data", "no map");
}

function question(shown: Address, since: string, interval: string): Record<string, string | number | boolean | string[]> {
  return {
    symbol: shown.symbol,
    exchange: shown.exchanges,
    since,
    interval,
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
  const asked = { symbol: shown.symbol, exchange: shown.exchanges, since: span.since };
  switch (pane) {
    case "interest":
      return askOrEmpty("/open-interest/candles", { ...asked, interval: span.step, every: finer(span.step) }, signal);
    case "funding":
      return within("funding", shown.symbol, span)
        ? askOrEmpty("/weighted-funding", asked, signal)
        : Promise.resolve(Table.empty);
    case "ratio":
      return rowsOf("long_short_ratio", shown, span.since, signal);
    case "liquidations":
      return within("liquidation", shown.symbol, span) || summed(shown.symbol, span)
        ? askOrEmpty("/liquidations", { ...asked, every: span.step, by: "all" }, signal)
        : Promise.resolve(Table.empty);
    case "cvd":
      return flowing(shown.symbol)
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
  const known = KINDS[pane].map((kind) => lastOf(kind, of)).filter(Number.isFinite);
  if (!known.length) return Number.NaN;
  const last = Math.max(...known);
  return last < end - DAY ? last : null;
}

/** Whether a kind goes on into a span. */
function within(kind: string, symbol: string, { since }: Span): boolean {
  return lastOf(kind, symbol) >= Date.parse(since) / 1000;
}

/** Whether sums of liquidations are published in steps as short as a span's. */
function summed(symbol: string, span: Span): boolean {
  const { status } = markets.value;
  const meant = new Set<string | null>(symbolsOf("liquidation_total", symbol));
  const [symbols, lengths] = [status.words("symbol"), status.words("detail")];
  const short = status.words("kind").some((kind, row) => {
    const fits = seconds(lengths[row] ?? "") <= seconds(span.step);
    return fits && kind === "liquidation_total" && meant.has(symbols[row] ?? null);
  });
  return short && within("liquidation_total", symbol, span);
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

function flowing(symbol: string): boolean {
  return ["candle", "taker_volume", "trade"].some((kind) => isStored(kind, symbol));
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
  const from = since === null ? span.since : new Date(since * 1000).toISOString();
  return { rows: await rowsOf("liquidation", shown, from, signal), since };
}

/** Ask for the bursts of liquidations; none where none is stored of the span. */
export function loadBursts(shown: Address, span: Span, signal: AbortSignal): Promise<Table> {
  return within("liquidation", shown.symbol, span)
    ? askOrEmpty("/bursts", { symbol: shown.symbol, exchange: shown.exchanges, since: span.since }, signal)
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
  since: string,
  signal: AbortSignal,
): Promise<Table> {
  const symbols = symbolsOf(kind, shown.symbol);
  const tables = await Promise.all(
    symbols.map((symbol) => pagesOf(kind, { symbol, exchange: shown.exchanges, since, limit: MOST }, signal)),
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

export function loadClusters(shown: Address, signal: AbortSignal, told: Told): Promise<Table> {
  return askOrEmpty("/clusters", { symbol: shown.symbol, exchange: shown.exchanges, ...modelOf(shown) }, signal, told);
}

export function loadProvenance(
  shown: Address,
  [low, high]: [number, number],
  signal: AbortSignal,
  told: Told,
): Promise<Table> {
  const asked = { symbol: shown.symbol, exchange: shown.exchanges, low, high };
  return ask("/provenance", { ...asked, ...modelOf(shown) }, signal, told);
}

/** Where the leverage comes from, and which of it: the same for the map and for what is said of it. */
function modelOf({ model, leverage }: Address): Record<string, boolean | string[]> {
  return model === "prior" ? { leverage } : { [model]: true, leverage };
}
