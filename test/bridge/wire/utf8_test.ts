// UTF-8 as MQTT wants it, against the runtime's own decoder.
import assert from "node:assert/strict";
import test from "node:test";
import { isSendable, Text, textKind } from "../../../bridge/wire/utf8.ts";
import { hex } from "./bytes.ts";
import { Dice, seedsOf, text } from "./random.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function byRuntime(bytes: Uint8Array): Text {
  try {
    const decoded = strict.decode(bytes);
    if (decoded.includes("\0")) return Text.zero;
    return decoded.length === bytes.length ? Text.ascii : Text.wide;
  } catch {
    return Text.illFormed;
  }
}

test("textKind knows the edges of well-formed UTF-8", () => {
  const cases: readonly [string, Text][] = [
    ["", Text.ascii],
    ["'abc' 7f 01", Text.ascii],
    ["'a' 00", Text.zero],
    ["'é' 00", Text.zero],
    ["c280", Text.wide],
    ["dfbf e0a080 ed9fbf ee8080 efbfbf f0908080 f48fbfbf", Text.wide],
    ["efbbbf", Text.wide],
    ["80", Text.illFormed],
    ["c0af", Text.illFormed],
    ["c1bf", Text.illFormed],
    ["e09f80", Text.illFormed],
    ["eda080", Text.illFormed],
    ["edbfbf", Text.illFormed],
    ["f08f8080", Text.illFormed],
    ["f4908080", Text.illFormed],
    ["f5808080", Text.illFormed],
    ["c3", Text.illFormed],
    ["e282", Text.illFormed],
    ["f09f98", Text.illFormed],
    ["e228a1", Text.illFormed],
    ["e28228", Text.illFormed],
    ["f09f9841", Text.illFormed],
  ];
  for (const [source, kind] of cases) {
    const bytes = hex(source);
    assert.equal(textKind(bytes, 0, bytes.length), kind, source);
  }
});

test("textKind agrees with the runtime's decoder for random bytes", () => {
  const leads = [0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0x9f, 0xa0];
  for (const seed of seedsOf(5000)) {
    const dice = new Dice(seed);
    const bytes = Buffer.from(Array.from({ length: dice.below(9) }, () => dice.pick(leads)));
    const kind = textKind(bytes, 0, bytes.length);
    const runtime = byRuntime(bytes);
    // a text with both faults may be refused for either
    if (kind === Text.zero) assert.ok(bytes.includes(0), `MQTT_SEED=${seed}`);
    else assert.equal(kind, runtime, `MQTT_SEED=${seed} ${bytes.toString("hex")}`);
  }
});

test("isSendable refuses U+0000 and halves of pairs", () => {
  for (const bad of ["\0", "a\0", "\ud800", "a\udc00", "\ud800a", "\udc00\ud800", "\udc00\udc00", "😀\ud83d"]) {
    assert.equal(isSendable(bad), false, JSON.stringify(bad));
  }
  for (const good of ["", "a", "é", "😀", "\ufffd", "\uffff"]) assert.equal(isSendable(good), true);
  for (const seed of seedsOf(200)) assert.equal(isSendable(text(new Dice(seed))), true);
});
