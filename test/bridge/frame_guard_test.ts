// The frame guard: sizes refused at the header, protocols refused at the CONNECT, however the bytes are cut.
import assert from "node:assert/strict";
import test from "node:test";
import { FrameGuard, type GuardRefusal } from "../../bridge/frame_guard.ts";
import { connectFrame, frame, publishFrame } from "./raw_client.ts";

function scan(bytes: Uint8Array, cut: number, most = 1_000): GuardRefusal | null {
  const guard = new FrameGuard(most);
  for (let at = 0; at < bytes.length; at += cut) {
    const refusal = guard.scan(bytes.subarray(at, at + cut));
    if (refusal !== null) return refusal;
  }
  return null;
}

const connect = (name: string, level: number): Uint8Array => connectFrame("c", { name, level });

test("FrameGuard lets good streams pass however they are cut", () => {
  const good = Buffer.concat([
    connect("MQTT", 4),
    frame(0xc0),
    publishFrame("a/b", "x".repeat(900), { qos: 1, id: 7 }),
    frame(0xc0),
    publishFrame("a", "", {}),
    frame(0xe0),
  ]);
  for (let cut = 1; cut <= good.length; cut++) assert.equal(scan(good, cut), null, `cut ${cut}`);
});

test("FrameGuard refuses a packet at its header, before its body", () => {
  for (const length of [1_001, 65_536, 268_435_455]) {
    const bytes = [0x30];
    for (let left = length; ; left = Math.floor(left / 128)) {
      bytes.push((left % 128) | (left > 127 ? 128 : 0));
      if (left <= 127) break;
    }
    for (const cut of [1, 2, 100]) {
      const refusal = scan(Buffer.concat([connect("MQTT", 4), Uint8Array.from(bytes)]), cut);
      assert.equal(refusal?.reason, "packet-too-large", `${length}`);
    }
  }
  assert.equal(scan(Uint8Array.of(0x10, 0xff, 0xff, 0x7f), 1)?.reason, "packet-too-large");
  const endless = Buffer.concat([connect("MQTT", 4), Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 1)]);
  assert.equal(scan(endless, 1)?.reason, "malformed-length");
});

test("FrameGuard answers old and new protocols with their own refusal", () => {
  for (const cut of [1, 3, 100]) {
    const refused = (name: string, level: number): number[] | undefined => {
      const refusal = scan(connect(name, level), cut);
      assert.equal(refusal?.reason, "protocol-version");
      return refusal && [...refusal.answer];
    };
    assert.deepEqual(refused("MQIsdp", 3), [0x20, 2, 0, 1]);
    assert.deepEqual(refused("MQTT", 3), [0x20, 2, 0, 1]);
    assert.deepEqual(refused("MQTT", 6), [0x20, 2, 0, 1]);
    assert.deepEqual(refused("MQTT", 5), [0x20, 3, 0, 0x84, 0]);
  }
});

test("FrameGuard closes what does not begin with an MQTT CONNECT", () => {
  const others: Uint8Array[] = [
    Buffer.from("GET / HTTP/1.1\r\n"),
    frame(0xc0),
    publishFrame("a", "x", {}),
    Uint8Array.of(0x10, 0),
    Uint8Array.of(0x10, 3, 0, 4, 0x4d),
    connect("MQTX", 4),
    connect("HTTP", 4),
    connect("MQIsdq", 3),
    connect("", 4),
    connect("a long name that is none", 4),
  ];
  for (const bytes of others) {
    for (const cut of [1, 2, 100]) {
      const refusal = scan(bytes, cut);
      assert.equal(refusal?.reason, "not-connect", Buffer.from(bytes).toString("latin1"));
      assert.equal(refusal.answer.length, 0);
    }
  }
});
