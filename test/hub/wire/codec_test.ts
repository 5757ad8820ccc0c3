// The compiled codecs: round trips for every message and version, and refusal of everything malformed.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import fc from "fast-check";
import { Reader } from "../../../hub/bytes/reader.ts";
import { Writer } from "../../../hub/bytes/writer.ts";
import { HubError } from "../../../hub/errors.ts";
import { apiNames, apis } from "../../../hub/wire/apis.ts";
import { decode, encode, fill } from "../../../hub/wire/codec.ts";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../../../hub/wire/consumer_protocol.ts";
import { fetchRequest, fetchResponse } from "../../../hub/wire/messages/01_fetch.ts";
import { metadataRequest } from "../../../hub/wire/messages/03_metadata.ts";
import { apiVersionsRequest, apiVersionsResponse } from "../../../hub/wire/messages/18_api_versions.ts";
import { array, bytes, int32, int64, list, message, string, struct } from "../../../hub/wire/schema.ts";
import type { Message } from "../../../hub/wire/schema.ts";
import { messageValues, plain, runs } from "./values.ts";

const messages: readonly Message[] = [
  ...apiNames.flatMap((name) => [apis[name].request, apis[name].response]),
  consumerProtocolSubscription,
  consumerProtocolAssignment,
];

function encoded(schema: Message, version: number, value: unknown): Uint8Array {
  const writer = new Writer();
  encode(schema, version, value as never, writer);
  return writer.join();
}

function versionsOf(schema: Message): number[] {
  return Array.from({ length: schema.max - schema.min + 1 }, (_, index) => schema.min + index);
}

for (const schema of messages) {
  test(`${schema.name}: what is encoded decodes to the same, in every version`, () => {
    for (const version of versionsOf(schema)) {
      fc.assert(
        fc.property(messageValues(schema, version), (value) => {
          const body = encoded(schema, version, value);
          const reader = new Reader(body);
          const back = decode(schema, version, reader);
          assert.equal(reader.remaining(), 0);
          assert.deepEqual(plain(back), plain(value));
          assert.deepEqual(encoded(schema, version, back), body);
        }),
        runs(12),
      );
    }
  });
}

/** Decodes; a catalogue error is as good as a value, anything else is not. */
function decodesOrRefuses(schema: Message, version: number, body: Uint8Array, what: string): void {
  try {
    decode(schema, version, new Reader(body));
  } catch (error) {
    assert.ok(error instanceof HubError, `${schema.name} v${version} ${what}: ${String(error)}`);
    assert.equal(error.kind, "INVALID_REQUEST", `${schema.name} v${version} ${what}`);
  }
}

test("every prefix is refused, every flipped byte is refused or decodes", () => {
  const seed = Number(process.env.SEED ?? 7);
  for (const schema of messages) {
    for (const version of versionsOf(schema)) {
      for (const value of fc.sample(messageValues(schema, version), { numRuns: 2, seed })) {
        const body = encoded(schema, version, value);
        for (let size = 0; size < body.length; size += 1) {
          assert.throws(
            () => decode(schema, version, new Reader(body.slice(0, size))),
            (error) => error instanceof HubError && error.kind === "INVALID_REQUEST",
            `${schema.name} v${version}: prefix of ${size} (SEED=${seed})`,
          );
        }
        for (let at = 0; at < body.length; at += 1) {
          for (const flip of [0x01, 0xff]) {
            const broken = body.slice();
            broken[at]! ^= flip;
            decodesOrRefuses(schema, version, broken, `byte ${at} ^ ${flip} (SEED=${seed})`);
          }
        }
      }
    }
  }
});

test("random bytes end in a catalogue error or a message", () => {
  fc.assert(
    fc.property(fc.constantFrom(...messages), fc.nat(20), fc.uint8Array({ maxLength: 300 }), (schema, pick, body) => {
      const all = versionsOf(schema);
      decodesOrRefuses(schema, all[pick % all.length]!, body, "random");
    }),
    runs(3000),
  );
});

const refuses = (schema: Message, version: number, hex: string, expected: RegExp): void => {
  assert.throws(
    () => decode(schema, version, new Reader(Buffer.from(hex.replaceAll(" ", ""), "hex"))),
    (error) => error instanceof HubError && error.kind === "INVALID_REQUEST" && expected.test(error.message),
  );
};

