/** How far a long answer has come, in words and as a bar. */

import type { Stage } from "../api/client";
import { fill, h } from "../dom";
import { say } from "../text";

/** How much of the widest stage is done. */
export function share(stages: Stage[]): number {
  return stages.reduceRight((inner, { done, of }) => (of > 0 ? (done + inner) / of : 0), 0);
}

/** What is being done: the stages in words. */
export function words(stages: Stage[]): string {
  const { stages: names, waiting } = say().progress;
  if (!stages.length) return waiting;
  return stages
    .map(({ name, done, of }) => (names as Record<string, (at: number, of: number) => string>)[name]?.(done + 1, of) ?? name)
    .join(", ");
}

export class Progress {
  readonly element = h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, hidden: true });

  /** Show how far it is, after what must be said meanwhile. */
  show(stages: Stage[], said = ""): void {
    const [text, part] = [words(stages), share(stages)];
    const { element } = this;
    element.hidden = false;
    element.setAttribute("aria-label", say().panel.loading);
    element.setAttribute("aria-valuenow", String(Math.round(100 * part)));
    element.setAttribute("aria-valuetext", said ? `${said}: ${text}` : text);
    fill(
      element,
      said ? h("b", {}, said) : null,
      h("span", {}, text),
      h("i", { style: `width:${(100 * part).toFixed(1)}%` }),
    );
  }

  hide(): void {
    this.element.hidden = true;
  }
}
