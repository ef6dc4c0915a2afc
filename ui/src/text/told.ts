/** What the server says, in the language chosen. */

import { percent, ratio } from "../format";
import { say } from "./index";

/** A code and what fills its words in. */
export interface Statement {
  code: string;
  [name: string]: unknown;
}

const SHARES = new Set(["reported", "stale_share", "moved_more", "unit_moved", "enormous"]);
const SIGNED = new Set(["skill", "low", "high"]);

/** Statements as one sentence. */
export function stated(statements: Statement[]): string {
  const { told } = say();
  const words = told.statements as Record<string, string>;
  return statements.map((one) => filled(words[one.code] ?? one.code, one)).join(told.between);
}

/** What must be said of a map. */
export function estimated(statements: Statement[]): string {
  return say().told.estimate.replace("{said}", stated(statements));
}

function filled(words: string, statement: Statement): string {
  return words.replaceAll(/\{(\w+)\}/g, (_, name: string) => shown(statement.code, name, statement[name]));
}

function shown(code: string, name: string, value: unknown): string {
  if (typeof value === "string") return fixed(value);
  const number = Number(value);
  if (SHARES.has(code)) return percent(number, number < 0.2 ? 1 : 0);
  if (SIGNED.has(name)) return (number < 0 ? "−" : "+") + ratio(Math.abs(number), 2);
  return String(Number(number.toPrecision(3)));
}

/** Words that the server always writes alike; those of others stay as they are. */
export function fixed(text: string): string {
  if (text.startsWith("1/")) return `1/${fixed(text.slice(2))}`;
  const { told } = say();
  return (told.fixed as Record<string, string>)[text] ?? text;
}

/** Where prices come from: parts, each in words of its own. */
export function pricesFrom(text: string): string {
  const { told } = say();
  return text
    .split(", ")
    .map((part) => {
      const length = part.match(/^candles of (.+)$/)?.[1];
      return length ? told.candlesOf.replace("{length}", length) : fixed(part);
    })
    .join(told.between);
}

/** Why something was not recorded. */
export function missed(text: string): string {
  const { told } = say();
  for (const [english, words] of [["refused: ", told.refusedFor], ["filled from history: ", told.filled]] as const) {
    if (text.startsWith(english)) return words.replace("{why}", fixed(text.slice(english.length)));
  }
  return fixed(text);
}
