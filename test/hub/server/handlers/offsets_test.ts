// Offset handlers through the codec, in every version that is served.
import assert from "node:assert/strict";
import test from "node:test";
import { GroupStage, topicId, versionsOf } from "./group_stage.ts";

const topicsOf = (...partitionIndexes: number[]) => [{ name: "t", topicId, partitionIndexes }];

test("offsetCommit, offsetFetch: what is committed is fetched, in every pair of versions", async () => {
  const stage = new GroupStage();
  await stage.open();
  let offset = 0;
  for (const version of versionsOf("offsetCommit")) {
    offset += 1;
    const partitions = [0, 2].map((partitionIndex) => ({
      partitionIndex,
      committedOffset: offset,
      committedLeaderEpoch: 4,
      committedMetadata: partitionIndex === 0 && version === 2 ? null : "zeit ü",
    }));
    const request = {
      groupId: "g",
      generationIdOrMemberEpoch: -1,
      memberId: "",
      topics: [{ name: "t", topicId, partitions }],
    };
    const answer = await stage.call("offsetCommit", version, request);
    assert.deepEqual(
      answer.topics[0]?.partitions.map(({ errorCode }) => errorCode),
      [0, 3],
    );
    for (const fetchVersion of versionsOf("offsetFetch")) {
      const asked = { groupId: "g", topics: topicsOf(0, 1), groups: [{ groupId: "g", topics: topicsOf(0, 1) }] };
      const fetched = await stage.call("offsetFetch", fetchVersion, asked);
      const found = fetchVersion >= 8 ? fetched.groups[0] : fetched;
      assert.equal(found?.errorCode, 0);
      const [first, missing] = found?.topics[0]?.partitions ?? [];
      const metadata = version === 2 ? "" : "zeit ü";
      assert.deepEqual([first?.committedOffset, first?.metadata, first?.errorCode], [offset, metadata, 0]);
      if (fetchVersion >= 5) assert.equal(first?.committedLeaderEpoch, version >= 6 ? 4 : -1);
      // Nothing committed is no error: clients then use their reset policy.
      assert.deepEqual([missing?.committedOffset, missing?.metadata, missing?.errorCode], [-1, "", 0]);
    }
  }
});

test("topics by id (v10): answers bear the id, an id of no topic is UNKNOWN_TOPIC_ID and nothing else", async () => {
  const stage = new GroupStage();
  await stage.open();
  const other = "00000000-0000-4000-8000-00000000000b";
  const partitions = [{ partitionIndex: 1, committedOffset: 5, committedMetadata: "" }];
  const committed = await stage.call("offsetCommit", 10, {
    groupId: "g",
    topics: [other, topicId].map((id) => ({ topicId: id, partitions })),
  });
  const codes = new Map(committed.topics.map((topic) => [topic.topicId, topic.partitions[0]!.errorCode]));
  assert.deepEqual([codes.get(topicId), codes.get(other), codes.size], [0, 100, 2]);
  const topics = [other, topicId].map((id) => ({ topicId: id, partitionIndexes: [1] }));
  for (const asked of [topics, null]) {
    const { groups } = await stage.call("offsetFetch", 10, { groups: [{ groupId: "g", topics: asked }] });
    const found = new Map(groups[0]!.topics.map((topic) => [topic.topicId, topic.partitions[0]!]));
    assert.equal(found.get(topicId)?.committedOffset, 5);
    const unknown = found.get(other);
    assert.deepEqual(
      [unknown?.errorCode, unknown?.committedOffset],
      asked === null ? [undefined, undefined] : [100, -1],
    );
  }
  const none = await stage.call("offsetFetch", 10, { groups: [{ groupId: "", topics }] });
  assert.deepEqual([none.groups[0]!.errorCode, none.groups[0]!.topics.length], [24, 0]);
});

