/** Numbers and times as they are read. What is unknown is a dash, never a zero. */

import { address } from "./state/address";
import { say } from "./text";

export const UNKNOWN = "–";
const MINUS = "−";

type Maybe = number | null | undefined;

export function known(value: Maybe): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

const SCALES: [number, string][] = [
  [1e12, "tn"],
  [1e9, "bn"],
  [1e6, "m"],
  [1e3, "k"],
];

/** Three significant digits and a scale: 29.1bn. */
export function short(value: Maybe, digits = 3): string {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  const [unit, mark] = SCALES.find(([least]) => size >= least * 0.9995) ?? [1, ""];
  return sign(value) + significant(size / unit, digits) + mark;
}

export function dollars(value: Maybe, digits = 3): string {
  if (!known(value)) return UNKNOWN;
  return `${sign(value)}$${short(Math.abs(value), digits)}`;
}

/** A price with as many decimals as its size needs. */
export function price(value: Maybe): string {
  if (!known(value)) return UNKNOWN;
  const decimals = decimalsOf(Math.abs(value));
  return value.toLocaleString("en-US", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

export function decimalsOf(size: number): number {
  if (size >= 10_000) return 0;
  if (size >= 1_000) return 1;
  if (size >= 10) return 2;
  if (size <= 0) return 2;
  return Math.min(8, 3 - Math.floor(Math.log10(size)));
}

/** A fraction as per cent. */
export function percent(value: Maybe, decimals = 1, signed = false): string {
  if (!known(value)) return UNKNOWN;
  const text = (Math.abs(value) * 100).toFixed(decimals);
  const zero = Number(text) === 0;
  return `${zero ? "" : value < 0 ? MINUS : signed ? "+" : ""}${text}%`;
}

export function ratio(value: Maybe, decimals = 2): string {
  return known(value) ? sign(value) + Math.abs(value).toFixed(decimals) : UNKNOWN;
}

export function count(value: Maybe): string {
  return known(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : UNKNOWN;
}

/** The class of a signed number. */
export function tone(value: Maybe): "" | "up" | "down" {
  if (!known(value) || value === 0) return "";
  return value > 0 ? "up" : "down";
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const { zone } = address.value;
  const key = zone + JSON.stringify(options);
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, ...options });
    formats.set(key, format);
  }
  return format;
}

const DAY: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit" };
const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };

/** A moment of Unix seconds in the zone chosen: 2025-01-31 00:00. */
export function moment(seconds: Maybe): string {
  return known(seconds) ? formatOf({ ...DAY, ...CLOCK }).format(seconds * 1000) : UNKNOWN;
}

export function day(seconds: Maybe): string {
  return known(seconds) ? formatOf(DAY).format(seconds * 1000) : UNKNOWN;
}

export function clock(seconds: Maybe, withSeconds = false): string {
  if (!known(seconds)) return UNKNOWN;
  return formatOf(withSeconds ? { ...CLOCK, second: "2-digit" } : CLOCK).format(seconds * 1000);
}

/** A length of time in its largest unit: 3 min. */
export function lasting(seconds: Maybe): string {
  if (!known(seconds)) return UNKNOWN;
  const size = Math.abs(seconds);
  const { lengths } = say();
  if (size < 120) return lengths.seconds(Math.round(size));
  if (size < 7_200) return lengths.minutes(Math.round(size / 60));
  if (size < 172_800) return lengths.hours(Math.round(size / 3_600));
  return lengths.days(Math.round(size / 86_400));
}

function sign(value: number): string {
  return value < 0 ? MINUS : "";
}

function significant(size: number, digits: number): string {
  if (size === 0) return "0";
  const before = Math.max(1, Math.floor(Math.log10(size)) + 1);
  return size.toFixed(Math.max(0, digits - before));
}
