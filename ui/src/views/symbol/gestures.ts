/** Moves of a chart that the library does not have: prices by wheel, all by key. */

import { Disposal } from "../../dom";
import type { MarketChart } from "./chart";

const WHEEL = 0.0015;

export interface Gestures {
  /** Move the visible span by a share of itself. */
  pan: (share: number) => void;
  /** Shorten (below one) or lengthen the visible span around its end. */
  zoom: (factor: number) => void;
  /** Move the visible prices by a share of themselves. */
  lift: (share: number) => void;
  /** Narrow (below one) or widen the visible prices. */
  stretch: (factor: number, at?: number) => void;
  refit: () => void;
  dispose: () => void;
}

export function gestures(owner: MarketChart, moved: () => void): Gestures {
  const disposal = new Disposal();
  const { chart, candles, host } = owner;
  const scale = (): ReturnType<typeof candles.priceScale> => candles.priceScale();

  const span = (change: (from: number, to: number) => [number, number]): void => {
    const range = chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const [from, to] = change(range.from, range.to);
    chart.timeScale().setVisibleLogicalRange({ from, to });
  };
  const prices = (change: (from: number, to: number) => [number, number]): void => {
    const height = chart.paneSize(0).height;
    const low = candles.coordinateToPrice(height);
    const high = candles.coordinateToPrice(0);
    if (low === null || high === null) return;
    const log = scale().options().mode === 1;
    const [from, to] = log ? change(Math.log(low), Math.log(high)) : change(low, high);
    scale().applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
    scale().setVisibleRange(log ? { from: Math.exp(from), to: Math.exp(to) } : { from, to });
    moved();
  };
  const stretch = (factor: number, at = 0.5): void =>
    prices((from, to) => {
      const middle = to - (to - from) * at;
      return [middle - (middle - from) * factor, middle + (to - middle) * factor];
    });
  const refit = (): void => {
    scale().applyOptions({ scaleMargins: { top: 0.16, bottom: 0.16 } });
    scale().setAutoScale(true);
    chart.timeScale().fitContent();
    moved();
  };

  disposal.listen(
    host,
    "wheel",
    (event) => {
      if (!event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      const box = host.getBoundingClientRect();
      const height = chart.paneSize(0).height;
      const at = Math.min(1, Math.max(0, (event.clientY - box.top) / height));
      stretch(Math.exp((event.deltaY || event.deltaX) * WHEEL), at);
    },
    { capture: true, passive: false },
  );
  chart.subscribeDblClick(refit);
  disposal.listen(host, "pointerup", () => moved());
  return {
    pan: (share) => span((from, to) => [from + (to - from) * share, to + (to - from) * share]),
    zoom: (factor) => span((from, to) => [to - (to - from) * factor, to]),
    lift: (share) => prices((from, to) => [from + (to - from) * share, to + (to - from) * share]),
    stretch,
    refit,
    dispose: () => disposal.dispose(),
  };
}
