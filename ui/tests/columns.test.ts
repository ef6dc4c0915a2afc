import { describe, expect, it } from "vitest";
import { Table, decode } from "../src/api/columns";

/** The bytes of `docs/reference/server.md`, written out by hand. */
function written(): ArrayBuffer {
  const numbers = new Uint8Array(Float64Array.of(1_000, Number.NaN).buffer);
  const cells = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const words = new TextEncoder().encode('["a",null]');
  const arrays = [
    { name: "time", dtype: "f8", shape: [2], offset: 0, bytes: 16 },
    { name: "cells", dtype: "f4", shape: [2, 2], offset: 16, bytes: 16 },
    { name: "side", dtype: "json", shape: [2], offset: 32, bytes: words.length },
  ];
  let header = JSON.stringify({ facts: { said: "an estimate" }, arrays });
  header += " ".repeat((8 - (header.length % 8)) % 8);
  const bytes = new Uint8Array(8 + header.length + 32 + words.length);
  bytes.set(new TextEncoder().encode("PLM1"));
  new DataView(bytes.buffer).setUint32(4, header.length, true);
  bytes.set(new TextEncoder().encode(header), 8);
  bytes.set(numbers, 8 + header.length);
  bytes.set(cells, 8 + header.length + 16);
  bytes.set(words, 8 + header.length + 32);
  return bytes.buffer;
}

describe("binary columns", () => {
  const table = decode(written());

  it("hold numbers, with NaN for what is unknown", () => {
    expect([...table.numbers("time")]).toEqual([1_000, Number.NaN]);
    expect([...table.times()]).toEqual([1, Number.NaN]);
    expect(table.value("time", 1)).toBeNull();
  });

  it("hold cells with their shape, and words", () => {
    expect(table.shape("cells")).toEqual([2, 2]);
    expect([...table.numbers("cells")]).toEqual([1, 2, 3, 4]);
    expect(table.words("side")).toEqual(["a", null]);
    expect(table.facts["said"]).toBe("an estimate");
  });

  it("have nothing under another name", () => {
    expect(table.numbers("other")).toHaveLength(0);
    expect(table.at("other", 0)).toBeNaN();
  });

  it("are refused if they are something else", () => {
    expect(() => decode(new TextEncoder().encode("{}        ").buffer)).toThrow("no answer");
    expect(() => decode(new ArrayBuffer(0))).toThrow("no answer");
  });

  it("can be joined", () => {
    const both = Table.joined([Table.empty, table, table]);
    expect(both.words("side")).toEqual(["a", null, "a", null]);
    expect(both.length).toBe(4);
  });
});
