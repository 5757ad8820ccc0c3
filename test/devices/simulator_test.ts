// The demo fleet: the same seed is the same fleet, every device speaks, and stop leaves nothing behind.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeReading, parseSensorTopic, startFleet } from "../../devices/mod.ts";
import { recordedStations } from "../../devices/replay.ts";
import { planFleet } from "../../devices/simulator.ts";
import { openStandIn } from "./stand_in.ts";

test("planFleet gives the same fleet for the same seed, paces within 0.5 to 2 s", () => {
  const stations = recordedStations();
  const fleet = planFleet(stations, { devices: 48, seed: 5 });
  assert.deepEqual(fleet, planFleet(stations, { devices: 48, seed: 5 }));
  assert.notDeepEqual(
    fleet.map((plan) => plan.phase),
    planFleet(stations, { devices: 48, seed: 6 }).map((plan) => plan.phase),
  );
  assert.equal(new Set(fleet.map((plan) => plan.name)).size, 48);
  for (const plan of fleet) assert.ok(plan.stepMs >= 500 && plan.stepMs <= 2_000);
});

test("planFleet refuses sizes and speeds out of bounds", () => {
  for (const devices of [0, 1.5, 2_001, Number.NaN]) assert.throws(() => planFleet([], { devices }), /devices must be/);
  for (const speed of [0, -1, Number.NaN, 1_001]) assert.throws(() => planFleet([], { speed }), /speed must be/);
});

test("startFleet replays recorded values over a connection per device", async () => {
  const hub = await openStandIn(true);
  const fleet = startFleet({ host: "127.0.0.1", port: hub.port, devices: 10, speed: 50, seed: 2 });
  try {
    await hub.arrived(200);
    assert.equal(new Set(hub.taken.map((entry) => entry.client)).size, 10);
    assert.equal(fleet.counts().connected, 10);
    const known = new Map(
      recordedStations().flatMap((station) =>
        station.series.map((series) => [`${station.name}/${series.metric}`, new Set(series.values)] as const),
      ),
    );
    for (const entry of hub.taken) {
      const topic = parseSensorTopic(entry.topic);
      assert.equal(topic?.device, entry.client);
      const reading = decodeReading(new TextEncoder().encode(entry.payload));
      assert.ok(known.get(`${entry.client.slice(0, -3)}/${topic!.metric}`)!.has(reading.v));
    }
  } finally {
    await fleet.stop();
    await hub.close();
  }
});
