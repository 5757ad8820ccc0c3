// PUBLISH values of many subscribers: each frame as if it were encoded alone, the message encoded once.
import assert from "node:assert/strict";
import test from "node:test";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameBatch } from "../../../bridge/wire/outgoing.ts";
import type { Properties, Publish, Version } from "../../../bridge/wire/packet.ts";
import { PublishEncoder } from "../../../bridge/wire/publish_encoder.ts";
import { decodeFrame, plain } from "./bytes.ts";
import { bytes, Dice, properties, seedsOf, topic } from "./random.ts";

/** A delivery of one message, as a session makes it. */
function deliver(dice: Dice, version: Version, name: string, payload: Uint8Array, same: Properties): Publish {
  const qos = dice.pick([0, 1, 2] as const);
  const alias = version === 5 && dice.chance(0.3) ? dice.between(1, 65_535) : 0;
  const own: Properties = {
    ...same,
    ...(alias > 0 ? { topicAlias: alias } : {}),
    ...(dice.chance(0.3) ? { subscriptionIds: [dice.between(1, 9)] } : {}),
    ...(dice.chance(0.3) ? { messageExpiry: dice.between(0, 100) } : {}),
  };
  return {
    kind: "publish",
    topic: alias > 0 && dice.chance(0.5) ? "" : name,
    payload,
    qos,
    retain: dice.chance(0.3),
    dup: qos > 0 && dice.chance(0.2),
    packetId: qos > 0 ? dice.between(1, 65_535) : 0,
    properties: version === 5 ? (dice.chance(0.3) ? same : own) : {},
  };
}

test("PublishEncoder writes for each subscriber what encodePacket would", () => {
  for (const seed of seedsOf(300)) {
    const dice = new Dice(seed);
    const encoder = new PublishEncoder();
    for (let message = 0; message < 3; message++) {
      const name = topic(dice);
      const payload = bytes(dice);
      const { topicAlias, subscriptionIds, messageExpiry, ...same } = properties(dice, 3, "server", 0.3);
      for (let subscriber = 0; subscriber < 6; subscriber++) {
        const version: Version = dice.chance(0.7) ? 5 : 4;
        const packet = deliver(dice, version, name, payload, same);
        // an alias stands for the topic only where there is one
        if (packet.topic === "" && packet.properties.topicAlias === undefined) continue;
        const batch = new FrameBatch();
        assert.ok(encoder.add(batch, packet, version));
        const frame = Buffer.concat(batch.take());
        assert.deepEqual(plain(decodeFrame(frame, version, "server")), plain(packet), `MQTT_SEED=${seed}`);
        assert.equal(frame.length, encodePacket(packet, version)!.length, `MQTT_SEED=${seed}`);
      }
    }
  }
});

const packet = (more: Partial<Publish>): Publish => ({
  kind: "publish",
  topic: "t",
  payload: Buffer.alloc(0),
  qos: 1,
  retain: false,
  dup: false,
  packetId: 1,
  properties: {},
  ...more,
});

test("PublishEncoder encodes a message once for its subscribers, and anew for another", () => {
  const encoder = new PublishEncoder();
  const batch = new FrameBatch();
  const payload = Buffer.from("p");
  const userProperties = [["a", "b"]] as const;
  const steps: readonly (readonly [more: Partial<Publish>, encoded: number, version?: Version])[] = [
    [{ payload, properties: { userProperties } }, 1],
    [{ payload, properties: { userProperties }, packetId: 2 }, 1],
    [{ payload, properties: { userProperties, topicAlias: 3, subscriptionIds: [1], messageExpiry: 9 } }, 1],
    [{ payload, properties: { userProperties, topicAlias: 3 }, topic: "" }, 1],
    [{ payload, properties: {} }, 1, 4],
    [{ payload, properties: { userProperties }, packetId: 3 }, 1],
    [{ payload, properties: { userProperties: [["a", "c"]] } }, 2],
    [{ payload, properties: {} }, 3],
    [{ payload, properties: {}, topic: "other" }, 4],
    [{ payload: Buffer.from("p"), properties: {}, topic: "other" }, 5],
  ];
  for (const [more, encoded, version = 5] of steps) {
    assert.ok(encoder.add(batch, packet(more), version));
    assert.equal(encoder.encoded, encoded, JSON.stringify(more));
  }
});

test("PublishEncoder adds nothing that the receiver does not take", () => {
  const batch = new FrameBatch();
  const value = packet({ payload: Buffer.alloc(50) });
  const size = encodePacket(value, 5)!.length;
  assert.equal(new PublishEncoder().add(batch, value, 5, size - 1), false);
  assert.equal(batch.length, 0);
  assert.equal(new PublishEncoder().add(batch, value, 5, size), true);
  assert.equal(batch.length, size);
});
