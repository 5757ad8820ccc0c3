// The tables of the MQTT bench: medians, ratios with their goals, and what was not measured.
import assert from "node:assert/strict";
import test from "node:test";
import { goalTable, judge, medianOf, type Run, shapes, shapeTable } from "./mqtt_rows.ts";

const fanout = shapes.find(({ name }) => name === "fanout")!;

const run = (system: string, rate: number, cpu: number, delivered = 200_000): Run => {
  return { system, shape: "fanout", msgs: 4_000, subs: 50, delivered, msgs_per_s: rate, server_cpu_s_per_million: cpu };
};

const runs = [
  run("mosquitto", 1_000, 400),
  run("mosquitto", 3_000, 500),
  run("mosquitto", 2_000, 600),
  run("partidor", 8_000, 125),
  run("nats", 8_000, 200, 199_000),
];

test("a goal is judged by the ratio of medians, in its direction", () => {
  const verdicts = fanout.goals.map((goal) => judge(goal, fanout, runs));
  assert.deepEqual(verdicts, [
    { value: 4, isKept: true },
    { value: 0.25, isKept: true },
    { value: 1, isKept: false },
    { value: 0.625, isKept: false },
  ]);
  assert.match(goalTable([fanout], runs), /\| fanout \| msg\/s, to mosquitto \| 4\.00x \| >= 4\.00x \| kept \|/);
});

test("deliveries count against publishes times subscribers", () => {
  assert.equal(medianOf(runs, fanout, "partidor", "delivered"), 100);
  assert.equal(medianOf(runs, fanout, "nats", "delivered"), 99.5);
});

test("what was not measured is said, and no goal is kept by it", () => {
  const left = runs.filter(({ system }) => system !== "nats");
  const table = shapeTable(fanout, left, new Map([["nats", "missing: not on this machine"]]));
  assert.match(table, /\| nats \| missing: not on this machine \|/);
  const own = fanout.goals.filter(({ against }) => against === "nats");
  assert.deepEqual(
    own.map((goal) => judge(goal, fanout, left).isKept),
    [null, null],
  );
});

test("a run that stalled is marked", () => {
  const table = shapeTable(fanout, [{ ...run("partidor", 1, 1), note: "stalled" }], new Map());
  assert.match(table, /\| partidor \(stalled\) \|/);
});
