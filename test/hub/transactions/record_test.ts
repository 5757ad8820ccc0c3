// Records of the transaction log: there and back, and bytes that are wrong.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import { decodeLogRecord, encodeLogRecord } from "../../../hub/transactions/record.ts";
import type { Image, LogRecord } from "../../../hub/transactions/transaction.ts";
import { TransactionState } from "../../../hub/transactions/transaction.ts";
import { topicIdOf } from "./stage.ts";

const image: Image = {
  producerId: 2 ** 52 - 1,
  epoch: 32_767,
  lastProducerId: 7,
  lastEpoch: 32_766,
  nextProducerId: 9,
  state: TransactionState.PrepareCommit,
  timeoutMs: 900_000,
  startedAt: 1_800_000_000_000,
  partitions: new Map([
    ["orders", new Set([0, 300])],
    ["größe", new Set([1])],
  ]),
  groups: new Set(["g", "h"]),
};
const rest = { leaderEpoch: -1, metadata: "m", committedAt: 5 };
const offset = { topicId: topicIdOf("t"), topic: "t", partition: 3, offset: 2 ** 40, ...rest };

function refused(run: () => unknown, kind: string): void {
  assert.throws(run, (error) => error instanceof HubError && error.kind === kind);
}

test("every kind of record comes back as it was", () => {
  const states = Object.values(TransactionState).map((state): LogRecord => {
    return { kind: "transaction", id: "x", image: { ...image, state } };
  });
  const records: LogRecord[] = [
    ...states,
    { kind: "transaction", id: "é".repeat(200), image: null },
    { kind: "offsets", id: "x", group: "g", offsets: [offset] },
    { kind: "offsets", id: "x", group: "g", offsets: null },
  ];
  for (const record of records) {
    const { key, value } = encodeLogRecord(record);
    assert.deepEqual(decodeLogRecord(key, value), record);
  }
});

test("keys of one id differ by kind and group, so that compaction keeps each", () => {
  const keys = [
    encodeLogRecord({ kind: "transaction", id: "x", image }),
    encodeLogRecord({ kind: "offsets", id: "x", group: "g", offsets: [] }),
    encodeLogRecord({ kind: "offsets", id: "x", group: "h", offsets: [] }),
    encodeLogRecord({ kind: "offsets", id: "xg", group: "", offsets: [] }),
  ].map(({ key }) => Buffer.from(key).toString("hex"));
  assert.equal(new Set(keys).size, 4);
});

test("the bytes of version 1 stay readable", () => {
  const whole = encodeLogRecord({
    kind: "transaction",
    id: "x",
    image: { ...image, partitions: new Map([["t", new Set([1])]]) },
  });
  assert.equal(Buffer.from(whole.key).toString("hex"), "01000278");
  const golden =
    "0102000fffffffffffff7fff00000000000000077ffe0000000000000009000dbba0000001a3185c5000" +
    "0102740101" +
    "0202670268";
  assert.equal(Buffer.from(whole.value!).toString("hex"), golden);
});

test("what a newer hub wrote, or nobody, is refused", () => {
  const { key, value } = encodeLogRecord({ kind: "transaction", id: "x", image });
  const with0 = (bytes: Uint8Array, at: number, byte: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[at] = byte;
    return copy;
  };
  refused(() => decodeLogRecord(null, value), "INVALID_REQUEST");
  refused(() => decodeLogRecord(with0(key, 0, 2), value), "UNSUPPORTED_VERSION");
  refused(() => decodeLogRecord(with0(key, 1, 9), value), "UNSUPPORTED_VERSION");
  refused(() => decodeLogRecord(key, with0(value!, 0, 2)), "UNSUPPORTED_VERSION");
  refused(() => decodeLogRecord(key, with0(value!, 1, 99)), "UNSUPPORTED_VERSION");
  for (let end = 0; end < value!.length; end += 1) {
    assert.throws(() => decodeLogRecord(key, value!.subarray(0, end)), HubError, `cut at ${end}`);
  }
});
