// mqtt.presence: who came and who went, in order, and why.
import assert from "node:assert/strict";
import test from "node:test";
import { withBridge } from "../harness.ts";
import { frame, publishFrame, RawClient } from "../raw_client.ts";

test("comings and goings of a client are records, with the reason of each end", async () => {
  await withBridge({ presence: true }, async ({ bridge, hub }) => {
    const polite = await RawClient.open(bridge.port, "c");
    polite.send(frame(0xe0));
    await polite.untilClosed();
    const lost = await RawClient.open(bridge.port, "c");
    lost.destroy();
    while (bridge.stats().connections > 0) await new Promise((resolve) => setImmediate(resolve));
    const first = await RawClient.open(bridge.port, "c");
    const second = await RawClient.open(bridge.port, "c");
    await first.untilClosed();
    second.send(publishFrame("s/#", "x", {}));
    await second.untilClosed();
    const events = hub.sent.map(({ topic, key, value }) => {
      const { event, client, why, protocol, address, at } = JSON.parse(value) as Record<string, string | number>;
      assert.deepEqual([topic, key, client, protocol, address], ["mqtt.presence", "c", "c", "3.1.1", "127.0.0.1"]);
      assert.ok(Math.abs(Date.now() - Number(at)) < 60_000);
      return why === undefined ? event : `${event}: ${why}`;
    });
    assert.deepEqual(events, [
      "connected",
      "disconnected: goodbye",
      "connected",
      "disconnected: lost",
      "connected",
      "disconnected: sessionTakenOver",
      "connected",
      "disconnected: topicNameInvalid",
    ]);
  });
});

test("without it nothing is stored", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c");
    client.destroy();
    while (bridge.stats().connections > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(hub.sent, []);
  });
});
