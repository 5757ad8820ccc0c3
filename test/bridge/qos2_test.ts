// QoS 2: stored once with its packet id, whatever is repeated, cut or restarted in between.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../hub/errors.ts";
import { withBridge } from "./harness.ts";
import { publishFrame, pubrelFrame, RawClient, Type } from "./raw_client.ts";
import { openKept } from "./server/stand_ins.ts";
import { openStandInHub, type StandInHub } from "./stand_in_hub.ts";

const kept = { clean: false };
const idsOf = (hub: StandInHub, clientId: string): number[] => [...(hub.kept.ids.get(clientId) ?? [])];
const values = (hub: { sent: readonly { value: string }[] }): string[] => hub.sent.map((record) => record.value);

test("PUBREC leaves after the commit of record and id together, PUBCOMP after the id is gone", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "dev/1", kept);
    const other = await RawClient.open(bridge.port, "other");
    hub.hold = true;
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 7 }));
    await hub.arrived(1);
    await other.ping();
    assert.deepEqual([client.ids(Type.Pubrec), idsOf(hub, "dev/1")], [[], []]);
    hub.release();
    await client.until(() => client.ids(Type.Pubrec).length === 1);
    assert.deepEqual(idsOf(hub, "dev/1"), [7]);
    assert.equal(hub.sent[0]!.headers["mqtt.qos"], "2");
    client.send(pubrelFrame(7));
    while (hub.held === 0) await other.ping();
    assert.deepEqual(client.ids(Type.Pubcomp), []);
    hub.release();
    await client.until(() => client.ids(Type.Pubcomp).length === 1);
    assert.deepEqual(idsOf(hub, "dev/1"), []);
    client.destroy();
    other.destroy();
  });
});

test("a PUBLISH that comes again with its id is not stored twice, before or after its commit", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c", kept);
    hub.hold = true;
    client.send(
      publishFrame("s/d/m", "a", { qos: 2, id: 1 }),
      publishFrame("s/d/m", "a", { qos: 2, id: 1, dup: true }),
    );
    await hub.arrived(1);
    hub.hold = false;
    hub.release();
    // one PUBREC answers both
    await client.until(() => client.ids(Type.Pubrec).length === 1);
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 1, dup: true }));
    await client.until(() => client.ids(Type.Pubrec).length === 2);
    assert.deepEqual(values(hub), ["a"]);
    client.send(pubrelFrame(1), pubrelFrame(1));
    await client.until(() => client.ids(Type.Pubcomp).length === 1);
    client.send(publishFrame("s/d/m", "b", { qos: 2, id: 1 }));
    await client.until(() => client.ids(Type.Pubrec).length === 3);
    assert.deepEqual(values(hub), ["a", "b"]);
    client.destroy();
  });
});

test("an id is known across a reconnect, also when its record was not committed yet", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const first = await RawClient.open(bridge.port, "c", kept);
    hub.hold = true;
    first.send(publishFrame("s/d/m", "a", { qos: 2, id: 1 }), publishFrame("s/d/m", "b", { qos: 2, id: 2 }));
    await hub.arrived(2);
    first.destroy();
    await first.untilClosed();
    const second = await RawClient.open(bridge.port, "c", kept);
    assert.equal(second.packets[0]!.body[0], 1, "session present");
    second.send(publishFrame("s/d/m", "a", { qos: 2, id: 1, dup: true }));
    second.send(publishFrame("s/d/m", "b", { qos: 2, id: 2, dup: true }));
    const other = await RawClient.open(bridge.port, "other");
    await other.ping();
    assert.deepEqual(second.ids(Type.Pubrec), []);
    hub.hold = false;
    hub.release();
    await second.until(() => second.ids(Type.Pubrec).length === 2);
    assert.deepEqual(
      [values(hub), second.ids(Type.Pubrec)],
      [
        ["a", "b"],
        [1, 2],
      ],
    );
    second.destroy();
    other.destroy();
  });
});