test("offsetFetch: null asks for all from v2 on; several groups in one request from v8 on", async () => {
  const stage = new GroupStage();
  await stage.open();
  for (const groupId of ["g", "h"]) {
    const partitions = [{ partitionIndex: 1, committedOffset: 8, committedMetadata: "" }];
    await stage.call("offsetCommit", 8, {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: "",
      topics: [{ name: "t", partitions }],
    });
  }
  for (const version of versionsOf("offsetFetch").filter((each) => each >= 2)) {
    const groups = ["g", "h", ""].map((groupId) => ({ groupId, topics: null }));
    const fetched = await stage.call("offsetFetch", version, { groupId: "g", topics: null, groups });
    const answers = version >= 8 ? fetched.groups : [fetched];
    const seen = answers.map(({ errorCode, topics }) => [errorCode, topics[0]?.partitions[0]?.committedOffset]);
    assert.deepEqual(
      seen,
      version >= 8
        ? [
            [0, 8],
            [0, 8],
            [24, undefined],
          ]
        : [[0, 8]],
    );
  }
});

test("offsetFetch: an error of the whole group stands where its version can carry it (KAFKA-19246)", async () => {
  const stage = new GroupStage();
  for (const version of versionsOf("offsetFetch")) {
    const asked = { groupId: "g", topics: topicsOf(0, 5), groups: [{ groupId: "g", topics: topicsOf(0, 5) }] };
    const answer = await stage.call("offsetFetch", version, asked);
    if (version === 1) {
      const partitions = answer.topics[0]?.partitions ?? [];
      assert.deepEqual(
        partitions.map((each) => [each.committedOffset, each.errorCode]),
        [
          [-1, 14],
          [-1, 14],
        ],
      );
    } else assert.equal(version >= 8 ? answer.groups[0]?.errorCode : answer.errorCode, 14);
  }
});

test("offsetCommit: errors of the group stand on each partition", async () => {
  const stage = new GroupStage();
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "" }];
  const request = { groupId: "g", generationIdOrMemberEpoch: -1, memberId: "", topics: [{ name: "t", partitions }] };
  const codes = async (asked: typeof request) => {
    const { topics } = await stage.call("offsetCommit", 8, asked);
    return topics.flatMap((topic) => topic.partitions.map(({ errorCode }) => errorCode));
  };
  assert.deepEqual(await codes(request), [14]);
  await stage.open();
  assert.deepEqual(await codes({ ...request, groupId: "" }), [24]);
  assert.deepEqual(await codes({ ...request, generationIdOrMemberEpoch: 3, memberId: "m" }), [22]);
  const { memberId, generationId } = await stage.member("g");
  assert.deepEqual(await codes(request), [25]);
  assert.deepEqual(await codes({ ...request, generationIdOrMemberEpoch: generationId - 1, memberId }), [22]);
  assert.deepEqual(await codes({ ...request, generationIdOrMemberEpoch: generationId, memberId }), [0]);
});

test("offsetDelete: refused for a topic the group reads, and for groups that are not there", async () => {
  const stage = new GroupStage();
  const topics = [{ name: "t", partitions: [{ partitionIndex: 0 }] }];
  assert.equal((await stage.call("offsetDelete", 0, { groupId: "g", topics })).errorCode, 14);
  await stage.open();
  assert.equal((await stage.call("offsetDelete", 0, { groupId: "g", topics })).errorCode, 69);
  // This metadata is no subscription: any topic may be meant.
  const { memberId } = await stage.member("g");
  const refused = await stage.call("offsetDelete", 0, { groupId: "g", topics });
  assert.deepEqual([refused.errorCode, refused.topics[0]?.partitions[0]?.errorCode], [0, 86]);
  await stage.call("leaveGroup", 0, { groupId: "g", memberId });
  const deleted = await stage.call("offsetDelete", 0, { groupId: "g", topics });
  assert.deepEqual([deleted.errorCode, deleted.topics[0]?.partitions[0]?.errorCode], [0, 0]);
});
