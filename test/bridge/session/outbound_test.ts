// What is sent to a client, effect by effect, against the statements of the standard.
import assert from "node:assert/strict";
import test from "node:test";
import type { OutboundEffect } from "../../../bridge/session/effects.ts";
import type { Cursor, Delivery, StoredOutbound } from "../../../bridge/session/flight.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { Outbound } from "../../../bridge/session/outbound.ts";
import type { OutboundOptions } from "../../../bridge/session/sender.ts";
import { type Acknowledgement, MqttProblem, noProperties, Reason } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

const options: OutboundOptions = { version: 5, durable: false, receiveMax: 100, aliasMax: 0, packetBytesMax: null };

const message = (text: string, more: Partial<Message> = {}): Message => ({
  topic: "t",
  payload: new TextEncoder().encode(text),
  qos: 2,
  retain: false,
  properties: noProperties,
  publisher: "p",
  expiresAt: null,
  ...more,
});

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A session's outgoing side, effects as text. */
class Side {
  readonly outbound: Outbound;
  readonly budget = { used: 0, max: 10_000_000 };
  readonly cursor: Cursor;
  tail = 0;
  now = 0;

  constructor(stored: StoredOutbound | null = null) {
    this.outbound = new Outbound(this.budget, stored);
    this.cursor = this.outbound.cursors.open("h", 0, 0)!;
  }

  run(call: (effects: OutboundEffect[]) => void): string[] {
    const effects: OutboundEffect[] = [];
    call(effects);
    return effects.map((effect) => {
      if (effect.kind === "store") return `store ${effect.ticket}`;
      if (effect.kind === "fetch")
        return `fetch ${effect.wants.map(({ packetId, offset }) => `${packetId}@${offset}`)}`;
      if (effect.kind === "more") return "more";
      if (effect.kind === "send") {
        const { kind, packetId, code } = effect.packet;
        return `${kind} ${packetId} ${code.toString(16)}`;
      }
      const { topic, payload } = effect.message;
      const { qos, packetId, dup, topicAlias: alias, topicKnown, messageExpiry: expiry } = effect.terms;
      const extra = `${alias === 0 ? "" : ` ${topicKnown ? "" : topic}=${alias}`}${expiry === undefined ? "" : ` for ${expiry}`}`;
      return `q${qos} ${packetId}${dup ? " dup" : ""} ${text(payload)}${extra}`;
    });
  }

  connect(more: Partial<OutboundOptions> = {}): string[] {
    const effects = this.run((out) =>
      this.outbound.onConnected({ ...options, ...more }, () => this.tail, this.now, out),
    );
    this.outbound.cursors.attach(this.cursor, this.tail);
    return effects;
  }

  disconnect(): void {
    this.outbound.onDisconnected(() => this.tail);
  }

  delivery(name: string, qos: 0 | 1 | 2, more: Partial<Delivery> = {}, of: Partial<Message> = {}): Delivery {
    const offset = this.tail++;
    const base = { message: message(name, of), qos, retain: false, subscriptionIds: [], cursor: this.cursor, offset };
    return { ...base, ...more };
  }

  /** A record of the shared tail. */
  offer(name: string, qos: 0 | 1 | 2, more: Partial<Delivery> = {}, of: Partial<Message> = {}): string[] {
    const delivery = this.delivery(name, qos, more, of);
    let taken = true;
    const effects = this.run((out) => {
      taken = this.outbound.offer(delivery, this.now, out);
    });
    return taken ? effects : [...effects, "refused"];
  }

  ack(kind: Acknowledgement["kind"], packetId: number, code = 0): string[] {
    const packet: Acknowledgement = { kind, packetId, code, properties: noProperties };
    return this.run((out) => this.outbound.onAcknowledged(packet, this.now, out));
  }

  stored(ticket: number): string[] {
    return this.run((out) => this.outbound.onStored(ticket, this.now, out));
  }

  fetched(packetId: number, name: string | null): string[] {
    const content = name === null ? null : { message: message(name), subscriptionIds: [] };
    return this.run((out) => this.outbound.onFetched(packetId, content, this.now, out));
  }

  snapshot(): StoredOutbound {
    return this.outbound.snapshot(() => this.tail);
  }
}

const problem = (error: unknown) => error instanceof MqttProblem && error.code === Reason.protocolError;

