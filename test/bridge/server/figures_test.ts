// $SYS: the hub's own figures, as retained messages and as news.
import assert from "node:assert/strict";
import test from "node:test";
import { Figures, noCounts } from "../../../bridge/server/figures.ts";
import { withBridge } from "../harness.ts";
import { RawClient, subscribeFrame, Type } from "../raw_client.ts";

const present = { uptimeSeconds: 0, connected: 0, sessions: 0, subscriptions: 0, retained: 0 };

test("figures are found by filters that name $SYS, and told when they change", () => {
  const figures = new Figures("x");
  const first = figures.update(noCounts(), present);
  assert.ok(first.length > 10 && first.every(({ retain }) => !retain));
  assert.deepEqual(figures.match("#"), []);
  assert.deepEqual(figures.match("+/broker/uptime"), []);
  assert.equal(figures.match("$SYS/#").length, first.length);
  assert.ok(figures.match("$SYS/#").every(({ retain }) => retain));
  assert.deepEqual(figures.update(noCounts(), present), []);
  const changed = figures.update({ ...noCounts(), bytesSent: 7 }, { ...present, connected: 1, sessions: 3 });
  assert.deepEqual(
    changed.map(({ topic, payload }) => [topic, new TextDecoder().decode(payload)]),
    [
      ["$SYS/broker/clients/connected", "1"],
      ["$SYS/broker/clients/disconnected", "2"],
      ["$SYS/broker/clients/total", "3"],
      ["$SYS/broker/bytes/sent", "7"],
    ],
  );
});

test("a subscriber of $SYS gets the figures; one of # does not, and nobody else writes there", async () => {
  await withBridge({}, async ({ bridge }) => {
    const all = await RawClient.open(bridge.port, "all");
    const sys = await RawClient.open(bridge.port, "sys");
    all.send(subscribeFrame(1, "#", 0));
    await all.until(() => all.of(Type.Suback).length === 1);
    sys.send(subscribeFrame(1, "$SYS/broker/#", 0));
    await sys.until(() => sys.published().some(([topic]) => topic === "$SYS/broker/uptime"));
    await all.ping();
    assert.deepEqual(all.published(), []);
    for (const client of [all, sys]) client.destroy();
  });
});
