/** What is shown, kept in the address: a link is the whole state. */

import { Cell } from "./cell";

export const VIEWS = ["market", "symbol", "options", "funding", "data"] as const;
export const RANGES = ["12h", "24h", "3d", "7d", "30d", "90d", "180d", "1y"] as const;
export const PALETTES = ["purple", "cividis", "ember"] as const;
export const MODELS = ["prior", "fitted", "measured"] as const;
export const PANES = ["interest", "funding", "ratio", "liquidations", "cvd", "basis"] as const;

export type View = (typeof VIEWS)[number];
export type Range = (typeof RANGES)[number];
export type Palette = (typeof PALETTES)[number];
export type Model = (typeof MODELS)[number];
export type Pane = (typeof PANES)[number];

export interface Address {
  view: View;
  /** A coin, for all its contracts, or a unified symbol. */
  symbol: string;
  /** Exchanges asked; none means all. */
  exchanges: string[];
  range: Range;
  /** The visible span in seconds; null shows all of the range. */
  span: [number, number] | null;
  /** The visible prices; null fits them. */
  prices: [number, number] | null;
  log: boolean;
  map: boolean;
  palette: Palette;
  /** Shares of the scale's top between which cells are shown. */
  threshold: [number, number];
  /** The top of the scale in dollars; null takes it from the map. */
  top: number | null;
  model: Model;
  /** The leverages shown, as the server takes them; none means all. */
  leverage: string[];
  panes: Pane[];
  bubbles: boolean;
  clusters: boolean;
  /** The price range whose make-up is open. */
  cell: [number, number] | null;
  sort: string;
  filter: string;
  expiry: string;
  theme: "dark" | "light";
  language: "en" | "zh";
  zone: string;
}

export const START: Address = {
  view: "market",
  symbol: "BTC",
  exchanges: [],
  range: "7d",
  span: null,
  prices: null,
  log: false,
  map: true,
  palette: "purple",
  threshold: [0, 1],
  top: null,
  model: "prior",
  leverage: [],
  panes: ["interest", "funding", "liquidations"],
  bubbles: true,
  clusters: true,
  cell: null,
  sort: "-open_interest_usd",
  filter: "",
  expiry: "",
  theme: "dark",
  language: "en",
  zone: "UTC",
};

type Reader = (text: string) => unknown;
const flag: Reader = (text) => (text === "1" ? true : text === "0" ? false : undefined);
const words: Reader = (text) => text.split(",").filter(Boolean);
const one = (allowed: readonly string[]): Reader => (text) =>
  allowed.includes(text) ? text : undefined;
const some = (allowed: readonly string[]): Reader => (text) =>
  text.split(",").filter((word) => allowed.includes(word));
const positive: Reader = (text) => (Number(text) > 0 ? Number(text) : undefined);
const pair: Reader = (text) => {
  const [low, high, ...rest] = text.split("~").map(Number);
  const fine = rest.length === 0 && Number.isFinite(low) && Number.isFinite(high);
  return fine && low! < high! ? [low, high] : undefined;
};

const READERS: Record<keyof Address, Reader> = {
  view: one(VIEWS),
  symbol: (text) => (/^[\w./:-]{1,64}$/.test(text) ? text : undefined),
  exchanges: words,
  range: one(RANGES),
  span: pair,
  prices: pair,
  log: flag,
  map: flag,
  palette: one(PALETTES),
  threshold: pair,
  top: positive,
  model: one(MODELS),
  leverage: (text) => (/^[\d.,-]{1,200}$/.test(text) ? words(text) : undefined),
  panes: some(PANES),
  bubbles: flag,
  clusters: flag,
  cell: pair,
  sort: (text) => (/^-?\w{1,40}$/.test(text) ? text : undefined),
  filter: (text) => text.slice(0, 64),
  expiry: (text) => (/^[\w:-]{1,32}$/.test(text) ? text : undefined),
  theme: one(["dark", "light"]),
  language: one(["en", "zh"]),
  zone: (text) => (isZone(text) ? text : undefined),
};
/** Written with a tilde, to tell them from lists. */
const PAIRS = new Set<string>(["span", "prices", "threshold", "cell"]);

/** Read an address; what cannot be read keeps its start value. */
export function read(query: string, start: Address = START): Address {
  const found: Record<string, unknown> = { ...start };
  for (const [name, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(READERS, name)) continue;
    const value = READERS[name as keyof Address](text);
    if (value !== undefined) found[name] = value;
  }
  return found as unknown as Address;
}

/** Write an address, without what is as at the start. */
export function write(address: Address, start: Address = START): string {
  const query = new URLSearchParams();
  for (const name of Object.keys(START) as (keyof Address)[]) {
    const text = written(name, address[name]);
    if (text !== written(name, start[name])) query.set(name, text);
  }
  const said = query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3A", ":");
  return said ? `?${said}` : "";
}

function written(name: string, value: Address[keyof Address]): string {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "1" : "0";
  return Array.isArray(value) ? value.join(PAIRS.has(name) ? "~" : ",") : String(value);
}

function isZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** What is shown now. */
export const address = new Cell<Address>(START);

/** Show something else; `step` makes it one that "back" returns from. */
export function go(change: Partial<Address>, step = false): void {
  const next = { ...address.value, ...change };
  const query = write(next);
  if (query !== location.search) {
    history[step ? "pushState" : "replaceState"](null, "", query || location.pathname);
  }
  address.set(next);
}

/** Follow the address of the window, from now on. */
export function follow(preferred: Partial<Address>): void {
  const start = { ...START, ...preferred };
  address.set(read(location.search, start));
  addEventListener("popstate", () => address.set(read(location.search, start)));
}
