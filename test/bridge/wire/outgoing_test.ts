// PUBLISH going out: one message for many subscribers, the same bytes as the plain encoder, gathered for one write.
import assert from "node:assert/strict";
import test from "node:test";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameBatch, OutgoingMessage, plainDelivery, sizeOf } from "../../../bridge/wire/outgoing.ts";
import type { Properties, Publish, Version } from "../../../bridge/wire/packet.ts";
import { decodeFrame, plain } from "./bytes.ts";
import { bytes, Dice, packet, properties, seedsOf, topic } from "./random.ts";

const joined = (batch: FrameBatch): Buffer => Buffer.concat(batch.take());

test("FrameBatch.publish writes what encodePacket writes, with the delivery's own parts", () => {
  for (const seed of seedsOf(2000)) {
    const dice = new Dice(seed);
    const version: Version = dice.chance(0.7) ? 5 : 4;
    const share = dice.pick([0, 0.3]);
    const { topicAlias: _, subscriptionIds: __, messageExpiry: ___, ...same } = properties(dice, 3, "server", share);
    const message = new OutgoingMessage(topic(dice), bytes(dice), same);
    const qos = dice.pick([0, 0, 1, 2] as const);
    const topicAlias = version === 5 && dice.chance(0.3) ? dice.between(1, 65_535) : 0;
    const delivery = {
      qos,
      retain: dice.chance(0.3),
      dup: qos > 0 && dice.chance(0.3),
      packetId: qos > 0 ? dice.between(1, 65_535) : 0,
      topicAlias,
      topicKnown: topicAlias > 0 && dice.chance(0.5),
      subscriptionIds: version === 5 && dice.chance(0.3) ? [dice.between(1, 268_435_455), 7] : [],
      messageExpiry: version === 5 && dice.chance(0.3) ? dice.between(0, 4_294_967_295) : undefined,
    };
    const own: Properties = {
      ...same,
      ...(topicAlias > 0 ? { topicAlias } : {}),
      ...(delivery.subscriptionIds.length > 0 ? { subscriptionIds: delivery.subscriptionIds } : {}),
      ...(delivery.messageExpiry === undefined ? {} : { messageExpiry: delivery.messageExpiry }),
    };
    const name = message.topic.toString("utf8", 2);
    const { qos: _qos, retain, dup, packetId } = delivery;
    const { payload } = message;
    const wanted: Publish = {
      kind: "publish",
      topic: delivery.topicKnown ? "" : name,
      payload,
      qos,
      retain,
      dup,
      packetId,
      properties: version === 5 ? own : {},
    };
    const batch = new FrameBatch();
    assert.ok(batch.publish(message, version, delivery));
    const frame = joined(batch);
    const context = `MQTT_SEED=${seed}`;
    assert.deepEqual(plain(decodeFrame(frame, version, "server")), plain(wanted), context);
    assert.equal(frame.length, encodePacket(wanted, version)!.length, context);
    assert.equal(sizeOf(message, version, delivery), frame.length, context);
  }
});

test("FrameBatch.publish adds nothing that the receiver does not take", () => {
  const message = new OutgoingMessage("t", Buffer.alloc(100), {});
  for (const delivery of [plainDelivery, { ...plainDelivery, qos: 1, packetId: 1 } as const]) {
    const size = sizeOf(message, 5, delivery);
    const batch = new FrameBatch();
    assert.equal(batch.publish(message, 5, delivery, size - 1), false);
    assert.equal(batch.length, 0);
    assert.deepEqual(batch.take(), []);
    assert.equal(batch.publish(message, 5, delivery, size), true);
    assert.equal(batch.length, size);
  }
});

test("FrameBatch keeps frames in order over blocks, and gives a large payload by reference", () => {
  const batch = new FrameBatch();
  const wanted: Buffer[] = [];
  const large = Buffer.alloc(100_000, 9);
  for (let at = 0; at < 3000; at++) {
    const dice = new Dice(at);
    if (at % 500 === 0) {
      const message = new OutgoingMessage("large", large, {});
      batch.publish(message, 4, { ...plainDelivery, qos: 1, packetId: 7 });
      wanted.push(Buffer.concat([Buffer.from("32a98d060005", "hex"), Buffer.from("large"), Buffer.of(0, 7), large]));
    } else if (at % 3 === 0) {
      batch.acknowledge("puback", at);
      wanted.push(Buffer.of(0x40, 2, at >>> 8, at & 255));
    } else {
      const frame = encodePacket(packet(dice, 5, "server"), 5)!;
      batch.frame(frame);
      wanted.push(Buffer.from(frame));
    }
  }
  const length = wanted.reduce((sum, each) => sum + each.length, 0);
  assert.equal(batch.length, length);
  const chunks = batch.take();
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat(wanted)));
  assert.ok(chunks.some((chunk) => chunk.buffer === large.buffer && chunk.length === large.length));
  assert.ok(chunks.length < 700, `${chunks.length} chunks`);
  assert.equal(batch.length, 0);
  assert.deepEqual(batch.take(), [], "the batch is empty after take");
});

test("FrameBatch.take gives bytes that later frames do not touch", () => {
  const batch = new FrameBatch();
  batch.acknowledge("pubrel", 1);
  const [first] = batch.take();
  batch.acknowledge("pubcomp", 2);
  const [second] = batch.take();
  assert.equal(first!.toString("hex"), "62020001");
  assert.equal(second!.toString("hex"), "70020002");
});

test("from the second subscriber on a QoS 0 frame is made once for all of a version", () => {
  const message = new OutgoingMessage("t", Buffer.from("p"), { contentType: "c" });
  assert.equal(message.plain(5, false), null);
  assert.equal(message.plain(5, false), message.plain(5, false));
  assert.equal(message.plain(4, false)!.toString("hex"), "3004000174" + "70");
  assert.equal(message.plain(4, true)![0], 0x31);
  assert.equal(message.plain(5, false)!.toString("hex"), "300900017404030001" + "6370");
});

test("a QoS 0 frame is the same for the first subscriber and for others, and a batch of small frames is one chunk", () => {
  const message = new OutgoingMessage("t", Buffer.alloc(300, 1), { contentType: "c" });
  const [first, second, many] = [new FrameBatch(), new FrameBatch(), new FrameBatch()];
  first.publish(message, 5, plainDelivery);
  second.publish(message, 5, plainDelivery);
  const frame = Buffer.concat(first.take());
  assert.deepEqual(Buffer.concat(second.take()), frame);
  for (let count = 0; count < 20; count++) many.publish(message, 5, plainDelivery);
  const chunks = many.take();
  assert.equal(chunks.length, 1);
  assert.deepEqual(chunks[0], Buffer.concat(new Array<Buffer>(20).fill(frame)));
});

test("FrameBatch.publish refuses what no PUBLISH can say", () => {
  const message = new OutgoingMessage("t", Buffer.from("p"), {});
  for (const wrong of [
    { qos: 1 },
    { packetId: 1 },
    { qos: 1, packetId: 65_536 },
    { dup: true },
    { topicKnown: true },
    { topicAlias: 65_536 },
  ] as const) {
    assert.throws(() => new FrameBatch().publish(message, 5, { ...plainDelivery, ...wrong }), RangeError);
  }
  for (const topic of ["a\0", "a\ud800", "", "a/#", "x".repeat(65_536)]) {
    assert.throws(() => new OutgoingMessage(topic, Buffer.alloc(0), {}), RangeError);
  }
});
