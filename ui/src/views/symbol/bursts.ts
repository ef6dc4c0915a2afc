/** Bursts of liquidations: bands behind the pane of liquidations, marks over the price. */

import type {
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";
import type { Table } from "../../api/columns";
import type { HeatMap } from "../../charts/heatmap/data";
import { scalesOf } from "../../charts/heatmap/series";
import { h, token } from "../../dom";
import { count, dollars, lasting, moment, ratio } from "../../format";
import { say } from "../../text";

export interface Burst {
  /** Columns of the bars it began and ended in, with their parts. */
  from: number;
  to: number;
  start: number;
  minutes: number;
  side: string;
  long: number;
  short: number;
  count: number;
  multiple: number;
  completeness: string;
}

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];
/** Where a burst is drawn: all of the height, or its top alone. */
type Place = "band" | "mark";

/** The bursts within a map's span. */
export function burstsOf(map: HeatMap, table: Table): Burst[] {
  const [starts, untils] = [table.times("start"), table.times("until")];
  const [sides, covers] = [table.words("side"), table.words("completeness")];
  const column = (time: number): number => (time - map.time[0]!) / map.interval - 0.5;
  return Array.from(starts, (start, row) => ({
    from: column(start),
    to: column(untils[row]!),
    start,
    minutes: table.at("minutes", row),
    side: sides[row] ?? "",
    long: table.at("long_usd", row),
    short: table.at("short_usd", row),
    count: table.at("count", row),
    multiple: table.at("multiple", row),
    completeness: covers[row] ?? "unknown",
  })).filter(({ from, to }) => to > -0.5 && from < map.columns - 0.5);
}

/** The largest burst that touches a bar. */
export function burstAt(bursts: Burst[], column: number): Burst | undefined {
  return bursts
    .filter(({ from, to }) => from < column + 0.5 && to > column - 0.5)
    .sort((a, b) => b.multiple - a.multiple)[0];
}

/** What is said of a burst where the pointer is on it. */
export function burstSaid(burst: Burst): HTMLElement[] {
  const words = say().symbol;
  const covers = say().completeness as Record<string, string>;
  return [
    h("b", { class: "burst" }, words.burst(ratio(burst.multiple, burst.multiple < 100 ? 1 : 0))),
    h("span", {}, moment(burst.start)),
    h("span", { class: "long" }, `${words.sides.long} ${dollars(burst.long)}`),
    h("span", { class: "short" }, `${words.sides.short} ${dollars(burst.short)}`),
    h("span", { class: "dim" }, words.burstLasted(count(burst.count), lasting(burst.minutes * 60))),
    h("span", { class: "dim" }, covers[burst.completeness] ?? burst.completeness),
  ];
}

export class BurstMarks implements ISeriesPrimitive<Time> {
  #bursts: Burst[] = [];
  #attached: SeriesAttachedParameter<Time> | null = null;
  readonly #views: IPrimitivePaneView[] = [
    { zOrder: () => (this.place === "band" ? "bottom" : "top"), renderer: () => ({ draw: (target) => this.#draw(target) }) },
  ];

  constructor(private readonly place: Place) {}

  attached(parameters: SeriesAttachedParameter<Time>): void {
    this.#attached = parameters;
  }

  detached(): void {
    this.#attached = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  show(bursts: Burst[]): void {
    this.#bursts = bursts;
    this.#attached?.requestUpdate();
  }

  #draw(target: Target): void {
    const attached = this.#attached;
    if (!attached) return;
    const { x } = scalesOf(attached);
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const burst of this.#bursts) {
        const [from, to] = [x(burst.from), x(burst.to)];
        if (from === null || to === null || to < 0 || from > mediaSize.width) continue;
        const wide = Math.max(3, to - from);
        context.fillStyle = token(this.#colour(burst.side));
        if (this.place === "band") {
          context.globalAlpha = 0.16;
          context.fillRect(from, 0, wide, mediaSize.height);
          context.globalAlpha = 1;
        } else this.#mark(context, from + wide / 2);
      }
    });
  }

  #colour(side: string): string {
    return this.place === "mark" ? `night-${side}` : side;
  }

  /** A pointer down from the top, with a dark rim so that it stands out from bright cells. */
  #mark(context: CanvasRenderingContext2D, at: number): void {
    context.beginPath();
    context.moveTo(at - 6, 30);
    context.lineTo(at + 6, 30);
    context.lineTo(at, 40);
    context.closePath();
    context.strokeStyle = token("night");
    context.lineWidth = 3;
    context.stroke();
    context.fill();
  }
}
