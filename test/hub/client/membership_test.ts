// Members of groups on a real hub: sharing, taking over, committing, and groups that know nothing of each other.
import assert from "node:assert/strict";
import test from "node:test";
import type { Consumer, InBatch, TopicPartition } from "../../../hub/client/faces.ts";
import { HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { bothWays, fill, names, pollUntil, text, withClient } from "./ways.ts";

const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `v${from + index}`);
const commit = (batch: InBatch, consumer: Consumer): Promise<void> =>
  consumer.commit([{ topic: batch.topic, partition: batch.partition, offset: batch.nextOffset }]);

/** The shortest session the hub allows. */
const quick = { sessionTimeoutMs: 6_000, from: "earliest" } as const;
const fast = { settings: { "group.initial.rebalance.delay.ms": 0 } };

bothWays(
  "two members share the partitions, a third one is idle, each leaves its share to the others",
  async (ground) => {
    const { client } = ground;
    const topic = await ground.topic(2);
    const members = [0, 1, 2].map(() => client.consumer({ group: "g", ...quick }));
    const sizes = (): number[] => members.map((member) => member.assignment().length).sort();
    for (const member of members) await member.subscribe([topic]);
    await pollUntil(members, () => sizes().join() === "0,1,1");
    const idle = members.find((member) => member.assignment().length === 0)!;
    const busy = members.filter((member) => member !== idle);
    assert.deepEqual(names(busy.flatMap((member) => [...member.assignment()])), [`${topic}-0`, `${topic}-1`]);
    await busy[0]!.close();
    await pollUntil([idle, busy[1]!], () => idle.assignment().length === 1 && busy[1]!.assignment().length === 1);
    await idle.close();
    await pollUntil([busy[1]!], () => busy[1]!.assignment().length === 2);
    await busy[1]!.close();
  },
  fast,
);

bothWays(
  "a group goes on where it committed; another group reads everything for itself",
  async (ground) => {
    const { client } = ground;
    const topic = await ground.topic(3);
    await fill(client, topic, numbered(30), 3);
    const seen: string[] = [];
    const first = client.consumer({ group: "one", ...quick });
    await first.subscribe([topic]);
    await pollUntil(
      [first],
      () => seen.length >= 30,
      async (batch, consumer) => {
        seen.push(...batch.records.map(({ value }) => text(value)));
        await commit(batch, consumer);
      },
    );
    await first.close();
    await fill(client, topic, numbered(6, 30), 3);
    const again = client.consumer({ group: "one", ...quick });
    await again.subscribe([topic]);
    const rest: string[] = [];
    await pollUntil(
      [again],
      () => rest.length >= 6,
      (batch) => {
        rest.push(...batch.records.map(({ value }) => text(value)));
      },
    );
    assert.deepEqual(rest.sort(), numbered(6, 30).sort());
    const other = client.consumer({ group: "two", ...quick });
    await other.subscribe([topic]);
    let count = 0;
    await pollUntil(
      [other],
      () => count >= 36,
      (batch) => void (count += batch.records.length),
    );
    assert.equal(count, 36);
  },
  fast,
);

bothWays(
  "partitions are given back before they are given on: with commits there, nothing is read twice",
  async (ground) => {
    const { client } = ground;
    const topic = await ground.topic(4);
    const seen = new Map<string, number>();
    const member = (): Consumer => {
      const next = new Map<number, number>();
      const consumer: Consumer = client.consumer({
        group: "g",
        ...quick,
        async onRevoked(partitions: readonly TopicPartition[]) {
          const offsets = partitions
            .filter(({ partition }) => next.has(partition))
            .map((at) => ({
              ...at,
              offset: next.get(at.partition)!,
            }));
          await consumer.commit(offsets);
          next.clear();
        },
      });
      positions.set(consumer, next);
      return consumer;
    };
    const positions = new Map<Consumer, Map<number, number>>();
    const members = [member()];
    const each = ({ records, partition, nextOffset }: InBatch, consumer: Consumer): void => {
      for (const { offset } of records)
        seen.set(`${partition}@${offset}`, (seen.get(`${partition}@${offset}`) ?? 0) + 1);
      positions.get(consumer)!.set(partition, nextOffset);
    };
    await members[0]!.subscribe([topic]);
    await fill(client, topic, numbered(100), 4);
    await pollUntil(members, () => seen.size === 100, each);
    members.push(member());
    await members[1]!.subscribe([topic]);
    await pollUntil(members, () => members.every((one) => one.assignment().length === 2), each);
    await fill(client, topic, numbered(100), 4);
    await pollUntil(members, () => seen.size === 200, each);
    assert.deepEqual(
      [...seen.values()].filter((times) => times !== 1),
      [],
    );
  },
  fast,
);

