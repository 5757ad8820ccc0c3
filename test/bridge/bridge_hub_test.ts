// The bridge on the real hub: order per device, QoS 2 exactly once through a restart and through kill -9.
import assert from "node:assert/strict";
import test from "node:test";
import { type Bridge, startBridge } from "../../bridge/mod.ts";
import { Device } from "../../devices/mod.ts";
import { connect, type HubClient, silentTrace } from "../../hub/mod.ts";
import { type HubProcess, scratch, startHub } from "../tools/hub_process.ts";
import { openTestHub, type TestHub } from "../tools/test_hub.ts";
import { publishFrame, pubrelFrame, RawClient, subscribeFrame, Type } from "./raw_client.ts";

const kept = { clean: false };
const many = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);
const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? new Uint8Array());

async function openBoth(folder?: string): Promise<TestHub & { bridge: Bridge }> {
  const opened = await openTestHub(folder === undefined ? {} : { folder });
  const { hub } = opened;
  const bridge = await startBridge({
    client: hub.client("bridge"),
    hub,
    clock: hub.clock,
    trace: silentTrace,
    host: "127.0.0.1",
    port: 0,
    ackTimeoutMs: 10_000,
  });
  const close = async (): Promise<void> => {
    await bridge.close();
    await opened.close();
  };
  return { ...opened, bridge, close };
}

/** Values per key in the order of the log, once `count` records were read. */
async function readAll(client: HubClient, topic: string, count: number): Promise<Map<string, string[]>> {
  const consumer = client.consumer({ from: "earliest" });
  const values = new Map<string, string[]>();
  try {
    await consumer.assign([{ topic, from: "earliest" }]);
    const deadline = performance.now() + 15_000;
    for (let read = 0; ; ) {
      // one more look when all are there: nothing may come twice
      const batches = await consumer.poll(read < count ? 1_000 : 200);
      for (const { records } of batches) {
        for (const { key, value } of records) {
          const name = text(key);
          values.set(name, [...(values.get(name) ?? []), text(value)]);
          read++;
        }
      }
      if (read >= count && batches.length === 0) return values;
      assert.ok(performance.now() < deadline, `${read} of ${count} records came`);
    }
  } finally {
    await consumer.close();
  }
}

test("readings of many devices are in the log, each in order, and a PUBACK means they can be read", async () => {
  const { hub, bridge, close } = await openBoth();
  const devices = many(8).map((n) => new Device({ host: "127.0.0.1", port: bridge.port, name: `dev-${n}` }));
  try {
    for (const device of devices) {
      device.start();
      for (let n = 0; n < 100; n++) device.publish(`m${n % 3}`, { t: n, v: n, u: "" });
    }
    for (const device of devices) await device.whenIdle();
    const client = hub.client("reader");
    const values = await readAll(client, "sensors", 800);
    assert.deepEqual(
      [...values.keys()].toSorted(),
      devices.map((device) => device.name),
    );
    for (const readings of values.values()) {
      assert.deepEqual(
        readings.map((value) => (JSON.parse(value) as { seq: number }).seq),
        many(100).map((n) => n - 1),
      );
    }
    await client.close();
  } finally {
    await Promise.all(devices.map((device) => device.stop()));
    await close();
  }
});

test("a PUBLISH larger than a batch may be is refused and closed, and other connections go on", async () => {
  const { bridge, close } = await openBoth();
  try {
    const client = await RawClient.open(bridge.port, "big");
    const other = await RawClient.open(bridge.port, "other");
    other.send(subscribeFrame(1, "s/#", 0));
    client.send(publishFrame("s/d/m", "x".repeat(1024 * 1024), { qos: 1, id: 1 }));
    await client.untilClosed();
    assert.deepEqual(client.ids(Type.Puback), []);
    other.send(publishFrame("s/d/m", "small", { qos: 1, id: 1 }));
    await other.until(() => other.ids(Type.Puback).length === 1 && other.published().length === 1);
    assert.deepEqual(other.published(), [["s/d/m", "small"]]);
    other.destroy();
  } finally {
    await close();
  }
});

test("QoS 2 is stored once through a restart of the hub", async () => {
  const { folder, remove } = scratch();
  try {
    const first = await openBoth(folder);
    const before = await RawClient.open(first.bridge.port, "c", kept);
    before.send(...many(20).map((id) => publishFrame("s/d/m", `${id}`, { qos: 2, id })));
    await before.until(() => before.ids(Type.Pubrec).length === 20);
    before.send(pubrelFrame(1));
    await before.until(() => before.ids(Type.Pubcomp).length === 1);
    before.destroy();
    await first.close();

    const second = await openBoth(folder);
    try {
      assert.equal(second.bridge.stats().qos2Open, 19);
      const after = await RawClient.open(second.bridge.port, "c", kept);
      after.send(
        ...many(20)
          .slice(1)
          .map((id) => publishFrame("s/d/m", `${id}`, { qos: 2, id, dup: true })),
      );
      after.send(publishFrame("s/d/m", "21", { qos: 2, id: 1 }));
      await after.until(() => after.ids(Type.Pubrec).length === 20);
      after.send(...many(20).map(pubrelFrame));
      await after.until(() => after.ids(Type.Pubcomp).length === 20);
      assert.equal(second.bridge.stats().qos2Open, 0);
      after.destroy();
      const client = second.hub.client("reader");
      assert.deepEqual((await readAll(client, "s", 21)).get("d"), many(21).map(String));
      await client.close();
    } finally {
      await second.close();
    }
  } finally {
    remove();
  }
});

test("QoS 2 is stored exactly once through kill -9 at any moment", async () => {
  const { folder, remove } = scratch();
  const total = 300;
  let hub: HubProcess | null = null;
  try {
    const done = new Set<number>();
    for (let life = 0; done.size < total; life++) {
      hub = await startHub({ data: folder });
      const client = await RawClient.open(hub.mqtt, "c", kept);
      const open = many(total).filter((id) => !done.has(id));
      // a message whose PUBREC was lost comes again with its id, in order, as MQTT 4.4 has it
      client.send(...open.map((id) => publishFrame("s/d/m", `${id}`, { qos: 2, id, dup: life > 0 })));
      const goal = life < 2 ? done.size + 60 : total;
      let released = 0;
      await client.until(() => {
        const received = client.ids(Type.Pubrec);
        if (received.length > released) client.send(...received.slice(released).map(pubrelFrame));
        released = received.length;
        for (const id of client.ids(Type.Pubcomp)) done.add(id);
        return done.size >= goal;
      });
      client.destroy();
      if (done.size < total) await hub.end("SIGKILL");
    }
    const reader = connect({ bootstrap: `127.0.0.1:${hub!.kafka}`, clientId: "reader" });
    const values = (await readAll(reader, "s", total)).get("d")!;
    assert.deepEqual(
      values.map(Number).toSorted((left, right) => left - right),
      many(total),
    );
    await reader.close();
  } finally {
    await hub?.end("SIGKILL");
    remove();
  }
});
