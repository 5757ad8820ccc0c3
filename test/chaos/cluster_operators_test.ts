// What operators do to a running cluster: move, raise, call off, elect, add, drain, remove, replace a disk.
import assert from "node:assert/strict";
import test from "node:test";
import { eventually, HubCluster, load, readAll, seen, type TopicSeen } from "../tools/hub_cluster.ts";

const replicasOf = (found: TopicSeen, partition = 0): string => found.partitions[partition]!.replicas.join();
const inSync = (found: TopicSeen): boolean =>
  found.partitions.every((one) => one.leader > 0 && one.inSync.length === one.replicas.length);

test("moved under load, more copies, called off, the preferred leader, a hub added and one removed: nothing is lost", async () => {
  const cluster = await HubCluster.open(3);
  await cluster.run(async () => {
    const client = cluster.client();
    const admin = client.admin().cluster();
    await client.admin().createTopic("moving", { partitions: 1, replicationFactor: 2 });
    const first = await seen(client, "moving", inSync);
    const [one, two] = first.partitions[0]!.replicas as [number, number];
    const three = 6 - one - two;
    const place = { topic: "moving", partition: 0 };
    const writing = load(cluster.client("writer"), "moving");

    await admin.reassign([{ ...place, hubs: [two, three] }]);
    await seen(client, "moving", (found) => replicasOf(found) === `${two},${three}` && inSync(found));
    assert.deepEqual(
      await eventually(
        () => admin.reassignments(),
        (moves) => moves.length === 0,
      ),
      [],
    );

    await admin.reassign([{ ...place, hubs: [three, two, one] }]);
    await seen(client, "moving", (found) => replicasOf(found) === `${three},${two},${one}` && inSync(found));
    const [elected] = await admin.elect("preferred", [place]);
    assert.ok(["NONE", "ELECTION_NOT_NEEDED"].includes(elected!.error), JSON.stringify(elected));
    await seen(client, "moving", (found) => found.partitions[0]!.leader === three);
    assert.equal((await admin.elect("preferred", [place]))[0]!.error, "ELECTION_NOT_NEEDED");
    assert.equal((await admin.elect("unclean", [place]))[0]!.error, "ELECTION_NOT_NEEDED", "somebody leads it");
    assert.equal((await admin.elect("preferred", [place], two))[0]!.error, "NONE");
    await seen(client, "moving", (found) => found.partitions[0]!.leader === two);
    await assert.rejects(admin.reassign([{ ...place, hubs: null }]), { kind: "NO_REASSIGNMENT_IN_PROGRESS" });

    // a fourth hub that is down: its copy cannot come, so the move stays under way until it is called off
    await cluster.start(4);
    await eventually(
      () => admin.describe(),
      ({ hubs }) => hubs.length === 4,
    );
    await cluster.end(4);
    await eventually(
      () => admin.describe(),
      ({ hubs }) => hubs.some(({ hub, alive }) => hub === 4 && !alive),
    );
    await admin.reassign([{ ...place, hubs: [three, two, 4] }]);
    const [move] = await eventually(
      () => admin.reassignments(),
      (moves) => moves.length === 1,
    );
    assert.deepEqual([move!.adding, move!.removing], [[4], [one]]);
    await admin.reassign([{ ...place, hubs: null }]);
    await eventually(
      () => admin.reassignments(),
      (moves) => moves.length === 0,
    );
    await seen(client, "moving", (found) => replicasOf(found) === `${three},${two},${one}`);

    await cluster.start(4);
    await client
      .admin()
      .createTopic("wide", { partitions: 1, replicationFactor: 4, configs: { "min.insync.replicas": "4" } });
    await assert.rejects(admin.leave(one, "remove"), /needs 4 copies and would have 3/);
    await client.admin().deleteTopic("wide");
    await eventually(
      () => admin.leave(one, "remove"),
      (left) => left === null,
    );
    const after = await seen(
      client,
      "moving",
      (found) => !found.partitions[0]!.replicas.includes(one) && inSync(found),
    );
    assert.ok(after.partitions[0]!.replicas.includes(4), "the new hub took its place");
    await eventually(
      async () => (await admin.describe()).hubs.map(({ hub }) => hub).sort(),
      (hubs) => hubs.join() === [two, three, 4].sort().join(),
    );
    await assert.rejects(admin.leave(9, "drain"), { kind: "BROKER_ID_NOT_REGISTERED" });

    const written = await writing.stop();
    const found = await readAll(cluster.client("reader"), "moving");
    assert.ok(written.size > 500, `${written.size} were written meanwhile`);
    for (const [value, where] of written) assert.equal(found.get(value), where, value);
    await cluster.end(one);
    await assert.rejects(cluster.start(one), /was removed from the cluster/);
  });
});

