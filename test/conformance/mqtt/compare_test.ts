// What two brokers may send differently and be alike, as scenarios came to it; and what they may not.
import assert from "node:assert/strict";
import test from "node:test";
import { type Circumstances, compare } from "./compare.ts";
import type { Seen } from "./side.ts";

const plain = { text: "", topic: "", qos: 0, retain: false, dup: false, ids: [], properties: {} } as const;

function publish(name: string, changes: Partial<Seen>): Seen {
  return { ...plain, kind: "publish", name, topic: "a/b", qos: 2, ...changes };
}

const other = (kind: Seen["kind"], text = "", name = ""): Seen => ({ ...plain, kind, name, text });

const about: Circumstances = {
  missed: new Set(),
  isTakeoverWill: () => false,
  isLate: false,
  isSubscribing: false,
  copies: () => 1,
};

test("the same is alike without a rule, and a message, a code or a flag more is not", () => {
  const sent = [other("connack", "code 0"), publish("1n1", { ids: [20] })];
  assert.deepEqual(compare(sent, sent, about), []);
  assert.equal(compare(sent, [...sent, publish("1n2", {})], about), null);
  assert.equal(compare(sent, [sent[0]!], about), null);
  assert.equal(compare(sent, [other("connack", "code 5"), sent[1]!], about), null);
  for (const changes of [{ retain: true }, { dup: true }, { qos: 1 }, { topic: "a" }] as const) {
    assert.equal(compare(sent, [sent[0]!, publish("1n1", { ids: [20], ...changes })], about), null);
  }
});

test("SEED=1982: what a QoS 0 copy adds is not there when the copies are sent again, beside what is retained", () => {
  const mosquitto = [publish("3n12", { dup: true, ids: [20] }), publish("3n12", { qos: 1, dup: true, retain: true })];
  const ours = [
    publish("3n12", { dup: true, retain: true, ids: [20, 249] }),
    publish("3n12", { qos: 1, dup: true, retain: true }),
  ];
  assert.notEqual(compare(mosquitto, ours, about), null);
  const first = ours.map((one) => ({ ...one, dup: false }));
  assert.equal(compare(mosquitto, first, about), null, "not when it is sent for the first time");
  assert.equal(compare(ours, mosquitto, about), null, "what was there must stay");
});

test("SEED=4358: copies that were published and copies that were retained, in any order", () => {
  const copies = [publish("3n37", {}), publish("3n37", { retain: true }), publish("3n37", { qos: 1, retain: true })];
  const closed = other("closed");
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ]) {
    const ours = [closed, ...order.map((at) => copies[at]!), publish("1n1", {})];
    assert.notEqual(compare([...copies, closed], ours, { ...about, isTakeoverWill: (name) => name === "1n1" }), null);
  }
  assert.equal(compare(copies, [copies[0]!, copies[2]!, copies[2]!], about), null);
});

test("SEED=2475: a delivery that came before the cut at one, and after it at the other", () => {
  const end = [publish("1n29", { qos: 1, ids: [120] }), other("pubrel", "code 0", "4n27")];
  const connack = other("connack", "code 0 session present");
  const again = publish("4n27", { dup: true, ids: [120] });
  const mosquitto = [publish("4n27", { ids: [120] }), connack, again, ...end];
  const ours = [connack, again, ...end];
  assert.notEqual(compare(mosquitto, ours, { ...about, isLate: true }), null);
  assert.equal(compare(mosquitto, ours, about), null, "a client that answered would have been looked at");
  assert.equal(compare(mosquitto, [connack, ...end], { ...about, isLate: true }), null, "lost");
});