test("an id is known across a restart of the hub, and forgotten when the client begins a clean session", async () => {
  const outlives = openKept();
  await withBridge({ hub: openStandInHub(outlives) }, async ({ bridge }) => {
    const client = await RawClient.open(bridge.port, "c", kept);
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 1 }));
    await client.until(() => client.ids(Type.Pubrec).length === 1);
    client.destroy();
  });
  assert.deepEqual([...outlives.ids.get("c")!], [1]);
  await withBridge({ hub: openStandInHub(outlives) }, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c", kept);
    assert.equal(client.packets[0]!.body[0], 1, "session present");
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 1, dup: true }));
    await client.until(() => client.ids(Type.Pubrec).length === 1);
    assert.deepEqual(values(hub), []);
    client.destroy();
    await client.untilClosed();
    const clean = await RawClient.open(bridge.port, "c", { clean: true });
    assert.equal(clean.packets[0]!.body[0], 0, "no session");
    assert.equal(outlives.ids.size, 0);
    clean.send(publishFrame("s/d/m", "new", { qos: 2, id: 1 }));
    await clean.until(() => clean.ids(Type.Pubrec).length === 1);
    assert.deepEqual([values(hub), outlives.ids.size], [["new"], 0]);
    clean.destroy();
  });
});

test("a store that fails leaves no id behind: withheld, closed, and stored when it comes again", async () => {
  await withBridge({ ackTimeoutMs: 200 }, async ({ bridge, hub, trace }) => {
    const client = await RawClient.open(bridge.port, "c", kept);
    hub.failure = new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 1 }));
    await client.untilClosed();
    assert.deepEqual([client.ids(Type.Pubrec), hub.kept.ids.size], [[], 0]);
    assert.equal(trace.counted("mqtt_publish_failed_total"), 1);
    hub.failure = null;
    const again = await RawClient.open(bridge.port, "c", kept);
    again.send(publishFrame("s/d/m", "a", { qos: 2, id: 1, dup: true }));
    await again.until(() => again.ids(Type.Pubrec).length === 1);
    assert.deepEqual(idsOf(hub, "c"), [1]);
    again.destroy();
  });
});

test("PUBCOMP is withheld while the id could come back after a restart", async () => {
  await withBridge({}, async ({ bridge, hub, trace }) => {
    const client = await RawClient.open(bridge.port, "c", kept);
    client.send(publishFrame("s/d/m", "a", { qos: 2, id: 1 }));
    await client.until(() => client.ids(Type.Pubrec).length === 1);
    hub.failure = new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
    client.send(pubrelFrame(1));
    const other = await RawClient.open(bridge.port, "other");
    while (!trace.events.some((entry) => entry.event === "mqtt_session_not_stored")) await other.ping();
    assert.deepEqual(client.ids(Type.Pubcomp), []);
    hub.failure = null;
    client.destroy();
    const again = await RawClient.open(bridge.port, "c", kept);
    again.send(pubrelFrame(1));
    await again.until(() => again.ids(Type.Pubcomp).length === 1);
    assert.deepEqual(idsOf(hub, "c"), []);
    again.destroy();
    other.destroy();
  });
});

test("open ids of one client are bounded", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c");
    for (let id = 1; id <= 600; id++) client.send(publishFrame("s/d/m", `${id}`, { qos: 2, id }));
    await client.untilClosed();
    assert.ok(hub.count <= 512, `${hub.count} stored`);
  });
});

test("records of QoS 1 and 2 from one connection are appended in the order of arrival", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c");
    const ids = Array.from({ length: 60 }, (_, at) => at + 1);
    client.send(...ids.map((id) => publishFrame("s/d/m", `${id}`, { qos: id % 3, id })));
    await client.until(() => client.ids(Type.Pubrec).length === 20 && client.ids(Type.Puback).length === 20);
    assert.deepEqual(values(hub), ids.map(String));
    assert.deepEqual(
      client.ids(Type.Pubrec),
      ids.filter((id) => id % 3 === 2),
    );
    client.destroy();
  });
});
