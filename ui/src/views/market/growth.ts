/** How the open interest of each coin has grown over the days that sparklines show. */

import { plot, plotHost } from "../../charts/plot";
import { percent } from "../../format";
import { say } from "../../text";
import type { Coin } from "./load";

const HOUR = 3_600;
const COLOURS = ["series", "series-2", "series-3", "series-4", "long", "short"];

/** Draw the largest coins, each from its first known value on; the answer ends it. */
export function growth(element: HTMLElement, coins: Coin[]): () => void {
  const host = plotHost(230);
  element.replaceChildren(host);
  const shown = coins.slice(0, COLOURS.length);
  const last = Math.max(...shown.map(({ time }) => Math.floor(time / HOUR) * HOUR));
  const length = Math.max(...shown.map(({ open_interest_history }) => open_interest_history.length));
  const x = Array.from({ length }, (_, hour) => last - (length - 1 - hour) * HOUR);
  return plot(host, {
    x,
    time: true,
    zero: true,
    label: say().market.growth,
    y: (value) => percent(value, 0, true),
    lines: shown.map(({ coin, open_interest_history: history }, index) => {
      const first = history.find((value) => value !== null) ?? Number.NaN;
      const missing = length - history.length;
      const values = x.map((_, hour) => {
        const value = history[hour - missing];
        return value === null || value === undefined ? null : value / first - 1;
      });
      return { name: coin, colour: COLOURS[index]!, values };
    }),
  });
}
