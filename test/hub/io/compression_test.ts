// Tests of the codecs: round trips, foreign forms, bombs and broken bytes.
import assert from "node:assert/strict";
import test from "node:test";
import zlib from "node:zlib";
import { HubError } from "../../../hub/errors.ts";
import { Codec, compress, decompress, loadCodec, openedBytesMax } from "../../../hub/io/compression.ts";

const codecs = Object.values(Codec);
const samples: [string, Uint8Array][] = [
  ["nothing", new Uint8Array(0)],
  ["one byte", Uint8Array.of(7)],
  ["text", new TextEncoder().encode("reading ".repeat(5000))],
  ["noise", Uint8Array.from({ length: 200_000 }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 0xff)],
];

function refuses(kind: string, call: () => unknown): void {
  assert.throws(call, (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.equal(error.kind, kind, error.message);
    return true;
  });
}

test("every codec gives back what it was given", async () => {
  for (const codec of codecs) {
    await loadCodec(codec);
    for (const [name, bytes] of samples) {
      const opened = decompress(codec, compress(codec, bytes));
      assert.equal(Buffer.compare(opened, bytes), 0, `codec ${codec}, ${name}`);
    }
  }
});

test("a bomb is refused, whatever its codec", async () => {
  const bomb = new Uint8Array(8 << 20);
  for (const codec of codecs) {
    if (codec === Codec.None) continue;
    await loadCodec(codec);
    const packed = compress(codec, bomb);
    refuses("CORRUPT_MESSAGE", () => decompress(codec, packed, 1 << 20));
    assert.equal(decompress(codec, packed, 8 << 20).length, 8 << 20, `codec ${codec} within its bound`);
  }
  assert.ok(openedBytesMax(100) <= 1 << 20);
});

test("a raw snappy block opens as xerial's stream does", () => {
  // "aaaa...": length 20, literal of 1, copy of 19 at distance 1.
  const raw = Uint8Array.of(20, 0x00, 0x61, ((19 - 1) << 2) | 2, 1, 0);
  assert.equal(new TextDecoder().decode(decompress(Codec.Snappy, raw)), "a".repeat(20));
  refuses("CORRUPT_MESSAGE", () => decompress(Codec.Snappy, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0)));
});

test("every cut and many changed bytes end in a catalogue error or other bytes, never in another exception", async () => {
  const text = new TextEncoder().encode("temperature 21.5 ".repeat(40));
  for (const codec of codecs) {
    if (codec === Codec.None) continue;
    await loadCodec(codec);
    const packed = compress(codec, text);
    const attempt = (bytes: Uint8Array): void => {
      try {
        decompress(codec, bytes);
      } catch (error) {
        assert.ok(error instanceof HubError, `codec ${codec}: ${String(error)}`);
      }
    };
    for (let length = 0; length < packed.length; length += 1) attempt(packed.slice(0, length));
    for (let at = 0; at < packed.length; at += 1) {
      const changed = packed.slice();
      changed[at] = changed[at]! ^ 0x55;
      attempt(changed);
    }
  }
});

test("an unknown codec is refused", async () => {
  refuses("UNSUPPORTED_COMPRESSION_TYPE", () => decompress(7, Uint8Array.of(1)));
  await assert.rejects(loadCodec(5), (error) => error instanceof HubError);
});

test("zlib's own gzip opens", () => {
  assert.equal(new TextDecoder().decode(decompress(Codec.Gzip, zlib.gzipSync("hello"))), "hello");
});
