/** A line in a table's cell. */

import { h, token } from "../dom";

export interface SparkOptions {
  width?: number;
  height?: number;
  colour?: string;
  /** A value to draw a faint line at, such as zero. */
  base?: number;
}

/** Draw a line; holes stay holes. */
export function sparkline(
  values: (number | null)[],
  { width = 108, height = 22, colour = "series", base }: SparkOptions = {},
): HTMLCanvasElement {
  const scale = Math.max(1, devicePixelRatio);
  const canvas = h("canvas", {
    width: width * scale,
    height: height * scale,
    class: "spark",
    style: `width:${width}px;height:${height}px`,
    "aria-hidden": "true",
  });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  const seen = values.filter((value) => value !== null && Number.isFinite(value)) as number[];
  if (seen.length < 2) return canvas;
  const low = Math.min(...seen, base ?? Number.POSITIVE_INFINITY);
  const high = Math.max(...seen, base ?? Number.NEGATIVE_INFINITY);
  const y = (value: number): number =>
    height - 2 - ((value - low) / (high - low || 1)) * (height - 4);
  const x = (index: number): number => 1 + (index / (values.length - 1)) * (width - 5);
  if (base !== undefined) {
    context.fillStyle = token("line-strong");
    context.fillRect(0, Math.round(y(base)), width, 1);
  }
  context.strokeStyle = token(colour);
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  values.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) pen = false;
    else {
      context[pen ? "lineTo" : "moveTo"](x(index), y(value));
      pen = true;
    }
  });
  context.stroke();
  const last = values.findLastIndex((value) => value !== null && Number.isFinite(value));
  context.fillStyle = token(colour);
  context.beginPath();
  context.arc(x(last), y(values[last]!), 1.8, 0, 7);
  context.fill();
  return canvas;
}
