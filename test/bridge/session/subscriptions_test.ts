// SUBSCRIBE and UNSUBSCRIBE: codes, bounds, replacing, retained, and what a message means.
import assert from "node:assert/strict";
import test from "node:test";
import { Subscriptions } from "../../../bridge/session/subscriptions.ts";
import {
  MqttProblem,
  type Properties,
  Reason,
  type Subscribe,
  type SubscriptionRequest,
} from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

type Asked = Partial<SubscriptionRequest> & { readonly filter: string };

const packet = (asked: readonly Asked[], properties: Properties = {}): Subscribe => {
  const plain = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  return { kind: "subscribe", packetId: 1, subscriptions: asked.map((one) => ({ ...plain, ...one })), properties };
};
const everything = () => true;
const breaks = (error: unknown) => error instanceof MqttProblem && error.code === Reason.protocolError;

test("one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]", () => {
  const asked = [
    { filter: "a/#", qos: 2 },
    { filter: "a#" },
    { filter: "secret/x" },
    { filter: "b", qos: 0 },
    { filter: "$share/g" },
  ] as const;
  const mayRead = (filter: string) => !filter.startsWith("secret");
  const five = new Subscriptions().subscribe(packet(asked), 5, mayRead, 0, 0);
  assert.deepEqual(five.codes, [2, 0x8f, 0x87, 0, 0x8f]);
  assert.deepEqual(
    five.changes.map(({ filter }) => filter),
    ["a/#", "b"],
  );
  assert.deepEqual(new Subscriptions().subscribe(packet(asked), 4, mayRead, 0, 0).codes, [2, 0x80, 0x80, 0, 0x80]);
  const shared = new Subscriptions().subscribe(packet([{ filter: "$share/g/secret/#" }]), 5, mayRead, 0, 0);
  assert.deepEqual(shared.codes, [0x87], "a group reads no more than its members may");
});

test("a bound on subscriptions: one more is 0x97, replacing is not", () => {
  const held = new Subscriptions();
  const many = Array.from({ length: limits.mqttSubscriptionsPerClientMax }, (_, at) => ({ filter: `f/${at}` }));
  assert.ok(held.subscribe(packet(many), 5, everything, 0, 0).codes.every((code) => code === 1));
  assert.deepEqual(
    held.subscribe(packet([{ filter: "x" }, { filter: "f/3", qos: 2 }]), 5, everything, 0, 0).codes,
    [0x97, 2],
  );
  held.unsubscribe({ kind: "unsubscribe", packetId: 2, filters: ["f/0"], properties: {} });
  assert.deepEqual(held.subscribe(packet([{ filter: "x" }]), 5, everything, 0, 0).codes, [1]);
});

test("retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11", () => {
  const held = new Subscriptions();
  const asks = (filter: string, retainHandling: 0 | 1 | 2) =>
    held.subscribe(packet([{ filter, retainHandling }]), 5, everything, 0, 0).changes[0]!.wantsRetained;
  assert.deepEqual([asks("a", 1), asks("a", 1), asks("a", 0), asks("b", 2)], [true, false, true, false]);
  assert.equal(asks("$share/g/a", 0), false);
});

test("replacing keeps its place in time, and takes the new options [MQTT-3.8.4-3]", () => {
  const held = new Subscriptions();
  held.subscribe(packet([{ filter: "a", qos: 0 }]), 5, everything, 100, 50);
  const { changes } = held.subscribe(
    packet([{ filter: "a", qos: 2 }], { subscriptionIds: [5] }),
    5,
    everything,
    200,
    50,
  );
  assert.equal(changes[0]!.isNew, false);
  assert.equal(held.match("a", 99), null, "older than the subscription");
  assert.deepEqual(held.match("a", 150)?.all, { qos: 2, retainAsPublished: false, ids: [5] });
});

test("what a client missed at QoS 0 is not for it when it asks for more; what came since it connected is", () => {
  const held = new Subscriptions();
  const ask = (qos: 0 | 1 | 2, beganAt: number): void =>
    void held.subscribe(packet([{ filter: "a", qos }]), 5, everything, beganAt + 10, beganAt);
  ask(0, 100);
  ask(2, 200);
  assert.deepEqual([held.match("a", 199), held.match("a", 200)?.all.qos], [null, 2]);
  ask(1, 300);
  assert.equal(held.match("a", 250)?.all.qos, 1, "what it missed at QoS 2 is kept for it");
  ask(0, 300);
  ask(1, 300);
  assert.equal(held.match("a", 299), null);
});

test("match merges, and leaves shared subscriptions out", () => {
  const held = new Subscriptions();
  held.subscribe(
    packet([
      { filter: "a/#", qos: 0 },
      { filter: "a/b", noLocal: true },
      { filter: "$share/g/a/b", qos: 2 },
    ]),
    5,
    everything,
    0,
    0,
  );
  const both = held.match("a/b", 0)!;
  assert.deepEqual([both.all.qos, both.own?.qos], [1, 0]);
  assert.equal(held.match("b", 0), null);
  assert.deepEqual(held.clear().length, 3);
  assert.equal(held.match("a/b", 0), null);
});

test("UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]", () => {
  const held = new Subscriptions([
    { filter: "a", options: { qos: 0, noLocal: false, retainAsPublished: false, id: 0 }, since: 0 },
  ]);
  const filters = ["a", "a", "b/#", "b#", "$share/x"];
  const { codes, gone } = held.unsubscribe({ kind: "unsubscribe", packetId: 1, filters, properties: {} });
  assert.deepEqual(codes, [0, 0x11, 0x11, 0x8f, 0x8f]);
  assert.deepEqual(gone, ["a"]);
});

test("what breaks the standard changes nothing", () => {
  const held = new Subscriptions();
  const bad = [
    packet([]),
    packet([{ filter: "a" }, { filter: "$share/g/a", noLocal: true }]),
    packet([{ filter: "a" }], { subscriptionIds: [0] }),
    packet([{ filter: "a" }], { subscriptionIds: [1, 2] }),
  ];
  for (const one of bad) assert.throws(() => held.subscribe(one, 5, everything, 0, 0), breaks);
  assert.throws(() => held.unsubscribe({ kind: "unsubscribe", packetId: 1, filters: [], properties: {} }), breaks);
  assert.equal(held.size, 0);
});