test("a replaced disk is filled again by itself; with two of three hubs gone an unclean election serves what is left", async () => {
  const cluster = await HubCluster.open(3);
  await cluster.run(async () => {
    const client = cluster.client();
    await client.admin().createTopic("kept", { partitions: 2 });
    await seen(client, "kept", inSync);
    const writing = load(cluster.client("writer"), "kept");
    await eventually(
      async () => await client.admin().offsets([{ topic: "kept", partition: 0 }], "latest"),
      ([at]) => at!.offset > 50,
    );
    await cluster.end(2, "SIGKILL");
    cluster.wipe(2);
    await cluster.start(2);
    await seen(
      client,
      "kept",
      (found) => inSync(found) && found.partitions.every(({ replicas }) => replicas.length === 3),
    );
    const written = await writing.stop();
    const found = await readAll(cluster.client("reader"), "kept");
    for (const [value, where] of written) assert.equal(found.get(value), where, value);

    await Promise.all([cluster.end(1, "SIGKILL"), cluster.end(3, "SIGKILL")]);
    const alone = cluster.client("alone");
    const place = { topic: "kept", partition: 0 };
    const [clean] = await alone.admin().cluster().elect("preferred", [place]);
    assert.notEqual(clean!.error, "NONE", "one of three is no majority of promises");
    await eventually(
      async () => (await alone.admin().cluster().elect("unclean", [place]))[0]!,
      ({ error }) => error === "NONE",
    );
    await seen(alone, "kept", ({ partitions }) => partitions[0]!.leader === 2);
    assert.equal((await alone.admin().topics(["kept"]))[0]!.partitions[1]!.leader, -1, "the other was not asked for");
  });
});

test("two hubs that both have to hold a record: a lost folder stops writing until an operator has it replaced", async () => {
  const cluster = await HubCluster.open(2);
  await cluster.run(async () => {
    const client = cluster.client();
    const admin = client.admin().cluster();
    const configs = { "min.insync.replicas": "2" };
    await client.admin().createTopic("both", { partitions: 2, replicationFactor: 2, configs });
    await seen(client, "both", inSync);
    await assert.rejects(admin.leave(2, "replace"), /has the folder of its replicas/);
    const before = load(cluster.client("writer"), "both");
    await eventually(
      async () => await client.admin().offsets([{ topic: "both", partition: 0 }], "latest"),
      ([at]) => at!.offset > 50,
    );
    const written = await before.stop();
    await cluster.end(2, "SIGKILL");
    cluster.wipe(2);
    await cluster.start(2);
    await seen(client, "both", ({ partitions }) =>
      partitions.every((one) => one.leader === 1 && one.inSync.length === 1),
    );
    const producer = cluster.client("waiting").producer({ acks: -1 });
    let taken = false;
    const waiting = producer.publish("both", { key: null, value: Buffer.from("waits") }).then(() => (taken = true));
    await eventually(
      async () => await client.admin().topics(["both"]),
      ([topic]) => topic !== undefined,
    );
    assert.equal(taken, false);
    await eventually(
      () => admin.leave(2, "replace"),
      (left) => left === null,
    );
    await seen(client, "both", inSync);
    await waiting;
    await producer.close();
    const after = load(cluster.client("again"), "both", ["e", "f"]);
    await eventually(
      async () => await client.admin().offsets([{ topic: "both", partition: 0 }], "latest"),
      ([at]) => at!.offset > written.size / 2 + 50,
    );
    const more = await after.stop();
    // the replaced one has everything too: it may be elected alone, and what it lacked would be cut from the other
    await cluster.end(1, "SIGKILL");
    await seen(cluster.client("other"), "both", ({ partitions }) => partitions.every(({ leader }) => leader === 2));
    await cluster.start(1);
    await seen(cluster.client("whole"), "both", inSync);
    const found = await readAll(cluster.client("reader"), "both");
    for (const [value, where] of [...written, ...more]) assert.equal(found.get(value), where, value);
  });
});
