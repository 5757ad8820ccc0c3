// PUBLISH in place: its parts, its topic from the memo, its properties only where asked for.
import assert from "node:assert/strict";
import test from "node:test";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import type { Version } from "../../../bridge/wire/packet.ts";
import { PublishView, TopicMemo } from "../../../bridge/wire/publish.ts";
import { hex, plain, problemOf } from "./bytes.ts";
import { Dice, packet, seedsOf } from "./random.ts";

test("PublishView finds the parts without copying them", () => {
  const bytes = hex("ffff 0003 'a/b' 000a 'payload' ffff");
  const view = new PublishView();
  view.look(bytes, 0b1011, 2, bytes.length - 2, 4);
  assert.deepEqual([view.qos, view.retain, view.dup, view.packetId], [1, true, true, 10]);
  assert.equal(bytes.toString("utf8", view.topicStart, view.topicEnd), "a/b");
  assert.equal(view.hasProperties, false);
  const payload = view.payload();
  assert.equal(payload.buffer, bytes.buffer);
  assert.equal(Buffer.from(payload).toString(), "payload");
});

test("PublishView says what decodePacket says, for random PUBLISHes through one view and one memo", () => {
  const view = new PublishView();
  const memo = new TopicMemo(64);
  let seen = 0;
  for (const seed of seedsOf(4000)) {
    const dice = new Dice(seed);
    const version: Version = dice.chance(0.6) ? 5 : 4;
    const sender = dice.chance(0.5) ? "client" : "server";
    const value = packet(dice, version, sender);
    if (value.kind !== "publish") continue;
    seen++;
    const scanner = new FrameScanner(1_000_000);
    scanner.push(encodePacket(value, version)!);
    assert.ok(scanner.next());
    const { bytes, flags, start, end } = scanner;
    view.look(bytes, flags, start, end, version);
    const decoded = view.decode(sender, memo);
    assert.deepEqual(plain(decoded), plain(value), `MQTT_SEED=${seed}`);
    assert.deepEqual(plain(decodePacket(3, flags, bytes, start, end, version, sender)), plain(value));
    assert.equal(view.hasProperties, Object.keys(value.properties).length > 0);
  }
  if (process.env["MQTT_SEED"] === undefined) assert.ok(seen > 200);
});

test("PublishView refuses an empty topic without an alias when its properties are read", () => {
  const view = new PublishView();
  const bytes = hex("0000 02 0101");
  view.look(bytes, 0, 0, bytes.length, 5);
  assert.equal(view.topic(new TopicMemo(1)), "");
  assert.match(problemOf(() => view.properties("client")).message, /no topic alias/);
});

test("PublishView does not look beyond its packet, though the next one stands there", () => {
  const view = new PublishView();
  // the last byte of each packet, and what follows it
  for (const [packet, next] of [
    ["0001 't' 05 0101", "020000"],
    ["0001 't' 05", "0101 020000"],
    ["0005 't'", "0102030405 00"],
    ["00", "01 't' 00"],
    ["", "0001 't' 00"],
  ] as const) {
    const bytes = hex(`${packet} ${next}`);
    const end = hex(packet).length;
    assert.match(problemOf(() => view.look(bytes, 0, 0, end, 5)).message, /the packet ends within/, packet);
  }
});

test("TopicMemo gives the same string for the same bytes, and checks what it has not seen", () => {
  const memo = new TopicMemo(8);
  const at = (source: string): string => {
    const bytes = hex(source);
    return memo.topic(bytes, 0, bytes.length, 5);
  };
  assert.equal(at("'a/é'"), "a/é");
  assert.equal(at("'a/é'"), "a/é");
  for (let again = 0; again < 2; again++) {
    assert.equal(problemOf(() => at("'a/+'")).code, 0x90);
    assert.equal(problemOf(() => at("'a' 00")).code, 0x81);
    assert.equal(problemOf(() => at("'a' ff")).code, 0x81);
  }
});

test("TopicMemo stays right when topics displace each other", () => {
  const memo = new TopicMemo(4);
  for (const seed of seedsOf(3000)) {
    const dice = new Dice(seed);
    const topic = `${dice.pick(["s", "sensors", "ü"])}/${dice.below(12)}/${"x".repeat(dice.pick([0, 1, 300]))}`;
    const bytes = Buffer.from(topic);
    assert.equal(memo.topic(bytes, 0, bytes.length, 4), topic, `MQTT_SEED=${seed}`);
  }
});

test("TopicMemo does not keep the buffer a topic was read from", () => {
  const memo = new TopicMemo(1);
  const bytes = Buffer.from("topic");
  memo.topic(bytes, 0, 5, 4);
  bytes.write("other");
  assert.equal(memo.topic(bytes, 0, 5, 4), "other");
  assert.throws(() => new TopicMemo(3), RangeError);
});
