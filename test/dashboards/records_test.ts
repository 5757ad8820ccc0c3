// How records become lines: series, kinds of payload, cuts, headers.
import assert from "node:assert/strict";
import test from "node:test";
import { keyText, lineOf, show, ValueKind, valueText } from "../../dashboards/records.ts";
import type { InRecord } from "../../hub/client/faces.ts";
import { limits } from "../../hub/limits.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function record(more: Partial<InRecord>): InRecord {
  return { topic: "t", partition: 0, offset: 5, timestamp: 9, key: bytes("dev"), value: null, headers: [], ...more };
}

test("a series is the key, and the MQTT topic where there is one", () => {
  const topic = (text: string) => [{ key: "mqtt.topic", value: bytes(text) }];
  assert.equal(show(record({})).series, "dev");
  assert.notEqual(
    show(record({ headers: topic("sensors/dev/a") })).series,
    show(record({ headers: topic("sensors/dev/b") })).series,
  );
  assert.equal(show(record({ key: null })).series, "");
});

test("JSON is passed on as it was written; everything else becomes text or base64", () => {
  const big = '{"n": 12345678901234567890, "s":"\\u2028"}';
  assert.equal(valueText(bytes(big)), `${big},${ValueKind.Json}`);
  assert.equal(valueText(bytes("NaN")), `"NaN",${ValueKind.Text}`);
  assert.equal(valueText(bytes("")), `"",${ValueKind.Text}`);
  assert.equal(valueText(bytes('{"a":1}]')), `"{\\"a\\":1}]",${ValueKind.Text}`);
  assert.equal(valueText(new Uint8Array([0xc3, 0x28])), `"wyg=",${ValueKind.Base64}`);
  assert.equal(valueText(null), `null,${ValueKind.Tombstone}`);
});

test("a payload can never break out of its line", () => {
  const evil = ['"],[0,0,"x",1,0', "</script>", '","', "]]}", "1,2", "1]", '\\"', "\u0000\u001f", '{"a":"\\ud800"}'];
  for (const text of evil) {
    const line = lineOf(show(record({ key: bytes(text), value: bytes(text) })), true);
    const parsed = JSON.parse(line.text) as unknown[];
    assert.equal(parsed.length, 6, text);
    assert.equal(parsed[2], text);
  }
});

test("random bytes always make a line that parses, within its bound", () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pieces = ['{"', "}", "[", "]", ",", ":", '"', "\\", "1e9", "null", "\u00e9", "\u{1f4a7}"].map(bytes);
  for (let round = 0; round < 3000; round++) {
    const parts = Array.from({ length: random(12) }, () =>
      random(4) === 0 ? new Uint8Array([random(256)]) : pieces[random(pieces.length)]!,
    );
    const value = new Uint8Array(parts.flatMap((part) => [...part]));
    const line = lineOf(show(record({ key: value, value, headers: [{ key: "h", value }] })), ["h"]);
    const parsed = JSON.parse(line.text) as unknown[];
    assert.equal(parsed.length, 6, `seed ${seed} round ${round}`);
  }
});

test("long payloads are cut at a character, and say how long they were", () => {
  const text = "\u{1f4a7}".repeat(limits.browserValueBytesMax / 4 + 1);
  const [[cut, whole], kind] = JSON.parse(`[${valueText(bytes(`x${text}`))}]`) as [[string, number], number];
  assert.equal(kind, ValueKind.CutText);
  assert.equal(whole, bytes(text).length + 1);
  assert.ok(!cut.includes("\ufffd") && cut.startsWith("x\u{1f4a7}"));
  const binary = new Uint8Array(limits.browserValueBytesMax + 1).fill(0xff);
  assert.match(valueText(binary), new RegExp(`,${binary.length}],${ValueKind.CutBase64}$`));
});

test("keys that are no text are shown as base64", () => {
  assert.equal(keyText(bytes("d\u00e9v")), "d\u00e9v");
  assert.equal(keyText(new Uint8Array([0xff])), "base64:/w==");
});
