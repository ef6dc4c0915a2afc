/** What can be taken from a panel: its numbers, and its picture. */

import { h, token } from "../dom";

/** A table in full precision. */
export interface Sheet {
  columns: string[];
  rows: (string | number | null | undefined)[][];
}

/** Write a sheet as CSV; what is unknown is empty. */
export function csv({ columns, rows }: Sheet): string {
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  // A leading sign would be a formula to a spreadsheet.
  const text = /^[=+\-@\t]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function saveCsv(name: string, sheet: Sheet): void {
  save(`${name}.csv`, new Blob(["\ufeff", csv(sheet)], { type: "text/csv;charset=utf-8" }));
}

export function savePng(name: string, element: HTMLElement): void {
  picture(element).toBlob((blob) => blob && save(`${name}.png`, blob), "image/png");
}

function save(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const anchor = h("a", { href: url, download: `plimsoll-${name}` });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Draw what an element shows: backgrounds, lines, canvases and words. */
export function picture(element: HTMLElement): HTMLCanvasElement {
  const box = element.getBoundingClientRect();
  const scale = Math.max(2, devicePixelRatio);
  const canvas = h("canvas", { width: box.width * scale, height: box.height * scale });
  const context = canvas.getContext("2d")!;
  context.scale(scale, scale);
  context.translate(-box.left, -box.top);
  context.fillStyle = token("ground");
  context.fillRect(box.left, box.top, box.width, box.height);
  paint(context, element);
  return canvas;
}

function paint(context: CanvasRenderingContext2D, element: Element): void {
  if (element.matches(".takes, .unseen, [hidden]")) return;
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden") return;
  ground(context, element.getBoundingClientRect(), style);
  if (element instanceof HTMLCanvasElement) {
    const { left, top, width, height } = element.getBoundingClientRect();
    if (element.width && element.height) context.drawImage(element, left, top, width, height);
    return;
  }
  for (const child of element.childNodes) {
    if (child instanceof Element) paint(context, child);
    else if (child instanceof Text) words(context, child, style);
  }
}

function ground(
  context: CanvasRenderingContext2D,
  { left, top, width, height }: DOMRect,
  style: CSSStyleDeclaration,
): void {
  if (style.backgroundColor !== "rgba(0, 0, 0, 0)") {
    context.fillStyle = style.backgroundColor;
    context.fillRect(left, top, width, height);
  }
  if (Number.parseFloat(style.borderBottomWidth) > 0) {
    context.fillStyle = style.borderBottomColor;
    context.fillRect(left, top + height - 1, width, 1);
  }
}

/** Draw the words of a text where they stand, however it is broken into lines. */
function words(context: CanvasRenderingContext2D, text: Text, style: CSSStyleDeclaration): void {
  context.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "alphabetic";
  for (const found of text.data.matchAll(/\S+/g)) {
    const range = document.createRange();
    range.setStart(text, found.index);
    range.setEnd(text, found.index + found[0].length);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    const word = style.textTransform === "uppercase" ? found[0].toUpperCase() : found[0];
    const size = context.measureText(word);
    const rise = size.fontBoundingBoxAscent - size.fontBoundingBoxDescent;
    context.fillText(word, box.left, box.top + (box.height + rise) / 2, box.width + 1);
  }
}