const numbers = message("Numbers", { min: 0, max: 1, flexible: 1 }, { values: list(int32()) });
const words = message("Words", { min: 0, max: 1, flexible: 1 }, { word: string(), blob: bytes({ nullable: 1 }) });

test("an array that is longer than the bytes that are left is refused before it is allocated", () => {
  refuses(numbers, 0, "7fffffff 00000001", /2147483647 elements, 4 bytes are left/);
  refuses(numbers, 1, "ffffffff07 00000001", /elements/);
  refuses(numbers, 0, "fffffffe", /negative/);
  refuses(numbers, 0, "ffffffff", /must not be null/);
  refuses(numbers, 1, "00", /must not be null/);
});

test("the arrays of one message hold a bounded number of elements in all", () => {
  const many = message("Many", { min: 0, max: 0, flexible: 0 }, { outer: array({ inner: list(string()) }) });
  const inner = new Uint8Array(500_000 + 4);
  inner.set([0xa1, 0xc2, 0x1e], 0); // 500,000 + 1
  inner.fill(1, 3, inner.length - 1);
  const body = Buffer.concat([Buffer.from([4]), inner, inner, inner, Buffer.from([0])]);
  assert.throws(() => decode(many, 0, new Reader(body)), /over 1000000 elements/);
});

test("strings and bytes with lengths that lie are refused", () => {
  refuses(words, 0, "7fff 61", /32767 bytes are announced, 1 are left/);
  refuses(words, 0, "ffff", /must not be null/);
  refuses(words, 0, "fffe", /negative/);
  refuses(words, 0, "0000 7fffffff", /announced/);
  refuses(words, 1, "01 ffffffff0f", /announced/);
  refuses(words, 1, "01 ffffffffffffffffffff7f", /10 bytes/);
  assert.deepEqual(decode(words, 1, new Reader(Buffer.from("010000", "hex"))), { word: "", blob: null });
});

test("a text has at most 32767 bytes in the compact form, too", () => {
  const text = (size: number) =>
    Buffer.concat([Buffer.from([...uvarint(size + 1)]), Buffer.alloc(size, 97), Buffer.from([0, 0])]);
  assert.equal(decode(words, 1, new Reader(text(32_767))).word.length, 32_767);
  assert.throws(() => decode(words, 1, new Reader(text(32_768))), { kind: "INVALID_REQUEST" });
});

function* uvarint(value: number): Iterable<number> {
  for (; value > 127; value >>= 7) yield (value & 127) | 128;
  yield value;
}

test("an int64 of 2^53 and more is refused, one below it is exact", () => {
  const one = message("One", { min: 0, max: 0, flexible: Infinity }, { value: int64() });
  const read = (hex: string): number => decode(one, 0, new Reader(Buffer.from(hex, "hex"))).value;
  assert.equal(read("001fffffffffffff"), Number.MAX_SAFE_INTEGER);
  assert.equal(read("ffe0000000000001"), Number.MIN_SAFE_INTEGER);
  assert.equal(read("ffffffffffffffff"), -1);
  assert.equal(read("00000000ffffffff"), 0xffff_ffff);
  refuses(one, 0, "0020000000000000", /2\^53/);
  refuses(one, 0, "7fffffffffffffff", /2\^53/);
  refuses(one, 0, "8000000000000000", /2\^53/);
  assert.throws(() => encoded(one, 0, { value: 2 ** 53 }), RangeError);
  assert.throws(() => encoded(one, 0, { value: 0.5 }), RangeError);
});

test("unknown tagged fields are skipped, badly ordered or badly sized ones are refused", () => {
  const body = (tags: string): string => `02 61 02 62 ${tags}`;
  const read = (tags: string) =>
    decode(apiVersionsRequest, 3, new Reader(Buffer.from(body(tags).replaceAll(" ", ""), "hex")));
  const expected = { clientSoftwareName: "a", clientSoftwareVersion: "b" };
  assert.deepEqual(read("00"), expected);
  assert.deepEqual(read("02 05 03 010203 63 00"), expected);
  refuses(apiVersionsRequest, 3, body("02 05 00 05 00"), /out of order/);
  refuses(apiVersionsRequest, 3, body("01 05 7f 00"), /announced/);
  refuses(apiVersionsRequest, 3, body("ff ff ff ff 07 00 00"), /elements/);
  // finalizedFeaturesEpoch (tag 1) is 8 bytes, not 7 and not 9.
  refuses(apiVersionsResponse, 3, "0000 01 00000000 01 01 07 00000000000000", /announced|not 7 bytes/);
  refuses(apiVersionsResponse, 3, "0000 01 00000000 01 01 09 000000000000000000", /not 9 bytes/);
});

