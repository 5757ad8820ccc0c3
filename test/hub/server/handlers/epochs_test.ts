// ListOffsets, OffsetForLeaderEpoch, DeleteRecords over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { encodeBatch } from "../../../../hub/record/builder.ts";
import type { Partitions } from "../../../../hub/engine/partitions.ts";
import { placeHandlers } from "../../../../hub/server/handlers/epochs.ts";
import type { HubServices } from "../../../../hub/server/services.ts";
import { apis } from "../../../../hub/wire/apis.ts";
import { openTestHub, withHub } from "../../../tools/test_hub.ts";
import { makeTopic } from "../../../tools/wire_calls.ts";
import { scratch } from "../../../tools/hub_process.ts";
import type { WireClient } from "../../../tools/wire_client.ts";

async function append(wire: WireClient, timestamps: readonly number[]): Promise<void> {
  const records = encodeBatch(
    timestamps.map((timestamp) => ({ key: null, value: new Uint8Array(9), headers: [], timestamp })),
  );
  const topicData = [{ name: "t", partitionData: [{ index: 0, records }] }];
  const { responses } = await wire.call("produce", 9, { acks: -1, timeoutMs: 1000, topicData });
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0);
}

async function offsetAt(wire: WireClient, timestamp: number, version = 7) {
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }];
  const reply = await wire.call("listOffsets", version, {
    replicaId: -1,
    isolationLevel: 0,
    topics: [{ name: "t", partitions }],
  });
  return reply.topics[0]!.partitions[0]!;
}

test("offsets by time are precise to the record; the ends and the largest time have places of their own", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    const base = Date.now() - 100_000;
    await append(wire, [base, base + 10, base + 20]);
    await append(wire, [base + 30, base + 25, base + 40]);
    const table: [number, number][] = [
      [0, 0],
      [base, 0],
      [base + 1, 1],
      [base + 20, 2],
      [base + 21, 3],
      [base + 31, 5],
      [-2, 0],
      [-1, 6],
      [-3, 5],
    ];
    for (const [time, offset] of table) assert.equal((await offsetAt(wire, time)).offset, offset, `at ${time}`);
    const none = await offsetAt(wire, base + 41);
    assert.deepEqual([none.offset, none.timestamp, none.errorCode], [-1, -1, 0]);
    for (let version = apis.listOffsets.min; version <= apis.listOffsets.max; version++) {
      assert.equal((await offsetAt(wire, -1, version)).offset, 6, `v${version}`);
      for (const [time, since, offset] of [
        [-3, 7, 5],
        [-4, 8, 0],
        [-5, 9, -1],
        [-6, 11, -1],
        [-7, 99, -1],
      ] as const) {
        const { errorCode, offset: found } = await offsetAt(wire, time, version);
        const served = version >= since;
        const wanted = served ? [0, offset] : [codeOf("UNSUPPORTED_VERSION"), -1];
        assert.deepEqual([errorCode, found], wanted, `v${version} place ${time}`);
      }
    }
  });
});

test("epochs: the lone leader's is the only one", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    await append(wire, [1, 2]);
    const ask = async (leaderEpoch: number, currentLeaderEpoch = -1) => {
      const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }];
      const reply = await wire.call("offsetForLeaderEpoch", 4, { replicaId: -1, topics: [{ topic: "t", partitions }] });
      return reply.topics[0]!.partitions[0]!;
    };
    const found = await ask(0);
    assert.deepEqual([found.leaderEpoch, found.endOffset], [0, 2]);
    const older = await ask(-1);
    assert.deepEqual([older.errorCode, older.leaderEpoch, older.endOffset], [0, -1, -1]);
    const yetToCome = await ask(5);
    assert.deepEqual([yetToCome.errorCode, yetToCome.leaderEpoch, yetToCome.endOffset], [0, -1, -1]);
    assert.equal((await ask(0, -2)).errorCode, codeOf("FENCED_LEADER_EPOCH"));
    assert.equal((await ask(0, 7)).errorCode, codeOf("UNKNOWN_LEADER_EPOCH"));
  });
});

test("deleted records stay deleted over a restart; beyond the watermark is refused", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder });
    await opened.hub.ensureTopic("t");
    await append(opened.wire, [1, 2, 3]);
    await append(opened.wire, [4]);
    const drop = async (offset: number, partitionIndex = 0, name = "t") => {
      const topics = [{ name, partitions: [{ partitionIndex, offset }] }];
      return (await opened.wire.call("deleteRecords", 2, { topics, timeoutMs: 1000 })).topics[0]!.partitions[0]!;
    };
    assert.equal((await drop(5)).errorCode, codeOf("OFFSET_OUT_OF_RANGE"));
    assert.equal((await drop(0, 99)).errorCode, codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
    await makeTopic(opened.wire, "compacted", 1, { "cleanup.policy": "compact" });
    assert.equal((await drop(0, 0, "compacted")).errorCode, codeOf("POLICY_VIOLATION"));
    assert.deepEqual(await drop(2), { partitionIndex: 0, lowWatermark: 2, errorCode: 0 });
    assert.equal((await offsetAt(opened.wire, -2)).offset, 2);
    await opened.close();
    opened = await openTestHub({ folder });
    assert.equal((await offsetAt(opened.wire, -2)).offset, 2);
    assert.equal((await drop(-1)).lowWatermark, 4);
    await opened.close();
  } finally {
    remove();
  }
});

test("a new leader names no end before its followers have caught up: one could lie below what was told (KIP-207)", async () => {
  const replica = { highWatermark: 3, epochStart: 5 };
  const led = { topic: "t", epoch: 130, replica, log: { logStart: 1 }, highWatermark: 3, lastStable: 3 };
  const partitions = { mustLead: () => led } as unknown as Partitions;
  const { listOffsets } = placeHandlers({ partitions } as unknown as HubServices);
  const ask = async (timestamp: number, version: number): Promise<[number, number]> => {
    const asked = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }];
    const request = { replicaId: -1, isolationLevel: 0, topics: [{ name: "t", partitions: asked }], timeoutMs: 0 };
    const { topics } = await listOffsets(request as never, { version } as never);
    const [one] = topics[0]!.partitions;
    return [one!.errorCode, one!.offset ?? -1];
  };
  assert.deepEqual(await ask(-1, 5), [codeOf("OFFSET_NOT_AVAILABLE"), -1]);
  assert.deepEqual(await ask(-1, 4), [codeOf("LEADER_NOT_AVAILABLE"), -1]);
  assert.deepEqual(await ask(0, 7), [codeOf("OFFSET_NOT_AVAILABLE"), -1]);
  assert.deepEqual(await ask(-2, 7), [0, 1], "the beginning is known");
  replica.highWatermark = 5;
  assert.deepEqual(await ask(-1, 5), [0, 3]);
});
