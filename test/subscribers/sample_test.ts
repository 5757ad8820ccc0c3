// Records as samples: where device, metric and time come from, and what is refused with which words.
import assert from "node:assert/strict";
import test from "node:test";
import type { InRecord } from "../../hub/client/faces.ts";
import { eventTime, sampleOf } from "../../subscribers/sample.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const now = 1_700_000_000_000;

function recordOf(key: string | null, value: string | null, mqttTopic?: string): InRecord {
  const headers = mqttTopic === undefined ? [] : [{ key: "mqtt.topic", value: bytes(mqttTopic) }];
  const place = { topic: "sensors", partition: 0, offset: 0, timestamp: now, headers };
  return { ...place, key: key === null ? null : bytes(key), value: value === null ? null : bytes(value) };
}

const reading = `{"t":${now - 5},"v":2.5,"u":"C"}`;

test("device from the key, metric from the MQTT topic", () => {
  const sample = { device: "d", metric: "temp", t: now - 5, v: 2.5, unit: "C" };
  assert.deepEqual(sampleOf(recordOf("d", reading, "sensors/d/temp")), sample);
  assert.deepEqual(sampleOf(recordOf(null, reading, "sensors/d/temp")), sample);
  assert.deepEqual(sampleOf(recordOf("d", reading)), { ...sample, metric: "value" });
  assert.deepEqual(sampleOf(recordOf("d", reading, "other/topic")), { ...sample, metric: "value" });
});

test("what is no sample is named", () => {
  const refused: [InRecord, RegExp][] = [
    [recordOf("d", null), /no value/],
    [recordOf("d", "x"), /JSON/],
    [recordOf(null, reading), /neither a key nor/],
    [recordOf("", reading), /neither a key nor/],
    [recordOf("d".repeat(300), reading), /longer than 256/],
    [{ ...recordOf("d", reading), key: Uint8Array.of(0xff) }, /not UTF-8/],
  ];
  for (const [record, words] of refused) assert.match(String(sampleOf(record)), words);
});

test("a device time is believed within a week before and a minute after", () => {
  const week = 7 * 24 * 3_600_000;
  const cases: [number, number][] = [
    [now, now],
    [now + 60_000, now + 60_000],
    [now + 60_001, now],
    [now - week, now - week],
    [now - week - 1, now],
    [0, now],
  ];
  for (const [device, expected] of cases) assert.equal(eventTime(device, now), expected);
  assert.equal(eventTime(123, -1), 123);
});
