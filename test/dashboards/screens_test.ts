// The lists of topics and groups: figures, lag in records and seconds, one computation for all who look.
import assert from "node:assert/strict";
import test from "node:test";
import { serve } from "./browser.ts";
import { TestSocket } from "./socket.ts";
import { StandIn } from "./stand_in.ts";

interface GroupMessage {
  readonly groups: {
    readonly group: string;
    readonly state: string;
    readonly lag: number;
    readonly seconds: number | null;
    readonly memberCount: number;
    readonly partitions: readonly { partition: number; lag: number; seconds: number | null; member: string | null }[];
  }[];
}

function filled(): StandIn {
  const hub = new StandIn();
  hub.createTopic("sensors", 2);
  const now = Date.now();
  for (let n = 0; n < 100; n++) hub.append("sensors", 0, { key: "k", value: "1", timestamp: now - (100 - n) * 1000 });
  for (let n = 0; n < 10; n++) hub.append("sensors", 1, { key: "k", value: "1", timestamp: now - 5000 });
  const members = [
    {
      memberId: "m-1",
      instanceId: null,
      clientId: "reader",
      clientHost: "127.0.0.1",
      assignment: [{ topic: "sensors", partition: 0 }],
    },
  ];
  hub.groups.set("ml", {
    description: { group: "ml", state: "Stable", protocolType: "consumer", protocol: "range", members },
    offsets: [
      { topic: "sensors", partition: 0, offset: 70 },
      { topic: "sensors", partition: 1, offset: 10 },
    ],
  });
  hub.groups.set("late", {
    description: { group: "late", state: "Empty", protocolType: "consumer", protocol: "", members: [] },
    offsets: [{ topic: "sensors", partition: 0, offset: 40 }],
  });
  return hub;
}

test("groups: lag in records and in seconds behind, per partition and in all", async () => {
  const hub = filled();
  const dashboard = await serve(hub);
  const socket = await TestSocket.open(dashboard.port);
  try {
    socket.send({ type: "watch", what: "groups" });
    const { groups } = (await socket.until(({ type }) => type === "groups")) as unknown as GroupMessage;
    const [late, ml] = groups;
    assert.deepEqual([late!.group, late!.state, late!.lag, late!.memberCount], ["late", "Empty", 60, 0]);
    assert.deepEqual([ml!.group, ml!.state, ml!.lag, ml!.memberCount], ["ml", "Stable", 30, 1]);
    // the first unread record of `ml` is 30 s old, that of `late` 60 s
    assert.ok(Math.abs(ml!.seconds! - 30) < 3, `${ml!.seconds} s`);
    assert.ok(Math.abs(late!.seconds! - 60) < 3, `${late!.seconds} s`);
    assert.deepEqual(
      ml!.partitions.map(({ lag, member }) => [lag, member]),
      [
        [30, "reader"],
        [0, null],
      ],
    );
    assert.equal(ml!.partitions[1]!.seconds, 0);
  } finally {
    await socket.close();
    await dashboard.close();
  }
});

test("lag in seconds is read once while the committed offset stands", async () => {
  const hub = filled();
  const dashboard = await serve(hub);
  const socket = await TestSocket.open(dashboard.port);
  try {
    socket.send({ type: "watch", what: "groups" });
    const rounds = (): number => socket.messages.filter(({ type }) => type === "groups").length;
    await socket.until(() => rounds() >= 1);
    const opened = hub.opened.get("dashboard-lag");
    await socket.until(() => rounds() >= 2);
    assert.equal(hub.opened.get("dashboard-lag"), opened);
    hub.groups.get("ml")!.offsets[0] = { topic: "sensors", partition: 0, offset: 90 };
    await socket.until(
      (each) => each.type === "groups" && (each as unknown as GroupMessage).groups[1]!.seconds! < 15,
      "a new lag",
    );
    assert.equal(hub.opened.get("dashboard-lag"), opened! + 1);
  } finally {
    await socket.close();
    await dashboard.close();
  }
});

test("topics: partitions, records kept and records a second; several browsers share one computation", async () => {
  const hub = filled();
  hub.trim("sensors", 0, 20);
  const dashboard = await serve(hub);
  const sockets = [await TestSocket.open(dashboard.port), await TestSocket.open(dashboard.port)];
  try {
    for (const socket of sockets) socket.send({ type: "watch", what: "topics" });
    const seen = await Promise.all(sockets.map((socket) => socket.until(({ type }) => type === "topics")));
    const [row] = seen[0]!["topics"] as Record<string, unknown>[];
    assert.deepEqual([row!["topic"], row!["records"], row!["perSecond"]], ["sensors", 90, null]);
    assert.deepEqual([row!["bytes"], row!["retentionMs"], row!["cleanup"]], [null, 604_800_000, "delete"]);
    for (let n = 0; n < 50; n++) hub.append("sensors", 1, { key: "k", value: "1" });
    const wanted = (each: Record<string, unknown>): boolean =>
      each["type"] === "topics" && ((each["topics"] as { perSecond: number }[])[0]!.perSecond ?? 0) > 0;
    const next = await Promise.all(sockets.map((socket) => socket.until(wanted, "a rate")));
    assert.equal(next[0]!["time"], next[1]!["time"], "the same message");
    const { perSecond } = (next[0]!["topics"] as { perSecond: number }[])[0]!;
    assert.ok(perSecond > 10 && perSecond < 60, `${perSecond}/s`);
    sockets[0]!.send({ type: "unwatch", what: "topics" });
  } finally {
    for (const socket of sockets) await socket.close();
    await dashboard.close();
  }
});
