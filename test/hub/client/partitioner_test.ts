// murmur2 against values computed with kafka-python, and the choice of partitions.
import assert from "node:assert/strict";
import test from "node:test";
import { choosePartition, murmur2 } from "../../../hub/client/partitioner.ts";

const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** key, murmur2, partition of 12: from kafka-python 2.0.2. */
const known: readonly (readonly [Uint8Array | string, number, number])[] = [
  ["", 275646681, 9],
  ["a", -1563381124, 4],
  ["ab", 316155434, 2],
  ["abc", 479470107, 3],
  ["abcd", -1323649548, 8],
  ["21", -973932308, 0],
  ["foobar", -790332482, 6],
  ["a-little-bit-long-string", -985981536, 8],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, 5],
  ["grün", 350648321, 5],
  [all, -1948347274, 10],
];

test("murmur2 and partitions are those of Kafka's clients", () => {
  for (const [key, hash, partition] of known) {
    const bytes = typeof key === "string" ? Buffer.from(key) : key;
    assert.equal(murmur2(bytes), hash, String(key));
    assert.equal(choosePartition(bytes, 12), partition, String(key));
  }
});

test("keyless records go round, and one partition takes all", () => {
  const turns = Array.from({ length: 7 }, (_, turn) => choosePartition(null, 3, turn));
  assert.deepEqual(turns, [0, 1, 2, 0, 1, 2, 0]);
  assert.equal(choosePartition(Buffer.from("k"), 1), 0);
  assert.equal(choosePartition(Buffer.from("k"), 0), 0);
  assert.ok(choosePartition(null, 5, -1) >= 0);
});