test("QoS 0, 1 and 2 take their ways and give their ids back", () => {
  const side = new Side();
  side.connect();
  assert.deepEqual(side.offer("a", 0), ["q0 0 a"]);
  assert.deepEqual(side.offer("b", 1), ["q1 1 b"]);
  assert.deepEqual(side.offer("c", 2), ["q2 2 c"]);
  assert.deepEqual(side.ack("puback", 1), []);
  assert.deepEqual(side.ack("pubrec", 2), ["pubrel 2 0"]);
  assert.deepEqual(side.ack("pubrec", 2), ["pubrel 2 0"], "sent again");
  assert.equal(side.outbound.inFlight, 1);
  assert.deepEqual(side.ack("pubcomp", 2), []);
  assert.equal(side.outbound.inFlight, 0);
  assert.deepEqual(side.ack("puback", 2), []);
  assert.deepEqual(side.ack("pubrec", 9), ["pubrel 9 92"]);
  assert.equal(side.outbound.counts.strays, 2);
});

test("acknowledgements that do not fit break the exchange", () => {
  const side = new Side();
  side.connect();
  side.offer("a", 1);
  side.offer("b", 2);
  assert.throws(() => side.ack("pubrec", 1), problem);
  assert.throws(() => side.ack("puback", 2), problem);
  assert.throws(() => side.ack("pubcomp", 2), problem);
  assert.throws(() => side.ack("pubcomp", 1), problem);
});

test("a failing PUBACK or PUBREC acknowledges all the same [MQTT-4.4.0-2]", () => {
  const side = new Side();
  side.connect();
  side.offer("a", 1);
  side.offer("b", 2);
  assert.deepEqual(side.ack("puback", 1, 0x80), []);
  assert.deepEqual(side.ack("pubrec", 2, 0x99), []);
  assert.equal(side.outbound.counts.refused, 2);
  assert.equal(side.outbound.inFlight, 0);
});

test("the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9]", () => {
  const side = new Side();
  side.connect({ receiveMax: 2 });
  assert.deepEqual(
    [..."abcd"].flatMap((name) => side.offer(name, 2)),
    ["q2 1 a", "q2 2 b"],
  );
  assert.deepEqual(side.offer("free", 0), ["q0 0 free"]);
  assert.deepEqual(side.ack("pubrec", 1), ["pubrel 1 0"], "it holds its place until PUBCOMP");
  assert.deepEqual(side.ack("pubcomp", 1), ["q2 3 c"]);
  assert.deepEqual(side.ack("pubrec", 2, 0x80), ["q2 4 d"]);
});

test("packet ids go round and pass over those in use [MQTT-2.2.1-4]", () => {
  const side = new Side();
  side.connect({ receiveMax: 2 });
  side.offer("stays", 1);
  for (let at = 2; at <= 65_535; at++) {
    side.offer("x", 1);
    side.ack("puback", at);
  }
  assert.deepEqual(side.offer("next", 1), ["q1 2 next"]);
});

test("after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]", () => {
  const side = new Side();
  side.connect();
  for (const name of ["a", "b", "c"]) side.offer(name, 2);
  side.offer("d", 1);
  side.ack("pubrec", 3);
  side.ack("pubrec", 1);
  side.disconnect();
  side.offer("e", 1);
  assert.equal(side.cursor.next, 4);
  assert.deepEqual(side.connect(), ["pubrel 3 0", "pubrel 1 0", "fetch 2@1,4@3"]);
  assert.deepEqual(side.fetched(4, "d"), [], "b comes first");
  assert.deepEqual(side.fetched(2, "b"), ["q2 2 dup b", "q1 4 dup d"]);
  assert.deepEqual(side.ack("pubcomp", 3), []);
  assert.deepEqual(side.ack("pubcomp", 1), []);
  assert.deepEqual(side.ack("puback", 4), []);
  assert.deepEqual(side.ack("pubrec", 2), ["pubrel 2 0"]);
});

test("new messages wait for those that are sent again, and a smaller window is kept", () => {
  const side = new Side();
  side.connect();
  for (const name of ["a", "b", "c"]) side.offer(name, 1, { cursor: null });
  side.disconnect();
  assert.deepEqual(side.connect({ receiveMax: 2 }), ["q1 1 dup a", "q1 2 dup b"]);
  assert.deepEqual(side.offer("d", 1), []);
  assert.deepEqual(side.ack("puback", 2), ["q1 3 dup c"]);
  assert.deepEqual(side.ack("puback", 1), ["q1 4 d"]);
});

test("a record that retention took while its client was away is settled and counted", () => {
  const side = new Side();
  side.connect();
  side.offer("a", 1);
  side.offer("b", 1);
  side.disconnect();
  side.connect();
  side.fetched(2, "b");
  assert.deepEqual(side.fetched(1, null), ["q1 2 dup b"]);
  assert.deepEqual([side.outbound.counts.lost, side.outbound.inFlight], [1, 1]);
});

