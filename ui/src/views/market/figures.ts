/** The whole market in a line: what is open, what it costs, what was closed by force, the stress. */

import { fill, h } from "../../dom";
import { day, dollars, known, percent, ratio, tone } from "../../format";
import { lastOf } from "../../state/markets";
import { say } from "../../text";
import type { Whole } from "./load";

export function figures(element: HTMLElement, whole: Whole): void {
  const words = say().market;
  const completeness = whole.liquidated_completeness;
  const said = say().completeness as Record<string, string>;
  fill(
    element,
    figure(
      words.interest,
      dollars(whole.open_interest_usd),
      h("span", { class: tone(whole.open_interest_change), title: words.change }, percent(whole.open_interest_change, 1, true)),
      words.interestNote(String(whole.coins)) + absent(whole),
    ),
    figure(words.load, percent(whole.load, 1), h("span", { class: "tag" }, words.estimate), words.loadNote),
    figure(
      words.funding,
      h("b", { class: tone(whole.funding_apr) }, percent(whole.funding_apr, 1, true)),
      null,
      noted(whole.funding_apr, "funding", words.fundingNote),
    ),
    figure(words.ratio, ratio(whole.long_short), null, noted(whole.long_short, "long_short_ratio", words.ratioNote)),
    figure(
      words.liquidated,
      (completeness && completeness !== "complete" ? "≥ " : "") + dollars(closed(whole)),
      sides(whole),
      noted(closed(whole), "liquidation", (said[completeness ?? ""] ?? "") + most(whole)),
    ),
    figure(words.putCall, ratio(whole.put_call), null, noted(whole.put_call, "option_quote", words.putCallNote)),
    figure(
      words.concentration,
      ratio(whole.effective, 1),
      null,
      words.concentrationNote(ratio(whole.effective, 1), String(whole.exchanges)),
    ),
    figure(words.stress, stress(whole), null, words.believed(percent(whole.believed, 0))),
  );
}

/** A note; where the number is not known now, when it was known last. */
function noted(value: number, kind: string, note: string): string {
  return known(value) ? note : lastKnown(kind) || note;
}

/** When a kind of fact was known last, in words; nothing if it never was. */
export function lastKnown(kind: string): string {
  const last = lastOf(kind);
  return known(last) ? say().market.lastKnown(day(last)) : "";
}

/** Coins that are not in the sums, as nothing was heard of them for long. */
function absent({ absent }: Whole): string {
  const words = say().market;
  return absent.length ? `; ${words.absent(absent.join(", "))}` : "";
}

function closed(whole: Whole): number {
  const seen = [whole.liquidated_long_usd, whole.liquidated_short_usd].filter(known);
  return seen.length ? seen.reduce((a, b) => a + b, 0) : Number.NaN;
}

function most(whole: Whole): string {
  const sum = whole.liquidated_long_most_usd + whole.liquidated_short_most_usd;
  return known(sum) && sum > closed(whole) ? `; ${say().market.most(dollars(sum))}` : "";
}

/** Signs of stress, each with its name. */
function stress(whole: Whole): HTMLElement {
  const words = say().market;
  const signs: [string, string][] = [
    [words.bursts, known(whole.bursts) ? String(whole.bursts) : "–"],
    [words.spread, percent(whole.funding_spread, 1)],
    [words.atCap, percent(whole.funding_at_cap, 0)],
  ];
  return h("dl", { class: "signs" }, ...signs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "number" }, value))));
}

/** Longs and shorts as the parts of a bar. */
function sides({ liquidated_long_usd: long, liquidated_short_usd: short }: Whole): HTMLElement | null {
  if (!(long + short > 0)) return null;
  const share = long / (long + short);
  const words = say().symbol.sides;
  const text = `${words.long} ${dollars(long)}, ${words.short} ${dollars(short)}`;
  return h(
    "span",
    { class: "sides", title: text },
    h("i", { class: "long", style: `width:${100 * share}%` }),
    h("i", { class: "short", style: `width:${100 * (1 - share)}%` }),
    h("span", { class: "unseen" }, text),
  );
}

function figure(name: string, value: string | HTMLElement, beside: Node | null, note: string): HTMLElement {
  return h(
    "div",
    { class: "figure" },
    h("h3", {}, name),
    h("div", { class: "figure-value" }, value, beside),
    h("p", { class: "figure-note" }, note),
  );
}
