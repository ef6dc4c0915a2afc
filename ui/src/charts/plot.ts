/** Plain series over time or over another number, drawn by uPlot in the theme's colours. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./plot.css";
import { Disposal, h, token } from "../dom";
import { clock, day, moment } from "../format";

export interface Line {
  name: string;
  colour: string;
  values: ArrayLike<number | null>;
  kind?: "line" | "steps" | "bars" | "points";
  /** Draw through holes: points that other lines do not share. */
  through?: boolean;
  /** Fill down to zero. */
  filled?: boolean;
}

export interface PlotOptions {
  /** Seconds where `time`, else any number. */
  x: ArrayLike<number>;
  time?: boolean;
  lines: Line[];
  /** A value in words; `step` from one label of the axis to the next, where it is one of these. */
  y: (value: number, step?: number) => string;
  xFormat?: (value: number) => string;
  /** Where upright lines stand, with their names. */
  marks?: { at: number; name: string; colour: string }[];
  /** Plots of one name share their crosshair. */
  sync?: string;
  height?: number;
  zero?: boolean;
  /** Let the frame cut off the farthest few values in a thousand. */
  cut?: boolean;
  label: string;
}

const WHEEL = 0.0015;

/** A plot that fills its place, until it is disposed of. */
export function plot(host: HTMLElement, options: PlotOptions): () => void {
  const disposal = new Disposal();
  host.classList.add("plot");
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", options.label);
  const size = (): { width: number; height: number } => ({
    width: Math.max(120, host.clientWidth),
    height: options.height ?? Math.max(120, host.clientHeight),
  });
  const made = new uPlot(configuration(options, size()), data(options), host);
  zoomByWheel(made, disposal);
  const watch = new ResizeObserver(() => made.setSize(size()));
  watch.observe(host);
  disposal.add(() => watch.disconnect());
  disposal.add(() => made.destroy());
  return () => disposal.dispose();
}

function data({ x, lines }: PlotOptions): uPlot.AlignedData {
  const columns = lines.map(({ values }) =>
    Array.from(values, (value) => (value === null || Number.isNaN(value) ? null : value)),
  );
  return [Array.from(x), ...columns] as uPlot.AlignedData;
}

function configuration(options: PlotOptions, size: { width: number; height: number }): uPlot.Options {
  const { lines, time = false } = options;
  return {
    ...size,
    padding: [head, 34, 0, 0],
    scales: {
      x: { time: false, ...(lines.some(({ kind }) => kind === "bars") ? { range: roomy(options) } : {}) },
      y: options.zero ? { range: (made, low, high) => withZero(...(options.cut ? most(made) : [low, high] as const)) } : {},
    },
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: true },
      ...(options.sync ? { sync: { key: options.sync } } : {}),
    },
    legend: {
      live: true,
      markers: { width: 0, fill: (_, index) => token(lines[index - 1]?.colour ?? "dim") },
    },
    axes: [
      axis((value) => (time ? tick(value, 0) : (options.xFormat ?? String)(value)), time, 26),
      axis(options.y, false, 62),
    ],
    series: [
      {
        label: "\u00a0", // an empty one is named in English
        value: (_, value) => (value === null ? "–" : time ? moment(value) : (options.xFormat ?? String)(value)),
      },
      ...lines.map((line) => series(line, options.y)),
    ],
    hooks: { draw: [(made) => marks(made, options)] },
  };
}

/** Room for the names above the lines, pixels. */
function head(made: uPlot): number {
  return Math.max(22, (made.root.querySelector<HTMLElement>(".u-legend")?.offsetHeight ?? 0) + 6);
}

function series(line: Line, format: (value: number) => string): uPlot.Series {
  const colour = token(line.colour);
  const kinds = uPlot.paths;
  const paths =
    line.kind === "steps"
      ? kinds.stepped!({ align: 1 })
      : line.kind === "bars"
        ? kinds.bars!({ size: [0.72, 40] })
        : line.kind === "points"
          ? () => null
          : kinds.linear!();
  return {
    label: line.name,
    stroke: colour,
    width: line.kind === "bars" ? 0 : 1.5,
    ...(line.filled || line.kind === "bars" ? { fill: line.kind === "bars" ? colour : `${colour}26` } : {}),
    paths: paths as uPlot.Series.PathBuilder,
    points: line.kind === "points" || line.through ? { show: true, size: 5, fill: colour, stroke: colour } : { show: false },
    spanGaps: line.through ?? false,
    value: (_, value) => (value === null ? "–" : format(value)),
  };
}