test("a session that lasts stores QoS 2 ids before PUBLISH and before PUBREL, many in one store", () => {
  const side = new Side();
  side.connect({ durable: true });
  assert.deepEqual(side.offer("a", 2), ["store 1"]);
  assert.deepEqual(side.offer("b", 2), []);
  assert.deepEqual(side.offer("c", 1), [], "order is kept");
  assert.deepEqual(side.stored(1), ["q2 1 a", "store 2"]);
  assert.deepEqual(side.stored(1), [], "an old ticket");
  assert.deepEqual(side.stored(2), ["q2 2 b", "q1 3 c"]);
  assert.deepEqual(side.ack("pubrec", 2), ["store 3"]);
  assert.deepEqual(side.ack("pubrec", 1), []);
  assert.deepEqual(side.stored(3), ["pubrel 2 0", "store 4"]);
  side.disconnect();
  side.stored(4);
  assert.deepEqual(side.connect({ durable: true }), ["pubrel 2 0", "pubrel 1 0", "fetch 3@2"]);
});

test("a snapshot holds what is not settled, and a session comes back from it", () => {
  const side = new Side();
  side.connect({ durable: true, receiveMax: 3 });
  side.offer("a", 1);
  side.offer("b", 2);
  side.stored(1);
  side.offer("gone with the hub", 2, { cursor: null });
  side.stored(2);
  side.ack("pubrec", 2);
  side.offer("waits", 1);
  const stored = side.snapshot();
  assert.deepEqual(stored.positions, [{ topic: "h", partition: 0, group: "", next: 3 }]);
  const flights = stored.flights.map(({ packetId, released, position, offset }) => [
    packetId,
    released,
    position,
    offset,
  ]);
  // of a QoS 2 message of no log, at least its id is completed: the client may hold it
  assert.deepEqual(flights, [
    [3, true, -1, 2],
    [2, true, 0, 1],
    [1, false, 0, 0],
  ]);

  const next = new Side(stored);
  next.tail = 4;
  assert.deepEqual(next.connect({ durable: true }), ["pubrel 3 0", "pubrel 2 0", "fetch 1@0"]);
  assert.equal(next.cursor.attached, false);
  assert.deepEqual(next.fetched(1, "a"), ["q1 1 dup a"]);
  const waits = { ...next.delivery("waits", 1), offset: 3 };
  assert.deepEqual(
    next.run((out) => next.outbound.catchUp(waits, 0, out)),
    ["q1 4 waits"],
  );
});

test("a session that does not keep up is refused, reads by itself and joins the tail again, nothing lost", () => {
  const side = new Side();
  side.connect({ receiveMax: 1 });
  let refused = 0;
  const total = limits.mqttOutPendingMax + 50;
  for (let at = 0; at < total; at++) if (side.offer(`m${at}`, 1).includes("refused")) refused++;
  assert.equal(refused, 49, "one in flight, the bound's number waiting");
  assert.equal(side.cursor.attached, false);
  const first = side.cursor.next;
  assert.equal(first, limits.mqttOutPendingMax + 1);
  const seen: string[] = ["q1 1 m0"];
  let more = false;
  for (let id = 1; seen.length < total; id++) {
    for (const effect of side.ack("puback", id)) effect === "more" ? (more = true) : seen.push(effect);
    if (!more || side.cursor.attached) continue;
    more = false;
    while (side.cursor.next < side.tail) {
      const offset = side.cursor.next;
      const delivery = { ...side.delivery(`m${offset}`, 1), offset };
      side.tail--;
      side.run((out) => side.outbound.catchUp(delivery, 0, out));
    }
    assert.equal(side.outbound.cursors.attach(side.cursor, side.tail), true);
  }
  assert.deepEqual(
    seen.map((line) => line.split(" ")[2]),
    Array.from({ length: total }, (_, at) => `m${at}`),
  );
});

test("while a session is behind, the shared tail gives it nothing", () => {
  const side = new Side();
  side.tail = 5;
  side.connect();
  assert.equal(side.cursor.attached, false);
  assert.deepEqual(side.offer("too early", 1), ["refused"]);
  assert.equal(side.cursor.next, 0);
  assert.equal(side.outbound.cursors.attach(side.cursor, 5), false);
  side.outbound.advance(side.cursor, 5);
  assert.equal(side.outbound.cursors.attach(side.cursor, 5), true);
});

