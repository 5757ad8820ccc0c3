// Aggregate and Alert as JSON, there and back, and what is refused.
import assert from "node:assert/strict";
import test from "node:test";
import { type Aggregate, type Alert, decodeAggregate, decodeAlert, encodeMessage } from "../../subscribers/messages.ts";

const alert: Alert = { id: "sensors-0-1", device: "d", metric: "m", t: 1, v: -2.5, score: 0.75, why: "level" };
const aggregate: Aggregate = {
  id: "sensors-0-1/m/0",
  device: "<img onerror=x>",
  metric: "m",
  start: 0,
  end: 60_000,
  count: 0,
  min: null,
  mean: null,
  max: null,
  unit: "",
  late: 1,
  first: 1,
  last: 1,
};

test("messages come back as they were", () => {
  assert.deepEqual(decodeAlert(encodeMessage(alert)), alert);
  assert.deepEqual(decodeAggregate(encodeMessage(aggregate)), aggregate);
});

test("other bytes are refused", () => {
  for (const text of ["", "null", "[]", "{}", '{"id":1}', '{"id":"a","device":"d","metric":"m","t":"1"}']) {
    assert.throws(() => decodeAlert(new TextEncoder().encode(text)));
    assert.throws(() => decodeAggregate(new TextEncoder().encode(text)));
  }
});