test("fields a version does not have get their defaults, and are not sent", () => {
  const value = decode(
    fetchRequest,
    4,
    new Reader(
      encoded(fetchRequest, 4, {
        maxWaitMs: 1,
        minBytes: 2,
        sessionEpoch: 77,
        rackId: "left out",
        topics: [
          { topic: "t", partitions: [{ partition: 0, fetchOffset: 5, partitionMaxBytes: 9, lastFetchedEpoch: 3 }] },
        ],
      }),
    ),
  );
  assert.equal(value.sessionEpoch, -1);
  assert.equal(value.rackId, "");
  assert.equal(value.maxBytes, 0x7fff_ffff);
  assert.equal(value.topics[0]!.partitions[0]!.lastFetchedEpoch, -1);
  assert.equal(value.topics[0]!.topicId, "00000000-0000-0000-0000-000000000000");
});

test("null where the version cannot carry it is our own mistake and throws", () => {
  assert.throws(() => encoded(metadataRequest, 0, { topics: null }), TypeError);
  assert.deepEqual(plain(decode(metadataRequest, 1, new Reader(encoded(metadataRequest, 1, { topics: null })))), {
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  });
});

test("a version without a schema is refused", () => {
  for (const version of [-1, 3, 19, 4.5]) {
    assert.throws(
      () => decode(fetchRequest, version, new Reader(new Uint8Array(50))),
      (error) => error instanceof HubError && error.kind === "UNSUPPORTED_VERSION",
    );
  }
});

test("records decode to a view of the frame and encode by reference, from one array or several", () => {
  const batch = Buffer.alloc(5000, 7);
  const response = {
    responses: [
      {
        topic: "t",
        partitions: [
          {
            partitionIndex: 0,
            errorCode: 0,
            highWatermark: 1,
            abortedTransactions: null,
            records: [batch.subarray(0, 2000), batch.subarray(2000)],
          },
        ],
      },
    ],
  };
  for (const version of [11, 12]) {
    const writer = new Writer();
    encode(fetchResponse, version, response, writer);
    const parts = writer.parts();
    assert.ok(parts.some((part) => part.buffer === batch.buffer && part.length === 3000));
    const frame = Buffer.concat(parts);
    const records = decode(fetchResponse, version, new Reader(frame)).responses[0]!.partitions[0]!.records!;
    assert.equal(records.buffer, frame.buffer);
    assert.deepEqual(Buffer.from(records), batch);
  }
});

test("fill gives what the newest version would decode to, and joins records", () => {
  for (const schema of messages) {
    fc.assert(
      fc.property(messageValues(schema, schema.max), (value) => {
        assert.deepEqual(plain(fill(schema, value as never)), plain(value));
      }),
      runs(10),
    );
  }
  const filled = fill(fetchResponse, {
    responses: [
      {
        topic: "t",
        partitions: [
          { partitionIndex: 0, errorCode: 0, highWatermark: 1, records: [Uint8Array.of(1, 2), Uint8Array.of(3)] },
        ],
      },
    ],
  });
  const partition = filled.responses[0]!.partitions[0]!;
  assert.deepEqual([...partition.records!], [1, 2, 3]);
  assert.equal(partition.lastStableOffset, -1);
  assert.equal(partition.preferredReadReplica, -1);
  assert.equal(filled.sessionId, 0);
});

test("a nullable struct is preceded by a byte that says whether it is there", () => {
  const schema = message(
    "Maybe",
    { min: 0, max: 0, flexible: 0 },
    {
      inner: struct({ value: int32() }, { nullable: 0 }),
    },
  );
  assert.equal(Buffer.from(encoded(schema, 0, { inner: null })).toString("hex"), "ff00");
  assert.equal(Buffer.from(encoded(schema, 0, { inner: { value: 5 } })).toString("hex"), "01000000050000");
  for (const inner of [null, { value: 5 }]) {
    assert.deepEqual(decode(schema, 0, new Reader(encoded(schema, 0, { inner }))), { inner });
  }
});