test("QoS 0 is skipped while the socket is full, QoS 1 waits", () => {
  const side = new Side();
  side.connect();
  side.run((out) => side.outbound.onWritable(false, 0, out));
  assert.deepEqual(side.offer("a", 0), []);
  assert.deepEqual(side.offer("b", 1), []);
  assert.equal(side.outbound.counts.skipped, 1);
  assert.deepEqual(
    side.run((out) => side.outbound.onWritable(true, 0, out)),
    ["q1 1 b"],
  );
});

test("unacknowledged bytes are bounded, one large message goes alone", () => {
  const side = new Side();
  side.connect();
  const large = "x".repeat(limits.mqttOutInFlightBytesMax);
  assert.equal(side.offer(large, 1).length, 1);
  assert.deepEqual(side.offer("small", 1), []);
  assert.deepEqual(side.ack("puback", 1), ["q1 2 small"]);
});

test("a message that expired before it was sent is dropped, one that was sent is not [MQTT-4.3.3-7]", () => {
  const side = new Side();
  side.connect({ receiveMax: 1 });
  assert.deepEqual(side.offer("a", 1, { cursor: null }, { expiresAt: 2_500 }), ["q1 1 a for 3"]);
  side.offer("b", 1, {}, { expiresAt: 2_000 });
  side.offer("c", 1, {}, { expiresAt: 3_001 });
  side.now = 2_000;
  assert.deepEqual(side.ack("puback", 1), ["q1 3 c for 2"]);
  assert.deepEqual(side.offer("d", 0, {}, { expiresAt: 2_000 }), []);
  assert.equal(side.outbound.counts.expired, 2);
  side.ack("puback", 3);
  side.offer("e", 1, { cursor: null }, { expiresAt: 2_001 });
  side.disconnect();
  side.now = 9_000;
  assert.deepEqual(side.connect(), ["q1 4 dup e for 0"]);
});

test("many expired messages in a row do not stop those behind them", () => {
  const side = new Side();
  side.connect({ receiveMax: 2 });
  side.offer("a", 1);
  side.offer("b", 1);
  for (let at = 0; at < 20; at++) side.offer("old", 1, {}, { expiresAt: 1 });
  side.offer("c", 1);
  side.now = 5;
  assert.deepEqual(
    side.ack("puback", 1).map((line) => line.split(" ")[2]),
    ["c"],
  );
  assert.equal(side.outbound.counts.expired, 20);
});

test("a message over the client's packet size counts as sent [MQTT-3.1.2-25]", () => {
  const side = new Side();
  side.connect({ packetBytesMax: 13 });
  assert.deepEqual(side.offer("123456", 1), []);
  assert.deepEqual(side.offer("12345", 1), ["q1 2 12345"]);
  assert.deepEqual(side.offer("12345678", 0), []);
  assert.equal(side.outbound.counts.tooLarge, 2);
  assert.equal(side.outbound.inFlight, 1);
});

test("topic aliases within the client's maximum; the least recently used goes; none over a reconnect", () => {
  const side = new Side();
  side.connect({ aliasMax: 2 });
  const topic = (name: string) => side.offer("x", 0, {}, { topic: name })[0]!.split(" ").at(-1);
  assert.deepEqual(["a", "b", "a", "c", "a", "b"].map(topic), ["a=1", "b=2", "=1", "c=2", "=1", "b=2"]);
  side.disconnect();
  side.connect({ aliasMax: 2 });
  assert.equal(topic("a"), "a=1");
  side.disconnect();
  side.connect({ aliasMax: 2, version: 4 });
  assert.equal(topic("a"), "x", "3.1.1 has none");
});

test("what no log holds is queued within bounds, and the shared memory is given back", () => {
  const side = new Side();
  const name = "x".repeat(100);
  const queue = (qos: 0 | 1 | 2) =>
    side.run((out) => side.outbound.queue(side.delivery(name, qos, { cursor: null }), 0, out));
  for (let at = 0; at < limits.mqttQueuedPerSessionMax + 5; at++) queue(1);
  queue(0);
  assert.deepEqual([side.outbound.queued, side.outbound.counts.dropped, side.outbound.counts.skipped], [1_000, 5, 1]);
  assert.ok(side.budget.used > 1_000 * 100);
  assert.equal(side.connect({ receiveMax: 600 }).length, 600);
  side.outbound.clear();
  assert.equal(side.budget.used, 0);
  side.budget.used = side.budget.max;
  queue(1);
  assert.equal(side.outbound.counts.dropped, 6);
});

test("retained messages that were handed over and not sent are kept when the connection ends", () => {
  const side = new Side();
  side.connect({ receiveMax: 1 });
  side.offer("a", 1, { cursor: null });
  side.offer("b", 1, { cursor: null });
  side.disconnect();
  assert.deepEqual(side.connect(), ["q1 1 dup a", "q1 2 b"]);
});