test("a member whose hub forgot it joins again by itself, and its stale commit is refused", async () => {
  await withClient(
    "over a socket",
    async (ground) => {
      const { client, wire } = ground;
      const topic = await ground.topic(1);
      const admin = client.admin();
      let given = 0;
      const consumer = client.consumer({ group: "g", ...quick, onAssigned: () => void (given += 1) });
      await consumer.subscribe([topic]);
      await pollUntil([consumer], () => given === 1);
      const [member] = (await admin.describeGroup("g")).members;
      await wire.call("leaveGroup", 2, { groupId: "g", memberId: member!.memberId });
      await assert.rejects(consumer.commit([{ topic, partition: 0, offset: 1 }]), kind("UNKNOWN_MEMBER_ID"));
      await pollUntil([consumer], () => given === 2);
      await consumer.commit([{ topic, partition: 0, offset: 1 }]);
      assert.deepEqual(await admin.groupOffsets("g"), [{ topic, partition: 0, offset: 1 }]);
    },
    fast,
  );
});

test("a topic that comes later, and partitions that are added, are given out without a restart", async () => {
  await withClient(
    "without a socket",
    async (ground) => {
      const { client } = ground;
      const admin = client.admin();
      const consumer = client.consumer({ group: "g", ...quick });
      await consumer.subscribe(["later"]);
      await consumer.poll(300);
      assert.deepEqual(consumer.assignment(), []);
      await admin.createTopic("later", { partitions: 1 });
      await pollUntil([consumer], () => consumer.assignment().length === 1);
      await fill(client, "later", ["x"]);
      let count = 0;
      await pollUntil(
        [consumer],
        () => count === 1,
        ({ records }) => void (count += records.length),
      );
    },
    fast,
  );
});

test("subscribing anew takes up the new topics; a group of another protocol is not entered", async () => {
  await withClient(
    "without a socket",
    async (ground) => {
      const { client, wire } = ground;
      const [one, two] = [await ground.topic(1), await ground.topic(1)];
      const consumer = client.consumer({ group: "g", ...quick });
      await consumer.subscribe([one]);
      await pollUntil([consumer], () => names(consumer.assignment()).join() === `${one}-0`);
      await consumer.subscribe([two, one]);
      await pollUntil([consumer], () => consumer.assignment().length === 2);
      const join = { groupId: "connect", sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000, memberId: "" };
      const protocols = [{ name: "default", metadata: new Uint8Array(0) }];
      await wire.call("joinGroup", 2, { ...join, protocolType: "connect", protocols });
      const stranger = client.consumer({ group: "connect", ...quick });
      await stranger.subscribe([one]);
      await assert.rejects(
        pollUntil([stranger], () => false),
        kind("INCONSISTENT_GROUP_PROTOCOL"),
      );
    },
    fast,
  );
});

test("a consumer without a subscription commits for an empty group, not beside members", async () => {
  await withClient(
    "over a socket",
    async (ground) => {
      const { client } = ground;
      const topic = await ground.topic(1);
      const lone = client.consumer({ group: "g", from: "earliest" });
      await lone.assign([{ topic }]);
      await lone.commit([{ topic, partition: 0, offset: 7, metadata: "note" }]);
      const admin = client.admin();
      assert.deepEqual(await admin.groupOffsets("g"), [{ topic, partition: 0, offset: 7, metadata: "note" }]);
      const member = client.consumer({ group: "g", ...quick });
      await member.subscribe([topic]);
      await pollUntil([member], () => member.assignment().length === 1);
      await assert.rejects(lone.commit([{ topic, partition: 0, offset: 8 }]), kind("UNKNOWN_MEMBER_ID"));
    },
    fast,
  );
});

test("a static member comes back to its partitions without a rebalance", async () => {
  await withClient(
    "over a socket",
    async (ground) => {
      const { client } = ground;
      const topic = await ground.topic(2);
      const stay = client.consumer({ group: "g", instanceId: "a", ...quick });
      let rebalances = 0;
      const other = client.consumer({
        group: "g",
        instanceId: "b",
        ...quick,
        onAssigned: () => void (rebalances += 1),
      });
      await stay.subscribe([topic]);
      await other.subscribe([topic]);
      await pollUntil([stay, other], () => [stay, other].every((one) => one.assignment().length === 1));
      const held = names(stay.assignment());
      const before = rebalances;
      await stay.close();
      const back = client.consumer({ group: "g", instanceId: "a", ...quick });
      await back.subscribe([topic]);
      await pollUntil([back, other], () => back.assignment().length === 1);
      assert.deepEqual(names(back.assignment()), held);
      assert.equal(rebalances, before);
    },
    fast,
  );
});
