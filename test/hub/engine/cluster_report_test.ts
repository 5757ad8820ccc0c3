// What operators are told of a cluster: events that are kept, gauges, and reasons why a hub is degraded.
import assert from "node:assert/strict";
import fs, { readFileSync } from "node:fs";
import test from "node:test";
import { measureCluster, type PartitionReport, RecentEvents, worriesOf } from "../../../hub/engine/cluster_report.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/trace.ts";

const hub = (hubId: number, alive = true) => {
  return { hubId, dirId: "d", host: "h", port: 1, rack: null, alive, draining: false, mqtt: null };
};
const status = {
  clusterId: "c",
  redis: "up" as "up" | "down",
  incarnation: 1,
  seq: 5,
  controller: 1,
  ctlEpoch: 2,
  hubs: [hub(1), hub(2, false)],
};
const partition = (state: PartitionReport["state"], changes: Partial<PartitionReport> = {}): PartitionReport => ({
  topic: "t",
  partition: 0,
  leader: 1,
  epoch: 65,
  replicas: [1, 2],
  inSync: [1],
  minInSync: 1,
  state,
  moving: false,
  lag: [],
  ...changes,
});

test("the newest events are kept, within the bound, and all are passed on", () => {
  let told = 0;
  const events = new RecentEvents({ ...silentTrace, event: () => void told++ }, openClock());
  events.event("debug", "noise");
  for (let i = 0; i < limits.clusterEventsMax + 5; i++) events.event("info", "leading", { epoch: i });
  assert.equal(told, limits.clusterEventsMax + 6);
  assert.equal(events.recent().length, limits.clusterEventsMax);
  assert.equal(events.recent()[0]!.fields["epoch"], limits.clusterEventsMax + 4);
});

test("reasons name partitions; Redis away and a removed hub are reasons too; all well is none", () => {
  assert.deepEqual(worriesOf(status, 1, [partition("ok"), partition("few in sync")]), []);
  const bad = [
    partition("no leader", { partition: 3 }),
    ...[0, 1, 2, 4].map((at) => partition("under min", { partition: at })),
  ];
  assert.deepEqual(worriesOf(status, 1, bad), [
    "replication: no leader: t-3",
    "replication: fewer in sync than min.insync.replicas: t-0, t-1, t-2 and 1 more",
  ]);
  assert.match(worriesOf({ ...status, redis: "down" }, 1, [])[0]!, /^redis: not reachable/);
  assert.match(worriesOf(status, 9, [])[0]!, /was removed/);
});

test("gauges count partitions by state, and every one of them stands in hub/README.md", () => {
  const gauges = new Map<string, number>();
  const trace = { ...silentTrace, gauge: (name: string, value: number) => void gauges.set(name, value) };
  const all = [partition("under min", { lag: [{ hub: 2, records: 7 }] }), partition("no leader", { leader: -1 })];
  measureCluster(trace, status, 1, all);
  const expected = {
    offline_partitions: 1,
    under_min_isr_partitions: 1,
    under_replicated_partitions: 1,
    led_partitions: 1,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(gauges.get(name), value, name);
  assert.deepEqual([gauges.get("replication_lag_records_max"), gauges.get("hubs_alive")], [7, 1]);
  const readme = readFileSync(new URL("../../../hub/README.md", import.meta.url), "utf8");
  for (const name of gauges.keys()) assert.ok(readme.includes(`| \`${name}\` |`), `${name} is missing there`);
});

test("every event and counter of the cluster's table in hub/README.md is one that the hub tells", () => {
  const readme = readFileSync(new URL("../../../hub/README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("### What a cluster tells"), readme.indexOf("### Promises of a cluster"));
  const names = [...table.matchAll(/^\| `([a-z_]+)` \| (?:event|counter)/gm)].map(([, name]) => name!);
  assert.ok(names.length >= 15, `${names.length} names`);
  const files = ["engine", "cluster", "io", "log"].map((room) => new URL(`../../../hub/${room}/`, import.meta.url));
  const sources = [
    ...files.flatMap((folder) => textsOf(folder)),
    ...textsOf(new URL("../../../hub/", import.meta.url)),
  ];
  for (const name of names)
    assert.ok(
      sources.some((text) => text.includes(`"${name}"`)),
      `nothing tells ${name}`,
    );
});

function textsOf(folder: URL): string[] {
  return fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(new URL(name, folder), "utf8"));
}
