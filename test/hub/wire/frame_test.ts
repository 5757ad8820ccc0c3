// The frame splitter and the headers: frames split anywhere, size bombs, both header forms.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import { Reader } from "../../../hub/bytes/reader.ts";
import { Writer } from "../../../hub/bytes/writer.ts";
import { HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";
import { FrameSplitter, readRequestHeader, readResponseHeader } from "../../../hub/wire/frame.ts";
import { skipTags, writeRequestHeader, writeResponseHeader } from "../../../hub/wire/frame.ts";

function framed(...bodies: Uint8Array[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      return [size, body];
    }),
  );
}

function push(splitter: FrameSplitter, chunk: Uint8Array): string[] {
  const frames: string[] = [];
  splitter.push(chunk);
  for (let frame = splitter.next(); frame !== null; frame = splitter.next()) {
    frames.push(Buffer.from(frame).toString("hex"));
  }
  return frames;
}

const bodies = [Buffer.from("0102030405", "hex"), Buffer.alloc(0), Buffer.from("ff", "hex"), Buffer.alloc(300, 9)];
const expected = bodies.map((body) => body.toString("hex"));

test("frames come out whole however the stream is cut in two or three", () => {
  const stream = framed(...bodies);
  for (let one = 0; one <= stream.length; one += 1) {
    for (let two = one; two <= stream.length; two += one < 24 ? 1 : 41) {
      const splitter = new FrameSplitter();
      const parts = [stream.subarray(0, one), stream.subarray(one, two), stream.subarray(two)];
      assert.deepEqual(
        parts.flatMap((part) => push(splitter, part)),
        expected,
        `cut at ${one} and ${two}`,
      );
      assert.equal(splitter.pendingBytes(), 0);
    }
  }
});

test("frames come out whole byte by byte", () => {
  const splitter = new FrameSplitter();
  assert.deepEqual(
    [...framed(...bodies)].flatMap((byte) => push(splitter, Uint8Array.of(byte))),
    expected,
  );
});

test("a frame within one chunk is a view of it", () => {
  const stream = framed(...bodies);
  const splitter = new FrameSplitter();
  splitter.push(stream);
  const first = splitter.next()!;
  assert.equal(first.buffer, stream.buffer);
  assert.equal(first.byteOffset, stream.byteOffset + 4);
});

test("a large frame over many chunks is gathered once", () => {
  const body = Buffer.alloc(1_000_003);
  for (let at = 0; at < body.length; at += 1) body[at] = at % 251;
  const stream = framed(body, Buffer.from("aa", "hex"));
  const splitter = new FrameSplitter();
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length; at += 65_536) {
    splitter.push(stream.subarray(at, at + 65_536));
    for (let frame = splitter.next(); frame !== null; frame = splitter.next()) frames.push(Buffer.from(frame));
  }
  assert.equal(frames.length, 2);
  assert.ok(frames[0]!.equals(body));
  assert.equal(frames[1]!.toString("hex"), "aa");
});

test("negative sizes and sizes above the bound are refused at once", () => {
  for (const size of [-1, -2_147_483_648, limits.requestBytesMax + 1, 0x7fff_ffff]) {
    const splitter = new FrameSplitter();
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(size);
    splitter.push(bytes);
    assert.throws(
      () => splitter.next(),
      (error) => error instanceof HubError && error.kind === "INVALID_REQUEST",
    );
  }
  const small = new FrameSplitter(10);
  small.push(framed(Buffer.alloc(11)));
  assert.throws(() => small.next(), /11 bytes/);
});

test("an announced size allocates nothing that has not arrived", () => {
  const before = process.memoryUsage().arrayBuffers;
  const splitters = Array.from({ length: 50 }, () => {
    const splitter = new FrameSplitter();
    const bytes = Buffer.alloc(5);
    bytes.writeInt32BE(limits.requestBytesMax);
    assert.deepEqual(push(splitter, bytes), []);
    assert.equal(splitter.pendingBytes(), 5);
    return splitter;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 16 * 1024 * 1024, `${splitters.length} bombs took ${grown} bytes`);
});

test("a chunk is not taken while frames are left in the one before", () => {
  const splitter = new FrameSplitter();
  splitter.push(framed(...bodies));
  splitter.next();
  assert.throws(() => splitter.push(Buffer.alloc(1)), /left/);
});

test("request headers v1 and v2 are written and read back; the client id keeps the old form", () => {
  for (const clientId of [null, "", "rdkafka", "grün"]) {
    for (const flexible of [false, true]) {
      const header = { apiKey: 18, apiVersion: 3, correlationId: -7, clientId };
      const writer = new Writer();
      writeRequestHeader(writer, header, flexible);
      const reader = new Reader(writer.join());
      assert.deepEqual(readRequestHeader(reader), header);
      if (flexible) skipTags(reader);
      assert.equal(reader.remaining(), 0);
    }
  }
});

test("response headers v0 and v1, unknown tags skipped", () => {
  for (const flexible of [false, true]) {
    const writer = new Writer();
    writeResponseHeader(writer, 0x0102_0304, flexible);
    const bytes = writer.join();
    assert.equal(Buffer.from(bytes).toString("hex"), flexible ? "0102030400" : "01020304");
    assert.equal(readResponseHeader(new Reader(bytes), flexible), 0x0102_0304);
  }
  const reader = new Reader(Buffer.from("00000001" + "02" + "0002aabb" + "0500" + "77", "hex"));
  assert.equal(readResponseHeader(reader, true), 1);
  assert.equal(reader.remaining(), 1);
});

test("headers that are cut short or lie are refused", () => {
  const whole = Buffer.from("0012000300000007" + "0003" + "616263", "hex");
  for (let size = 0; size < whole.length; size += 1) {
    assert.throws(() => readRequestHeader(new Reader(whole.subarray(0, size))), HubError);
  }
  assert.throws(() => readRequestHeader(new Reader(Buffer.from("0012000300000007fffe", "hex"))), /negative/);
});
