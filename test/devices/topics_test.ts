// The MQTT topic grammar: what is a reading's topic and what is not.
import assert from "node:assert/strict";
import test from "node:test";
import { parseSensorTopic, sensorTopic } from "../../devices/topics.ts";

test("sensorTopic and parseSensorTopic are each other's inverse", () => {
  assert.equal(sensorTopic("dev-7", "temperature"), "sensors/dev-7/temperature");
  assert.deepEqual(parseSensorTopic("sensors/dev-7/temperature"), { device: "dev-7", metric: "temperature" });
});

test("sensorTopic refuses names that break the grammar", () => {
  for (const name of ["", "a/b", "a b", "+", "#", "ä", "\0", "x".repeat(65)]) {
    assert.throws(() => sensorTopic(name, "m"), RangeError);
    assert.throws(() => sensorTopic("d", name), RangeError);
  }
});

test("parseSensorTopic answers null for other topics", () => {
  const others = [
    "",
    "sensors",
    "sensors/d",
    "sensors/d/m/x",
    "sensors/d/m/",
    "sensors//m",
    "sensor/d/m",
    "/sensors/d/m",
  ];
  for (const topic of [...others, "sensors/d/m m", "$SYS/d/m"]) assert.equal(parseSensorTopic(topic), null);
});
