// The writer of fields: lengths in front, growth, and what cannot be written.
import assert from "node:assert/strict";
import test from "node:test";
import { Reader } from "../../../bridge/wire/reader.ts";
import { putVarint, varintMax, varintSize, Writer } from "../../../bridge/wire/writer.ts";
import { frame } from "./bytes.ts";

test("putVarint writes in as few bytes as the value needs", () => {
  for (const value of [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, varintMax]) {
    const bytes = Buffer.alloc(5);
    const end = putVarint(bytes, 0, value);
    assert.equal(end, varintSize(value));
    assert.equal(new Reader(bytes, 0, end, 5).varint("it"), value);
  }
});

test("Writer grows, and puts the fixed header in front of any length of body", () => {
  for (const length of [0, 1, 127, 128, 16_384, 2_097_152]) {
    const writer = new Writer(16);
    const body = Buffer.alloc(length, 7);
    writer.raw(body);
    assert.equal(writer.length, length);
    assert.ok(writer.packet(0x30).equals(frame(0x30, body)), `${length}`);
    assert.ok(writer.body().equals(body));
  }
});

test("Writer.measured puts the length in front of what is written", () => {
  for (const length of [0, 127, 128, 20_000]) {
    const writer = new Writer(8);
    writer.byte(1);
    writer.measured("them", () => writer.raw(Buffer.alloc(length, 7)));
    writer.byte(2);
    const body = writer.body();
    const reader = new Reader(body, 1, body.length, 5);
    assert.equal(reader.varint("length"), length);
    assert.ok(body.subarray(reader.at, reader.at + length).every((byte) => byte === 7));
    assert.deepEqual([body[0], body.at(-1)], [1, 2]);
  }
});

test("Writer writes text as UTF-8 with its length in bytes", () => {
  const writer = new Writer(6);
  writer.string("é😀", "it");
  assert.equal(writer.body().toString("hex"), "0006c3a9f09f9880");
});

test("Writer refuses what MQTT cannot carry", () => {
  const writer = new Writer();
  for (const wrong of [
    () => writer.two(65_536, "it"),
    () => writer.two(-1, "it"),
    () => writer.two(Number.NaN, "it"),
    () => writer.four(2 ** 32, "it"),
    () => writer.varint(varintMax + 1, "it"),
    () => writer.string("a\0", "it"),
    () => writer.string("\ud800", "it"),
    () => writer.string("é".repeat(32_768), "it"),
    () => writer.binary(new Uint8Array(65_536), "it"),
  ]) {
    assert.throws(wrong, RangeError);
  }
});
