// A device against a socket: forgets on PUBACK only, keeps order, sends again after a cut, waits out a missing hub.
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "../../devices/device.ts";
import { decodeReading } from "../../devices/reading.ts";
import { openStandIn, type Taken } from "./stand_in.ts";

const sequences = (taken: readonly Taken[]): number[] =>
  taken.map((entry) => decodeReading(new TextEncoder().encode(entry.payload)).seq);

function newDevice(port: number, more: { window?: number; outboxMax?: number } = {}): Device {
  return new Device({ host: "127.0.0.1", port, name: "dev-1", reconnectMs: 10, reconnectMsMax: 40, ...more });
}

test("Device publishes in order on its topic and forgets on PUBACK", async () => {
  const hub = await openStandIn(true);
  const device = newDevice(hub.port);
  try {
    device.start();
    for (let step = 0; step < 100; step++) device.publish("temperature", { t: 1_000 + step, v: step / 10, u: "C" });
    await device.whenIdle();
    assert.deepEqual(
      sequences(hub.taken),
      Array.from({ length: 100 }, (_, step) => step),
    );
    assert.equal(hub.taken[0]!.topic, "sensors/dev-1/temperature");
    assert.equal(hub.taken[0]!.client, "dev-1");
    assert.deepEqual(device.counts(), { taken: 100, acknowledged: 100, dropped: 0, waiting: 0 });
  } finally {
    await device.stop();
    await hub.close();
  }
});

test("Device keeps readings until their PUBACK and sends them again, in order, after a cut", async () => {
  const hub = await openStandIn(false);
  const device = newDevice(hub.port, { window: 4 });
  try {
    device.start();
    for (let step = 0; step < 6; step++) device.publish("m", { t: step, v: step, u: "" });
    await hub.arrived(4);
    hub.taken[0]!.acknowledge();
    await hub.arrived(5);
    hub.cut();
    await hub.arrived(9);
    assert.deepEqual(sequences(hub.taken), [0, 1, 2, 3, 4, 1, 2, 3, 4]);
    assert.equal(device.counts().waiting, 5);
    for (let at = 5; at < 9; at++) hub.taken[at]!.acknowledge();
    await hub.arrived(10);
    hub.taken[9]!.acknowledge();
    await device.whenIdle();
    assert.deepEqual(device.counts(), { taken: 6, acknowledged: 6, dropped: 0, waiting: 0 });
  } finally {
    await device.stop();
    await hub.close();
  }
});

test("Device stores while the hub is away, drops the oldest beyond its bound, and forwards when it comes", async () => {
  const gone = await openStandIn(true);
  await gone.close();
  const device = newDevice(gone.port, { outboxMax: 10 });
  try {
    device.start();
    for (let step = 0; step < 15; step++) device.publish("m", { t: step, v: step, u: "" });
    assert.deepEqual(device.counts(), { taken: 15, acknowledged: 0, dropped: 5, waiting: 10 });
    const hub = await openStandIn(true, gone.port);
    try {
      await device.whenIdle();
      assert.deepEqual(sequences(hub.taken), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    } finally {
      await device.stop();
      await hub.close();
    }
  } finally {
    await device.stop();
  }
});

test("Device refuses bad names and values and readings after stop", async () => {
  assert.throws(() => new Device({ host: "127.0.0.1", port: 1, name: "a/b" }), RangeError);
  const device = newDevice(1);
  assert.throws(() => device.publish("a b", { t: 0, v: 0, u: "" }), RangeError);
  assert.throws(() => device.publish("m", { t: 0, v: Number.NaN, u: "" }), /not a reading/);
  await device.stop();
  assert.throws(() => device.publish("m", { t: 0, v: 0, u: "" }), /stopped/);
});
