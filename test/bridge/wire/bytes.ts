// What the codec's tests share: bytes written as hex with spaces, one frame in and out, refusals.
import assert from "node:assert/strict";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import { MqttProblem, type Packet, type Sender, type Version } from "../../../bridge/wire/packet.ts";

/** "30 05 'ab' 01" -> bytes; text in quotes is UTF-8, and what follows a // between spaces is a comment. */
export function hex(source: string): Buffer {
  const parts: Buffer[] = [];
  const clean = source.replaceAll(/\s\/\/\s.*$/gm, "");
  for (const [, quoted, digits] of clean.matchAll(/'([^']*)'|([0-9a-fA-F]+)/g)) {
    parts.push(digits === undefined ? Buffer.from(quoted!) : Buffer.from(digits, "hex"));
  }
  return Buffer.concat(parts);
}

/** A frame around the body, with its length. */
export function frame(first: number, body: Uint8Array): Buffer {
  const length: number[] = [];
  for (let left = body.length; ; left >>>= 7) {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f) break;
  }
  return Buffer.concat([Uint8Array.of(first, ...length), body]);
}

/** The one packet in the bytes. */
export function decodeFrame(bytes: Uint8Array, version: Version, sender: Sender): Packet {
  const scanner = new FrameScanner(300_000_000);
  scanner.strict = version === 5;
  scanner.push(Buffer.from(bytes));
  assert.ok(scanner.next(), "a whole packet");
  const { type, flags, start, end } = scanner;
  const packet = decodePacket(type, flags, scanner.bytes, start, end, version, sender);
  assert.equal(scanner.next(), false, "one packet");
  assert.equal(scanner.carried, 0);
  return packet;
}

/** What the call throws, which must be an MqttProblem. */
export function problemOf(call: () => unknown): MqttProblem {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof MqttProblem, String((error as Error).stack));
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

/** Buffers and Uint8Arrays alike as plain values, for comparing. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
