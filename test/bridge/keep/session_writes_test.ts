// Writes of sessions when the topic does not take them: whoever asked is told, and nobody else is disturbed.
import assert from "node:assert/strict";
import test from "node:test";
import type { KeepingHub } from "../../../bridge/keep/faces.ts";
import type { KeptTopic } from "../../../bridge/keep/kept_topic.ts";
import { SessionWrites } from "../../../bridge/keep/session_writes.ts";
import { HubError, silentTrace } from "../../../hub/mod.ts";

test("an end whose records are refused while a message is being stored rejects when that is over, and only there", async () => {
  let stored = (): void => {};
  const underWay = new Promise<{ noteOffset: number }>((resolve) => {
    stored = () => resolve({ noteOffset: 7 });
  });
  const refuse = (): Promise<number> => Promise.reject(new HubError("KAFKA_STORAGE_ERROR", "the disk is full"));
  const topic = { partitionOf: () => 0, write: refuse } as unknown as KeptTopic;
  const hub = { hubId: 0, isClustered: false, storeTogether: () => underWay } as unknown as KeepingHub;
  const writes = new SessionWrites({ hub, topic, trace: silentTrace, confirm: () => Promise.resolve() });
  const owned = writes.own("c", 0, undefined);
  owned.session = [0];
  const message = writes.storeOnce(owned, 1, "t", { key: null, value: null });
  const ended = writes.end(owned);
  // the refusal of the session's record comes now; were nobody there to hear it, the process would end
  await new Promise((resolve) => setImmediate(resolve));
  stored();
  await message;
  await assert.rejects(ended, { kind: "KAFKA_STORAGE_ERROR" });
});