test("QoS 0 of the time when the client was away is not sent, that of now is", () => {
  const side = new Side();
  side.tail = 2;
  side.connect();
  const read = (offset: number, qos: 0 | 1) => {
    const delivery = { ...side.delivery(`m${offset}`, qos), offset };
    side.tail--;
    return side.run((out) => side.outbound.catchUp(delivery, 0, out));
  };
  assert.deepEqual([read(0, 0), read(1, 1), read(2, 0)], [[], ["q1 1 m1"], ["q0 0 m2"]]);
  assert.equal(side.outbound.counts.skipped, 0);
});

test("what got an id and was never sent goes back to its place in the log when the connection ends", () => {
  const side = new Side();
  side.connect({ durable: true });
  side.offer("a", 1);
  assert.deepEqual(side.offer("b", 2), ["store 1"]);
  side.offer("c", 1);
  side.disconnect();
  assert.deepEqual([side.cursor.next, side.outbound.inFlight], [1, 1]);
  side.stored(1);
  assert.deepEqual(side.connect({ durable: true }), ["fetch 1@0"]);
});

test("a record that is being handed out counts as taken, though the tail has not moved on yet", () => {
  const side = new Side();
  side.connect({ durable: true });
  const delivery = side.delivery("a", 2);
  side.tail = 0;
  side.run((out) => side.outbound.offer(delivery, 0, out));
  assert.equal(side.snapshot().positions[0]!.next, 1);
});

test("a partition of a group: what is settled can be committed, what is not goes to the next member", () => {
  const side = new Side();
  side.connect({ receiveMax: 3 });
  const cursor = side.outbound.cursors.open("h", 0, 10, "workers")!;
  assert.notEqual(cursor, side.cursor, "the session's own reading of the partition is another");
  const read = (offset: number, qos: 1 | 2) => {
    const delivery: Delivery = { ...side.delivery(`g${offset}`, qos), cursor, offset };
    return side.run((out) => side.outbound.catchUp(delivery, 0, out));
  };
  const settled = () => side.outbound.settled(cursor, () => 0);
  assert.equal(settled(), 10);
  for (const [offset, qos] of [
    [10, 1],
    [11, 2],
    [12, 1],
    [13, 1],
  ] as const)
    read(offset, qos);
  assert.equal(settled(), 10);
  side.ack("puback", 3);
  assert.equal(settled(), 10);
  side.ack("puback", 1);
  assert.equal(settled(), 11);
  read(14, 2);
  read(15, 1);
  side.disconnect();
  // 13 was never acknowledged, 15 never sent; the client completes 11 and 14 when it is back [MQTT-4.8.2-4]
  assert.deepEqual(
    side.outbound.handOver(cursor, () => 0),
    { next: 13, taken: [14] },
  );
  assert.equal(side.outbound.cursors.get("h", 0, "workers"), undefined);
  assert.deepEqual(side.connect(), ["fetch 2@11,5@14"]);
  assert.equal(side.outbound.inFlight, 2);
});

test("a partition of a group that goes to another member while the client is there: nothing waits for it here", () => {
  const side = new Side();
  side.connect({ receiveMax: 1 });
  const cursor = side.outbound.cursors.open("h", 0, 0, "workers")!;
  for (const offset of [0, 1, 2]) {
    const delivery: Delivery = { ...side.delivery("x", 1), cursor, offset };
    side.run((out) => side.outbound.catchUp(delivery, 0, out));
  }
  assert.deepEqual(
    side.outbound.handOver(cursor, () => 0),
    { next: 0, taken: [] },
  );
  assert.deepEqual(side.ack("puback", 1), [], "1 and 2 went back");
  assert.equal(side.outbound.inFlight, 0);
});

test("a session that ended leaves to its group what its client did not get, and what nobody else is to get", () => {
  const side = new Side();
  side.connect({ receiveMax: 3 });
  const cursor = side.outbound.cursors.open("h", 0, 10, "workers")!;
  for (const [offset, qos] of [
    [10, 1],
    [11, 2],
    [12, 1],
    [13, 2],
  ] as const) {
    const delivery: Delivery = { ...side.delivery("x", qos), cursor, offset };
    side.run((out) => side.outbound.catchUp(delivery, 0, out));
  }
  side.ack("puback", 1);
  side.disconnect();
  side.outbound.clear();
  const left = { next: 12, taken: [13] };
  assert.deepEqual(
    side.outbound.handOver(cursor, () => 0),
    left,
  );
});
