// The reader of fields: values, ends, and copies.
import assert from "node:assert/strict";
import test from "node:test";
import { copyOf, decodeText, Reader } from "../../../bridge/wire/reader.ts";
import { hex, problemOf } from "./bytes.ts";

const reader = (source: string): Reader => {
  const bytes = hex(source);
  return new Reader(bytes, 0, bytes.length, 5);
};

test("Reader reads integers of one, two and four bytes", () => {
  const from = reader("ff 1234 ffffffff 00000001");
  assert.deepEqual([from.byte("a"), from.two("b"), from.four("c"), from.four("d")], [255, 0x1234, 0xffff_ffff, 1]);
  assert.equal(from.left, 0);
  from.done("it");
});

test("Reader reads the variable byte integers of the standard's table, and no longer forms of them", () => {
  const edges: readonly [string, number][] = [
    ["00", 0],
    ["7f", 127],
    ["8001", 128],
    ["ff7f", 16_383],
    ["808001", 16_384],
    ["ffff7f", 2_097_151],
    ["80808001", 2_097_152],
    ["ffffff7f", 268_435_455],
  ];
  for (const [source, value] of edges) assert.equal(reader(source).varint("it"), value);
  for (const padded of ["8000", "ff00", "808000", "80808000"]) {
    assert.match(problemOf(() => reader(padded).varint("it")).message, /1\.5\.5-1/);
  }
  for (const bad of ["8080808001", "80", "", "ffffff"]) problemOf(() => reader(bad).varint("it"));
});

test("Reader refuses a field that the packet cuts, and names it", () => {
  const cuts: readonly [string, (from: Reader) => unknown][] = [
    ["", (from) => from.byte("the field")],
    ["00", (from) => from.two("the field")],
    ["000000", (from) => from.four("the field")],
    ["0002 'a'", (from) => from.string("the field")],
    ["0002 'a'", (from) => from.binary("the field")],
    ["01", (from) => from.part(2, "the field")],
  ];
  for (const [source, read] of cuts) {
    const problem = problemOf(() => read(reader(source)));
    assert.match(problem.message, /ends within the field/);
    assert.equal(problem.code, 0x81);
  }
  assert.match(problemOf(() => reader("00").done("the end")).message, /1 bytes stand after the end/);
});

test("Reader reads within its part alone", () => {
  const from = reader("0003 'abc' 01");
  const part = from.part(4, "a part");
  problemOf(() => part.string("cut by the part"));
  assert.deepEqual([from.byte("c"), from.byte("d")], [0x63, 1]);
});

test("decodeText keeps a byte order mark, and tells the two ways of being no text apart", () => {
  const text = (source: string): string => {
    const bytes = hex(source);
    return decodeText(bytes, 0, bytes.length, 4, "it");
  };
  assert.equal(text("efbbbf 'aé'"), "\ufeffaé");
  assert.match(problemOf(() => text("'a' 00")).message, /1\.5\.3-2/);
  assert.match(problemOf(() => text("'a' c0")).message, /1\.5\.3-1/);
});

test("copyOf shares no memory", () => {
  const source = hex("01 02 03");
  const copy = copyOf(source, 1, 3);
  source.fill(9);
  assert.deepEqual([...copy], [2, 3]);
  assert.equal(copy.buffer.byteLength, 2);
});
