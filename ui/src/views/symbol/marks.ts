/** What stands over the candles: liquidations that happened, and names of clusters. */

import type {
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";
import { scalesOf } from "../../charts/heatmap/series";
import { token } from "../../dom";
import { dollars, price as priced } from "../../format";

export interface Bubble {
  /** Column of the bar, with its part. */
  at: number;
  price: number;
  usd: number;
  side: string;
}

export interface Label {
  low: number;
  high: number;
  price: number;
  usd: number;
  side: string;
  chosen: boolean;
}

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

/** Bubbles that overlap tell nothing: only so many of the largest are drawn. */
export const MOST = 160;

export class Marks implements ISeriesPrimitive<Time> {
  #bubbles: Bubble[] = [];
  #labels: Label[] = [];
  #attached: SeriesAttachedParameter<Time> | null = null;
  readonly #views: IPrimitivePaneView[] = [
    { zOrder: () => "top", renderer: () => ({ draw: (target) => this.#draw(target) }) },
  ];

  attached(parameters: SeriesAttachedParameter<Time>): void {
    this.#attached = parameters;
  }

  detached(): void {
    this.#attached = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  show(bubbles: Bubble[], labels: Label[]): void {
    this.#bubbles = [...bubbles].sort((a, b) => b.usd - a.usd).slice(0, MOST);
    this.#labels = labels;
    this.#attached?.requestUpdate();
  }

  #draw(target: Target): void {
    const attached = this.#attached;
    if (!attached) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      this.#drawBubbles(context, attached);
      this.#drawLabels(context, mediaSize, attached);
    });
  }

  /** Areas are in proportion to dollars. */
  #drawBubbles(context: CanvasRenderingContext2D, at: SeriesAttachedParameter<Time>): void {
    const most = this.#bubbles[0]?.usd ?? 1;
    const scales = scalesOf(at);
    const night = token("night"); // a dark ring, so that they stand out from bright cells
    for (const bubble of this.#bubbles) {
      const [x, y] = [scales.x(bubble.at), scales.y(bubble.price)];
      if (x === null || y === null) continue;
      const radius = Math.max(1.5, 15 * Math.sqrt(bubble.usd / most));
      const colour = token(bubble.side === "long" ? "night-long" : "night-short");
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.globalAlpha = 0.22;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
      for (const [stroke, width] of [[night, 3.5], [colour, 1.5]] as const) {
        context.strokeStyle = stroke;
        context.lineWidth = width;
        context.stroke();
      }
    }
  }

  #drawLabels(
    context: CanvasRenderingContext2D,
    { width, height }: { width: number; height: number },
    at: SeriesAttachedParameter<Time>,
  ): void {
    context.font = `500 11px ${token("font")}`;
    context.textBaseline = "middle";
    const taken: number[] = [];
    for (const label of this.#labels) {
      const y = at.series.priceToCoordinate(label.price);
      const top = at.series.priceToCoordinate(label.high);
      const bottom = at.series.priceToCoordinate(label.low);
      if (y === null || top === null || bottom === null) continue;
      const colour = token(label.side === "long" ? "night-long" : "night-short");
      context.fillStyle = colour;
      context.fillRect(width - 3, top, 3, Math.max(2, bottom - top));
      if (label.chosen) {
        context.globalAlpha = 0.16;
        context.fillRect(0, top, width, Math.max(2, bottom - top));
        context.globalAlpha = 1;
      }
      const cut = y < 9 || y > height - 9;
      if (cut || taken.some((other) => Math.abs(other - y) < 18)) continue;
      taken.push(y);
      const text = `${label.side === "long" ? "▼" : "▲"} ${dollars(label.usd)}  ${priced(label.price)}`;
      const wide = context.measureText(text).width + 12;
      context.fillStyle = "rgb(18 3 24 / 82%)";
      context.beginPath();
      context.roundRect(width - wide - 8, y - 9, wide, 18, 3);
      context.fill();
      context.fillStyle = colour;
      context.fillText(text, width - wide - 2, y + 0.5);
    }
  }
}
