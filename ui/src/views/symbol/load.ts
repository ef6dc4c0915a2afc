/** What the view of a symbol asks the server. */

import { Refusal, ask, askOrEmpty } from "../../api/client";
import { Table } from "../../api/columns";
import { HeatMap } from "../../charts/heatmap/data";
import type { Address, Pane, Range } from "../../state/address";
import { coinOf, isStored, lastOf, symbolsOf } from "../../state/markets";

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
): Promise<{ map: HeatMap; span: Span }> {
  const since = begin(shown.symbol, shown.range);
  const steps = STEPS[shown.range];
  for (const [index, [step]] of steps.entries()) {
    try {
      const table = await ask("/heatmap", question(shown, since, step), signal);
      return { map: new HeatMap(table), span: { since, step } };
    } catch (error) {
      const tooShort = error instanceof Refusal && error.status === 422;
      if (!tooShort || index === steps.length - 1) throw error;
    }
  }
  throw new Refusal(404, "", "no map");
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
      return lastOf("funding", shown.symbol) >= Date.parse(span.since) / 1000
        ? askOrEmpty("/weighted-funding", asked, signal)
        : Promise.resolve(Table.empty);
    case "ratio":
      return rowsOf("long_short_ratio", shown, span, signal);
    case "liquidations":
      return rowsOf("liquidation", shown, span, signal);
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

/** Rows of a kind of fact for all symbols meant, joined. */
async function rowsOf(
  kind: "liquidation" | "long_short_ratio",
  shown: Address,
  span: Span,
  signal: AbortSignal,
): Promise<Table> {
  const symbols = symbolsOf(kind, shown.symbol);
  const tables = await Promise.all(
    symbols.map((symbol) =>
      askOrEmpty(
        `/rows/${kind}`,
        { symbol, exchange: shown.exchanges, since: span.since, limit: 10_000 },
        signal,
      ),
    ),
  );
  return Table.joined(tables);
}

export function loadClusters(shown: Address, signal: AbortSignal): Promise<Table> {
  return askOrEmpty("/clusters", { symbol: shown.symbol, exchange: shown.exchanges, ...modelOf(shown) }, signal);
}

export function loadProvenance(
  shown: Address,
  [low, high]: [number, number],
  signal: AbortSignal,
): Promise<Table> {
  const asked = { symbol: shown.symbol, exchange: shown.exchanges, low, high };
  return ask("/provenance", { ...asked, ...modelOf(shown) }, signal);
}

/** Where the leverage comes from: the same for the map and for what is said of it. */
function modelOf({ model }: Address): Record<string, boolean> {
  return model === "prior" ? {} : { [model]: true };
}