function axis(format: (value: number, step?: number) => string, time: boolean, size: number): uPlot.Axis {
  return {
    stroke: token("dim"),
    font: `11px ${token("font")}`,
    size,
    gap: 6,
    grid: { stroke: token("grid"), width: 1 },
    ticks: { show: false },
    ...(time ? { space: 80, incrs: [3600, 3 * 3600, 6 * 3600, 12 * 3600, ...[1, 2, 5, 7, 14, 30, 90, 180, 365].map((days) => days * 86400)] } : { space: size < 40 ? 58 : 30 }),
    values: (_, splits, __, ___, step) =>
      splits.map((value) => (value === null ? "" : time ? tick(value, step) : format(value, step))),
  };
}

function tick(seconds: number, step: number): string {
  const date = day(seconds);
  if (step >= 30 * 86_400) return date.slice(0, 7);
  return step >= 86_400 || clock(seconds) === "00:00" ? date.slice(5) : clock(seconds);
}

/** Leave half a step beside the first and the last bar. */
function roomy({ x }: PlotOptions): (made: uPlot, low: number, high: number) => [number, number] {
  const [first, last] = [x[0] ?? 0, x[x.length - 1] ?? 1];
  const half = (last - first || 1) / Math.max(1, x.length - 1) / 2;
  return (_, low, high) => [low <= first ? low - half : low, high >= last ? high + half : high];
}

/** The span of all visible values but the farthest few in a thousand. */
function most(made: uPlot): [number, number] {
  const { min, max } = made.scales["x"]!;
  const xs = made.data[0];
  const seen: number[] = [];
  for (const line of made.data.slice(1)) {
    line.forEach((value, row) => {
      const x = xs[row]!;
      if (typeof value === "number" && x >= (min ?? x) && x <= (max ?? x)) seen.push(value);
    });
  }
  seen.sort((a, b) => a - b);
  const at = (share: number): number => seen[Math.round(share * (seen.length - 1))] ?? 0;
  return [at(0.005) * 1.15, at(0.995) * 1.15];
}

function withZero(low: number, high: number): [number, number] {
  const reach = Math.max(Math.abs(low), Math.abs(high)) || 1;
  return [Math.min(low < 0 ? low * 1.1 : 0, 0), Math.max(high > 0 ? high * 1.1 : 0, reach * 0.05)];
}

function marks(made: uPlot, { marks: all = [] }: PlotOptions): void {
  const { ctx, bbox } = made;
  const seen = all
    .map((mark, row) => ({ ...mark, row, x: made.valToPos(mark.at, "x", true) }))
    .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { x, colour } of seen) {
    ctx.strokeStyle = token(colour);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  for (const mark of seen) named(made, mark);
  ctx.restore();
}

/** Write a mark's name beside it, over the lines of the others. */
function named({ ctx, bbox }: uPlot, { name, colour, row, x }: { name: string; colour: string; row: number; x: number }): void {
  ctx.font = `500 ${11 * devicePixelRatio}px ${token("font")}`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  const wide = ctx.measureText(name).width + 6;
  const left = x + wide > bbox.left + bbox.width ? x - wide : x + 5;
  const top = bbox.top + (2 + 14 * row) * devicePixelRatio;
  ctx.fillStyle = token("surface");
  ctx.globalAlpha = 0.8;
  ctx.fillRect(left - 2, top, wide - 2, 13 * devicePixelRatio);
  ctx.globalAlpha = 1;
  ctx.fillStyle = token(colour);
  ctx.fillText(name, left, top);
}

/** The wheel zooms around the pointer; a double click shows all again. */
function zoomByWheel(made: uPlot, disposal: Disposal): void {
  disposal.listen(
    made.over,
    "wheel",
    (event) => {
      const { min, max } = made.scales["x"]!;
      const xs = made.data[0];
      if (min === undefined || max === undefined || min === null || max === null || !xs.length) return;
      event.preventDefault();
      const at = made.posToVal(event.offsetX, "x");
      const factor = Math.exp(event.deltaY * WHEEL);
      const from = Math.max(xs[0]!, at - (at - min) * factor);
      const to = Math.min(xs[xs.length - 1]!, at + (max - at) * factor);
      if (to > from) made.setScale("x", { min: from, max: to });
    },
    { passive: false },
  );
}

/** A place for a plot. */
export function plotHost(height: number): HTMLElement {
  return h("div", { class: "plot-host", style: `height:${height}px` });
}
