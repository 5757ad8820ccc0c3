// The connection without a socket: whole requests by reference, in the order of the calls.
import assert from "node:assert/strict";
import test from "node:test";
import { openLocal } from "../../../hub/client/local.ts";
import type { LocalContext, LocalDispatch } from "../../../hub/client/local.ts";
import { HubError } from "../../../hub/errors.ts";

function spy(answer: (api: string, request: never) => unknown) {
  const calls: { api: string; request: never; context: LocalContext }[] = [];
  const dispatch = (async (api: string, request: never, context: LocalContext) => {
    calls.push({ api, request, context });
    return answer(api, request);
  }) as unknown as LocalDispatch;
  return { calls, dispatch };
}

test("requests and answers are completed with defaults, batches pass by reference, calls begin at once", async () => {
  const batch = new Uint8Array(100);
  const { calls, dispatch } = spy(() => ({
    responses: [{ name: "t", partitionResponses: [{ index: 0, errorCode: 0, baseOffset: 5 }] }],
  }));
  const connection = openLocal(dispatch, "me");
  const topicData = [{ name: "t", partitionData: [{ index: 0, records: batch }] }];
  const reply = connection.call("produce", { acks: -1, timeoutMs: 1, topicData });
  assert.equal(calls.length, 1);
  const { request, context } = calls[0]! as { request: never; context: LocalContext };
  const body = request as { transactionalId: null; topicData: { partitionData: { records: Uint8Array }[] }[] };
  assert.equal(body.transactionalId, null);
  assert.equal(body.topicData[0]!.partitionData[0]!.records, batch);
  assert.deepEqual([context.version, context.clientId], [11, "me"]);
  const [partition] = (await reply).responses[0]!.partitionResponses;
  assert.deepEqual([partition!.baseOffset, partition!.logStartOffset, partition!.errorMessage], [5, -1, null]);
  assert.equal(connection.direct, true);
  assert.equal(connection.version("fetch"), 12);
});

test("what the hub throws reaches the caller; a closed connection calls nobody", async () => {
  const { calls, dispatch } = spy(() => {
    throw new HubError("KAFKA_STORAGE_ERROR", "full");
  });
  const connection = openLocal(dispatch, "me");
  await assert.rejects(connection.call("heartbeat", { groupId: "g", generationId: 1, memberId: "m" }), /full/);
  connection.tell("produce", { acks: 0, timeoutMs: 1, topicData: [] });
  connection.close();
  assert.equal(connection.open, false);
  await assert.rejects(connection.call("metadata", { topics: null }), /closed/);
  assert.equal(calls.length, 2);
});
