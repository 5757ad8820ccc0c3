// Batches that no honest producer sends: each is refused by its code, on its partition, and nothing of it is kept.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf, type ErrorName } from "../../../hub/errors.ts";
import { At, batchCrc } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { withHub } from "../../tools/test_hub.ts";
import { batchOf, fetch, is, makeTopic, produce } from "../../tools/wire_calls.ts";
import { dialWire } from "../../tools/wire_client.ts";

/** Three records, changed, and sealed again with a CRC that holds. */
function sealed(change: (view: DataView) => void): Uint8Array {
  const records = [1, 2, 3].map((value) => ({ key: null, value: Uint8Array.of(value), headers: [], timestamp: 1 }));
  const batch = encodeBatch(records, { producerId: 7, producerEpoch: 0, baseSequence: 0 });
  const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
  change(view);
  view.setUint32(At.crc, batchCrc(batch, 0, batch.length));
  return batch;
}

const evils: Readonly<Record<string, readonly [ErrorName, Uint8Array | null]>> = {
  "no batch at all": ["INVALID_RECORD", null],
  "an empty one": ["INVALID_RECORD", new Uint8Array(0)],
  "a few bytes": ["CORRUPT_MESSAGE", new Uint8Array(10)],
  "a header and nothing else": ["CORRUPT_MESSAGE", sealed(() => {}).slice(0, 61)],
  "a byte too few": ["CORRUPT_MESSAGE", sealed(() => {}).slice(0, -1)],
  "a byte too many": ["INVALID_RECORD", Buffer.concat([sealed(() => {}), Buffer.alloc(1)])],
  "two batches": ["INVALID_RECORD", Buffer.concat([batchOf(1), batchOf(1)])],
  "a length below its header's": ["CORRUPT_MESSAGE", sealed((view) => view.setInt32(At.length, 5))],
  "a negative length": ["CORRUPT_MESSAGE", sealed((view) => view.setInt32(At.length, -1))],
  "magic 0": ["UNSUPPORTED_FOR_MESSAGE_FORMAT", sealed((view) => view.setInt8(At.magic, 0))],
  "magic 1": ["UNSUPPORTED_FOR_MESSAGE_FORMAT", sealed((view) => view.setInt8(At.magic, 1))],
  "magic 3": ["UNSUPPORTED_FOR_MESSAGE_FORMAT", sealed((view) => view.setInt8(At.magic, 3))],
  "no records": ["INVALID_RECORD", sealed((view) => view.setInt32(At.count, 0))],
  "a negative count": ["CORRUPT_MESSAGE", sealed((view) => view.setInt32(At.count, -1))],
  "more records than offsets": ["INVALID_RECORD", sealed((view) => view.setInt32(At.count, 4))],
  "more offsets than records": ["INVALID_RECORD", sealed((view) => view.setInt32(At.lastOffsetDelta, 9))],
  "offsets that go back": ["CORRUPT_MESSAGE", sealed((view) => view.setInt32(At.lastOffsetDelta, -1))],
  "a compression that is none": ["UNSUPPORTED_COMPRESSION_TYPE", sealed((view) => view.setInt16(At.attributes, 5))],
  "a control batch": ["INVALID_RECORD", sealed((view) => view.setInt16(At.attributes, 0x20))],
};

test("every malformed batch is refused by its code and leaves nothing behind; its neighbour is stored", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t", 2);
    let stored = 0;
    for (const [what, [name, records]] of Object.entries(evils)) {
      const partitionData = [
        { index: 0, records },
        { index: 1, records: batchOf(1) },
      ];
      const topicData = [{ name: "t", partitionData }];
      const reply = await wire.call("produce", 9, { acks: -1, timeoutMs: 10_000, topicData });
      const [evil, good] = reply.responses[0]!.partitionResponses;
      assert.equal(evil!.errorCode, codeOf(name), `${what}: ${evil!.errorCode} ${evil!.errorMessage}`);
      assert.equal(evil!.baseOffset, -1);
      assert.ok(evil!.errorMessage!.length > 0, what);
      assert.deepEqual([good!.errorCode, good!.baseOffset], [0, stored++], what);
    }
    const kept = await fetch(wire, { topic: "t" });
    assert.deepEqual([kept.highWatermark, kept.records!.length], [0, 0]);
  });
});

test("acks=0: each of them closes its connection and no other", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t", 1);
    for (const [what, [, records]] of Object.entries(evils)) {
      const client = await dialWire(kafka);
      const refused = produce(client, "t", records!, { acks: 0 });
      await assert.rejects(refused, what);
      await client.closed;
    }
    is(await produce(wire, "t", batchOf(1)), "NONE");
    assert.equal((await fetch(wire, { topic: "t" })).highWatermark, 1);
  });
});
