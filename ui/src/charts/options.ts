/** How every time chart looks and behaves, from the theme. */

import {
  type ChartOptions,
  ColorType,
  CrosshairMode,
  type DeepPartial,
  LineStyle,
  type Time,
  TickMarkType,
} from "lightweight-charts";
import { token } from "../dom";
import { clock, day, moment } from "../format";

export function chartOptions(): DeepPartial<ChartOptions> {
  const grid = { color: token("grid") };
  const cross = {
    color: token("faint"),
    labelBackgroundColor: token("line-strong"),
    style: LineStyle.Dashed,
    width: 1 as const,
  };
  return {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: token("surface") },
      textColor: token("dim"),
      fontFamily: token("font"),
      fontSize: 11,
      panes: { separatorColor: token("line"), separatorHoverColor: token("accent-wash") },
      attributionLogo: false,
    },
    grid: { vertLines: grid, horzLines: grid },
    crosshair: { mode: CrosshairMode.Normal, vertLine: cross, horzLine: cross },
    rightPriceScale: { borderVisible: false, minimumWidth: 74, entireTextOnly: true },
    timeScale: {
      borderVisible: false,
      timeVisible: true,
      rightOffset: 3,
      minBarSpacing: 0.2,
      lockVisibleTimeRangeOnResize: true,
      tickMarkFormatter: (time: Time, kind: TickMarkType) => tick(time as number, kind),
    },
    localization: { timeFormatter: (time: Time) => moment(time as number) },
    handleScale: { axisDoubleClickReset: true, pinch: true },
  };
}

function tick(seconds: number, kind: TickMarkType): string {
  const date = day(seconds);
  if (kind === TickMarkType.Year) return date.slice(0, 4);
  if (kind === TickMarkType.Month) return date.slice(0, 7);
  const hour = clock(seconds);
  // Days are those of UTC; elsewhere they begin at another hour, which is said.
  if (kind === TickMarkType.DayOfMonth) return date.slice(5) + (hour === "00:00" ? "" : ` ${hour}`);
  return clock(seconds);
}
