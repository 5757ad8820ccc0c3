// States that a cluster should not be in: each is refused or mended with a clear word, and nothing is lost by it.
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import test from "node:test";
import { connect } from "../../hub/mod.ts";
import { eventually, HubCluster, load, readAll, seen } from "../tools/hub_cluster.ts";
import { startHub } from "../tools/hub_process.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("a lone hub that is given a Redis brings its topics, settings and groups; without it, it is refused from then on", async () => {
  const cluster = await HubCluster.open(0);
  await cluster.run(async () => {
    const lone = await startHub({ data: cluster.folder(1) });
    const before = connect({ bootstrap: `127.0.0.1:${lone.kafka}`, clientId: "before" });
    await before.admin().createTopic("old", { partitions: 2, configs: { "retention.ms": "7200000" } });
    const writing = load(before, "old");
    await pause(500);
    const written = await writing.stop();
    await before.admin().setGroupOffsets("readers", [{ topic: "old", partition: 0, offset: 3 }]);
    await before.close();
    await lone.end();

    await cluster.start(1);
    const client = cluster.client();
    await seen(
      client,
      "old",
      ({ partitions }) => partitions.length === 2 && partitions.every(({ leader }) => leader === 1),
    );
    const found = await readAll(client, "old");
    assert.ok(written.size > 0);
    for (const [value, where] of written) assert.equal(found.get(value), where, value);
    const configs = await client.admin().topicConfigs("old");
    assert.equal(configs.find(({ name }) => name === "retention.ms")?.value, "7200000");
    const offsets = await client.admin().groupOffsets("readers");
    assert.equal(offsets.find(({ topic, partition }) => topic === "old" && partition === 0)?.offset, 3);

    await cluster.start(2);
    await eventually(
      () => client.admin().cluster().describe(),
      ({ hubs }) => hubs.length === 2,
    );
    await client
      .admin()
      .cluster()
      .reassign([{ topic: "old", partition: 0, hubs: [1, 2] }]);
    await seen(client, "old", ({ partitions }) => partitions[0]!.inSync.length === 2);
    await cluster.end(1);
    await assert.rejects(startHub({ data: cluster.folder(1) }), /belongs to a cluster of hubs: start it with --redis/);
    await cluster.start(1);
    await seen(client, "old", ({ partitions }) => partitions.every(({ leader }) => leader > 0));
  });
});

test("two clusters on one Redis under two names; under one name the second is refused; an older copy of a folder too", async () => {
  const cluster = await HubCluster.open(1);
  await cluster.run(async () => {
    const client = cluster.client();
    await client.admin().createTopic("mine", { partitions: 1 });
    const args = ["--hub-id", "1", "--redis", cluster.redis.url];
    const other = await startHub({ data: cluster.folder(8), args, env: { PARTIDOR_CLUSTER__NAME: "other" } });
    const theirs = connect({ bootstrap: `127.0.0.1:${other.kafka}`, clientId: "theirs" });
    await theirs.admin().createTopic("theirs", { partitions: 1 });
    const names = (await client.admin().topics()).map(({ name }) => name);
    assert.ok(names.includes("mine") && !names.includes("theirs"), names.join());
    await theirs.close();
    await other.end();
    const second = ["--hub-id", "2", "--redis", cluster.redis.url];
    await assert.rejects(startHub({ data: cluster.folder(8), args: second }), /belongs to cluster|hub 1/);

    await cluster.end(1);
    cpSync(cluster.folder(1), cluster.folder(9), { recursive: true });
    await cluster.start(1);
    await cluster.end(1);
    await assert.rejects(startHub({ data: cluster.folder(9), args }), /older copy|older/);
    rmSync(cluster.folder(9), { recursive: true });
    await cluster.start(1);
    await seen(client, "mine", ({ partitions }) => partitions[0]!.leader === 1);
  });
});
