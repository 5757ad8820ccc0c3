// Topics by id, and where their leaders are: what requests of every handler share.
import assert from "node:assert/strict";
import test from "node:test";
import { loneView } from "../../../../hub/engine/cluster_view.ts";
import { currentLeader, nameIn, nodeEndpoints } from "../../../../hub/server/handlers/topic_ids.ts";
import type { HubServices, RequestContext } from "../../../../hub/server/services.ts";

const id = "00000000-0000-4000-8000-00000000000a";
const partitions = {
  topics: { byId: (topicId: string) => (topicId === id ? { name: "t" } : undefined), byName: () => undefined },
  get: (topic: string, partition: number) =>
    topic === "t" && partition === 0 ? { replica: { leader: "3:d" }, epoch: 7 } : undefined,
};
const services = { hubId: 3, cluster: loneView(3, "d"), advertised: null, partitions } as unknown as HubServices;
const context = { listener: { host: "lan", port: 9092 } } as RequestContext;

test("nameIn: the name as it is, or that of the id, or none", () => {
  assert.equal(nameIn(services, false, "any", id), "any");
  assert.equal(nameIn(services, true, "", id), "t");
  assert.equal(nameIn(services, true, "t", "00000000-0000-0000-0000-000000000000"), null);
});

test("currentLeader and nodeEndpoints: each leader once, and none where nobody is named", () => {
  const leader = currentLeader(services, "t", 0);
  assert.deepEqual(leader, { leaderId: 3, leaderEpoch: 7 });
  for (const [topic, partition] of [
    ["t", 1],
    [null, 0],
  ] as const) {
    assert.equal(currentLeader(services, topic, partition), undefined);
  }
  const here = { nodeId: 3, host: "lan", port: 9092, rack: null, alive: true };
  assert.deepEqual(nodeEndpoints(services, context, [undefined, leader, leader]), [here]);
  assert.deepEqual(nodeEndpoints(services, context, [undefined, { leaderId: 4 }]), []);
});
