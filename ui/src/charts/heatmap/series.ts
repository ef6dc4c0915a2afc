/** The map under a chart's candles, as a primitive of their series. */

import type {
  IPrimitivePaneView,
  ISeriesPrimitive,
  Logical,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";
import { token } from "../../dom";
import { type Look, bitmap } from "./bitmap";
import type { HeatMap } from "./data";
import { MapRenderer, type Scales } from "./renderer";

/** The scales of a series; of time too between bars, where the library has none. */
export function scalesOf({ chart, series }: SeriesAttachedParameter<Time>): Scales {
  const first = chart.timeScale().logicalToCoordinate(0 as Logical);
  const second = chart.timeScale().logicalToCoordinate(1 as Logical);
  return {
    x: (column) => (first === null || second === null ? null : first + column * (second - first)),
    y: (price) => series.priceToCoordinate(price),
  };
}

export class HeatMapPrimitive implements ISeriesPrimitive<Time> {
  #map: HeatMap | null = null;
  #image: OffscreenCanvas | null = null;
  #attached: SeriesAttachedParameter<Time> | null = null;
  readonly #views: IPrimitivePaneView[] = [
    { zOrder: () => "bottom", renderer: () => this.#renderer() },
  ];

  /** `drawn` is called at every frame of the pane, with its scales. */
  constructor(private readonly drawn: (scales: Scales) => void = () => {}) {}

  attached(parameters: SeriesAttachedParameter<Time>): void {
    this.#attached = parameters;
  }

  detached(): void {
    this.#attached = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  /** Show a map, or none. */
  show(map: HeatMap | null, look: Look): void {
    this.#map = map;
    this.#image = map && bitmap(map, look);
    this.#attached?.requestUpdate();
  }

  #renderer(): MapRenderer | null {
    const at = this.#attached;
    if (!at) return null;
    const scales = scalesOf(at);
    this.drawn(scales);
    if (!this.#map) return null;
    return new MapRenderer(this.#map, this.#image, scales, token("night"), token("hatch"));
  }
}
