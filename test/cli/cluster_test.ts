// `partidor cluster` against a real hub and real hubs: tables, NDJSON, exit codes, sentences.
import assert from "node:assert/strict";
import test from "node:test";
import { hubsOf } from "../../cli/cluster.ts";
import { eventually, HubCluster, seen } from "../tools/hub_cluster.ts";
import { runCli } from "../tools/hub_process.ts";
import { withHub } from "../tools/test_hub.ts";

type Rows = Record<string, unknown>[];
const rowsOf = (stdout: string): Rows =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Rows[number]);

test("hubs are numbers, each once", () => {
  assert.deepEqual(hubsOf("2,3,1"), [2, 3, 1]);
  for (const wrong of ["", "a", "1,1", "64", "1;2", "-1"])
    assert.throws(() => hubsOf(wrong), /hubs are numbers/, wrong);
});

test("two hubs: status, leader, reassign, elect, drain, remove, each with its exit code", async () => {
  const cluster = await HubCluster.open(2);
  await cluster.run(async () => {
    const client = cluster.client();
    await client.admin().createTopic("t", { partitions: 2, replicationFactor: 1 });
    await seen(client, "t", ({ partitions }) => partitions.every(({ leader }) => leader > 0));
    const cli = async (code: number, ...args: string[]) => {
      const result = await runCli(["cluster", ...args, "-b", cluster.bootstrap()]);
      assert.equal(result.code, code, `${args.join(" ")}\n${result.stdout}${result.stderr}`);
      return result;
    };
    const told = rowsOf((await cli(0, "status", "--json")).stdout);
    assert.deepEqual(
      told.map(({ event }) => event),
      ["cluster", "hub", "hub"],
    );
    assert.deepEqual([told[0]!.degraded, told[1]!.state, told[0]!.noLeader], [false, "alive", 0]);
    assert.match((await cli(0, "status")).stdout, /HUB +STATE +CONTROLLER/);

    await cli(0, "reassign", "t", "--to", "1,2");
    const moved = await seen(client, "t", ({ partitions }) => partitions.every(({ inSync }) => inSync.length === 2));
    assert.deepEqual(moved.partitions[0]!.replicas, [1, 2]);
    await cli(0, "leader", "t", "0", "2");
    await eventually(
      async () => rowsOf((await cli(0, "leader", "t", "0", "--json")).stdout)[0]!,
      ({ leader }) => leader === 2,
    );
    assert.match((await cli(0, "elect", "t", "0")).stdout, /elected|as it was/);
    assert.match((await cli(0, "elect", "t", "0", "--unclean")).stdout, /as it was/);

    assert.match((await cli(3, "reassign", "nope", "--to", "1")).stderr, /there is no topic "nope"/);
    assert.match((await cli(2, "reassign", "t")).stderr, /give --to HUBS or --cancel/);
    assert.match((await cli(2, "reassign", "t", "--to", "1,9")).stderr, /one of the hubs 1, 2, once/);
    assert.match((await cli(3, "drain", "9")).stderr, /there is no hub 9/);

    await cli(0, "drain", "2");
    await seen(client, "t", ({ partitions }) => partitions.every(({ replicas }) => replicas.join() === "1"));
    await cli(0, "drain", "2", "--cancel");
    await cli(0, "remove", "2");
    assert.match((await cli(4, "remove", "1")).stderr, /the last one/);
    await cluster.end(2);
    await eventually(
      async () => rowsOf((await runCli(["cluster", "status", "--json", "-b", cluster.bootstrap()])).stdout),
      (rows) => {
        return rows.filter(({ event }) => event === "hub").length === 1;
      },
    );
  });
});

test("a hub that is down makes the status degraded: exit code 7, and the partitions are named", async () => {
  const cluster = await HubCluster.open(2);
  await cluster.run(async () => {
    const client = cluster.client();
    await client.admin().createTopic("t", { partitions: 1, replicationFactor: 2 });
    await seen(client, "t", ({ partitions }) => partitions.every(({ inSync }) => inSync.length === 2));
    await cluster.end(2, "SIGKILL");
    const rows = await eventually(
      async () => {
        const { code, stdout } = await runCli(["cluster", "status", "--json", "-b", cluster.bootstrap()]);
        return { code, rows: rowsOf(stdout) };
      },
      (found) => found.rows.some(({ event, state }) => event === "hub" && state === "down"),
    );
    assert.equal(rows.code, 7);
    const bad = rows.rows.find(({ event, topic }) => event === "partition" && topic === "t");
    assert.ok(bad, JSON.stringify(rows.rows));
  });
});

test("a lone hub: its status, and what a cluster alone can do is refused", async () => {
  await withHub({}, async ({ kafka: port }) => {
    const { code, stdout } = await runCli(["cluster", "status", "--json", "-b", `127.0.0.1:${port}`]);
    assert.equal(code, 0);
    assert.equal(rowsOf(stdout)[1]!.hub, 1);
    assert.match((await runCli(["cluster", "remove", "1", "-b", `127.0.0.1:${port}`])).stderr, /lone hub/);
  });
});
