// The frame scanner: packets however the bytes are cut, sizes refused at the header, memory bounded.
import assert from "node:assert/strict";
import test from "node:test";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import { Reason } from "../../../bridge/wire/packet.ts";
import { frame, hex, problemOf } from "./bytes.ts";
import { Dice, seedsOf } from "./random.ts";

/** What a scanner finds when the stream comes in pieces, each in the same buffer, as from one socket after another. */
function scan(stream: Buffer, piece: () => number, scanner = new FrameScanner(100_000)): string[] {
  const shared = Buffer.alloc(stream.length + 1);
  const found: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const length = Math.min(piece(), stream.length - at);
    stream.copy(shared, 0, at, at + length);
    scanner.push(shared.subarray(0, length));
    while (scanner.next()) {
      const body = scanner.bytes.toString("hex", scanner.start, scanner.end);
      found.push(`${scanner.type} ${scanner.flags} ${body}`);
    }
    shared.fill(0xee);
    at += length;
  }
  return found;
}

const bodies = [0, 1, 5, 127, 128, 300, 16_383, 16_384].map((length, at) => Buffer.alloc(length, at + 1));
const stream = Buffer.concat(bodies.map((body, at) => frame(((at + 1) << 4) | at, body)));
const whole = bodies.map((body, at) => `${at + 1} ${at} ${body.toString("hex")}`);

test("FrameScanner finds the same packets however the bytes are cut", () => {
  for (const piece of [1, 2, 3, 5, 100, 4096, stream.length])
    assert.deepEqual(
      scan(stream, () => piece),
      whole,
    );
  for (const seed of seedsOf(60)) {
    const dice = new Dice(seed);
    const found = scan(stream, () => dice.pick([1, 2, 7, 130, 20_000]));
    assert.deepEqual(found, whole, `MQTT_SEED=${seed}`);
  }
});

test("FrameScanner does not copy a packet that one read holds whole", () => {
  const scanner = new FrameScanner(100);
  const read = Buffer.concat([frame(0x30, Buffer.from("abc")), frame(0xc0, Buffer.alloc(0))]);
  scanner.push(read);
  assert.ok(scanner.next());
  assert.equal(scanner.bytes, read);
  assert.deepEqual([scanner.start, scanner.end], [2, 5]);
  assert.ok(scanner.next());
  assert.equal(scanner.bytes, read);
  assert.equal(scanner.next(), false);
  assert.notEqual(scanner.bytes, read, "the read buffer is free");
  assert.equal(scanner.carried, 0);
});

test("FrameScanner refuses a packet that is too large at its header, before its body", () => {
  const header = frame(0x30, Buffer.alloc(999)).subarray(0, 3);
  for (const [maximum, piece] of [
    [1001, 1],
    [1001, 3],
    [3, 2],
  ] as const) {
    const problem = problemOf(() => scan(header, () => piece, new FrameScanner(maximum)));
    assert.equal(problem.code, Reason.packetTooLarge);
    assert.match(problem.message, /1002 bytes/);
  }
  assert.deepEqual(
    scan(header, () => 3, new FrameScanner(1002)),
    [],
    "exactly the maximum is taken",
  );
});

test("FrameScanner refuses a remaining length of five bytes and the reserved type 0", () => {
  for (const piece of [1, 2, 6]) {
    const long = problemOf(() => scan(hex("30 8080808001 00"), () => piece));
    assert.equal(long.code, Reason.malformedPacket);
    assert.equal(problemOf(() => scan(hex("00 00"), () => piece)).code, Reason.malformedPacket);
  }
});

function paddedOf(frame: Buffer): boolean {
  const scanner = new FrameScanner(100);
  scanner.push(frame);
  assert.ok(scanner.next());
  return scanner.padded;
}

test("FrameScanner takes a padded remaining length in 3.1.1, and refuses it in 5", () => {
  const padded = hex("c0 808000 c0 00");
  for (const piece of [1, 4, 6]) {
    assert.deepEqual(
      scan(padded, () => piece),
      ["12 0 ", "12 0 "],
    );
    assert.equal(paddedOf(padded), true);
    assert.equal(paddedOf(hex("c0 00")), false);
    const strict = new FrameScanner(100);
    strict.strict = true;
    const problem = problemOf(() => scan(padded, () => piece, strict));
    assert.match(problem.message, /\[MQTT-1\.5\.5-1\]$/);
  }
});

test("FrameScanner keeps at most twice what it received of a packet", () => {
  const scanner = new FrameScanner(1_000_000);
  const large = frame(0x30, Buffer.alloc(900_000));
  for (let at = 0; at < 10_000; at += 100) {
    scanner.push(large.subarray(at, at + 100));
    assert.equal(scanner.next(), false);
    assert.ok(scanner.carried <= Math.max(512, 2 * (at + 100)), `${scanner.carried} at ${at}`);
  }
  scanner.push(large.subarray(10_000));
  assert.ok(scanner.next());
  assert.equal(scanner.end - scanner.start, 900_000);
  assert.equal(scanner.next(), false);
  assert.equal(scanner.carried, 0, "nothing is kept of a packet that is done");
});

test("FrameScanner goes on after hold from a copy", () => {
  const scanner = new FrameScanner(1000);
  const read = Buffer.concat([frame(0x30, Buffer.from("a")), frame(0x31, Buffer.from("b")), Buffer.of(0x32, 1)]);
  scanner.push(read);
  assert.ok(scanner.next());
  scanner.hold();
  read.fill(0);
  assert.throws(() => scanner.push(read), /used up/);
  assert.ok(scanner.next());
  assert.equal(scanner.bytes.toString("utf8", scanner.start, scanner.end), "b");
  assert.equal(scanner.next(), false);
  scanner.push(Buffer.from("c"));
  assert.ok(scanner.next());
  assert.equal(`${scanner.flags} ${scanner.bytes.toString("utf8", scanner.start, scanner.end)}`, "2 c");
});
