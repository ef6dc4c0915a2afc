/** The plots of options: what each draws of a chain. */

import { type Line, type PlotOptions } from "../../charts/plot";
import { day, dollars, percent, price as priced, ratio, short } from "../../format";
import { say } from "../../text";
import type { Chain } from "./load";
import { expiries } from "./load";

const COLOURS = ["series", "series-2", "series-3", "series-4", "long", "short"];

/** Calls up and puts down at each strike, of one expiry or of all. */
export function byStrike(chain: Chain, expiry: number | null): PlotOptions {
  const words = say().options;
  const table = chain.byStrike;
  const times = table.times("expiry");
  const sums = new Map<number, [number, number]>();
  for (let row = 0; row < table.length; row++) {
    if (expiry !== null && times[row] !== expiry) continue;
    const strike = table.at("strike", row);
    const [calls, puts] = sums.get(strike) ?? [0, 0];
    sums.set(strike, [calls + (table.at("calls", row) || 0), puts + (table.at("puts", row) || 0)]);
  }
  const strikes = [...sums.keys()].sort((a, b) => a - b);
  const pain = maxPain(chain, expiry);
  return {
    x: strikes,
    xFormat: priced,
    y: (value) => short(Math.abs(value)),
    zero: true,
    label: words.byStrike,
    lines: mirrored(strikes.map((strike) => sums.get(strike)!)),
    marks: [
      { at: chain.price, name: `${words.price} ${priced(chain.price)}`, colour: "ink" },
      ...(pain ? [{ at: pain, name: `${words.pain} ${priced(pain)}`, colour: "warn" }] : []),
      ...(chain.zero.price && expiry === null
        ? [{ at: chain.zero.price, name: `${words.zero} ${priced(chain.zero.price)}`, colour: "series" }]
        : []),
    ],
  };
}

/** Max pain of an expiry; of all there is none. */
function maxPain(chain: Chain, expiry: number | null): number | null {
  if (expiry === null) return null;
  const row = chain.byExpiry.times("expiry").indexOf(expiry);
  const value = chain.byExpiry.at("max_pain", row);
  return Number.isFinite(value) ? value : null;
}

function mirrored(pairs: [number, number][]): Line[] {
  const words = say().options;
  return [
    { name: words.calls, colour: "up", kind: "bars", values: pairs.map(([calls]) => calls) },
    { name: words.puts, colour: "down", kind: "bars", values: pairs.map(([, puts]) => -puts) },
  ];
}

export function byExpiry(chain: Chain): PlotOptions {
  const words = say().options;
  const table = chain.byExpiry;
  const order = expiries(chain);
  const times = table.times("expiry");
  const pairs = order.map((expiry): [number, number] => {
    const row = times.indexOf(expiry);
    return [table.at("calls", row) || 0, table.at("puts", row) || 0];
  });
  return {
    x: order.map((_, index) => index),
    xFormat: (index) => (Number.isInteger(index) && order[index] ? day(order[index]).slice(2) : ""),
    y: (value) => short(Math.abs(value)),
    zero: true,
    label: words.byExpiry,
    lines: mirrored(pairs),
  };
}

/** Per cent, with a decimal only where labels stand closer. */
function wholly(value: number, step = 0.001): string {
  return percent(value, Math.abs(step * 100 - Math.round(step * 100)) > 1e-6 ? 1 : 0);
}

/** Quoted volatilities as points, what is fitted as a line, of one expiry. */
export function smile(chain: Chain, expiry: number): PlotOptions {
  const words = say().options;
  const quoted = rowsOf(chain.smile.times("expiry"), expiry).map((row) => [
    chain.smile.at("strike", row),
    chain.smile.at("iv", row),
  ]);
  const forward = forwardOf(chain, expiry);
  const fitted = rowsOf(chain.curves.times("expiry"), expiry).map((row) => [
    forward * Math.exp(chain.curves.at("k", row)),
    chain.curves.at("volatility", row),
  ]);
  const x = [...new Set([...quoted, ...fitted].map(([strike]) => strike!))].sort((a, b) => a - b);
  const on = (points: number[][]): (number | null)[] => {
    const known = new Map(points as [number, number][]);
    return x.map((strike) => known.get(strike) ?? null);
  };
  return {
    x,
    xFormat: priced,
    y: wholly,
    label: words.smile,
    lines: [
      { name: words.quoted, colour: "series-2", kind: "points", values: on(quoted) },
      { name: words.fitted, colour: "series", values: bridged(on(fitted)) },
    ],
    marks: [{ at: forward, name: `${words.forward} ${priced(forward)}`, colour: "dim" }],
  };
}

function rowsOf(times: Float64Array, expiry: number): number[] {
  return [...times.keys()].filter((row) => times[row] === expiry);
}

function forwardOf(chain: Chain, expiry: number): number {
  const row = chain.term.times("expiry").indexOf(expiry);
  const forward = chain.term.at("forward", row);
  return Number.isFinite(forward) ? forward : chain.price;
}

/** Draw through the places where only another line has a value. */
function bridged(values: (number | null)[]): (number | null)[] {
  const [first, last] = [
    values.findIndex((value) => value !== null),
    values.findLastIndex((value) => value !== null),
  ];
  let before = first;
  return values.map((value, at) => {
    if (value !== null) {
      before = at;
      return value;
    }
    if (at < first || at > last || first < 0) return null;
    const after = values.findIndex((other, index) => index > at && other !== null);
    const share = (at - before) / (after - before);
    return values[before]! + (values[after]! - values[before]!) * share;
  });
}

export function term(chain: Chain): PlotOptions {
  const words = say().options;
  const table = chain.term;
  const days = table.numbers("days");
  const order = [...days.keys()].sort((a, b) => days[a]! - days[b]!);
  const line = (name: string, column: string, index: number): Line => ({
    name,
    colour: COLOURS[index]!,
    values: order.map((row) => table.at(column, row)),
  });
  return {
    x: order.map((row) => days[row]!),
    xFormat: (value) => words.days(value.toFixed(0)),
    y: wholly,
    label: words.term,
    lines: [line(words.atm, "atm", 0), line(words.call25, "call_25", 1), line(words.put25, "put_25", 2)],
  };
}

export function gamma(chain: Chain): PlotOptions {
  const words = say().options;
  const table = chain.profile;
  return {
    x: table.numbers("price"),
    xFormat: priced,
    y: (value) => dollars(value),
    zero: true,
    label: words.gamma,
    lines: [
      { name: words.naive, colour: "series", values: table.numbers("naive_usd"), filled: true },
      { name: words.taker, colour: "series-2", values: table.numbers("taker_usd") },
    ],
    marks: [
      { at: chain.price, name: `${words.price} ${priced(chain.price)}`, colour: "ink" },
      ...(chain.zero.price ? [{ at: chain.zero.price, name: `${words.zero} ${priced(chain.zero.price)}`, colour: "warn" }] : []),
    ],
  };
}

export function history(chain: Chain): PlotOptions {
  const words = say().options;
  const table = chain.history;
  return {
    x: table.times(),
    time: true,
    y: (value) => ratio(value),
    label: words.history,
    lines: [
      { name: words.byInterest, colour: "series", values: table.numbers("put_call_open_interest") },
      { name: words.byVolume, colour: "series-2", values: table.numbers("put_call_volume") },
    ],
  };
}
