// Retained messages of a lone hub: set, replaced, removed, expired; through restarts, within their bounds.
import assert from "node:assert/strict";
import test from "node:test";
import { KeptRetained } from "../../../bridge/keep/retained_keeper.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { Reason } from "../../../bridge/wire/packet.ts";
import { limits, mqttRetainedTopic, silentTrace } from "../../../hub/mod.ts";
import type { Clock } from "../../../hub/io/ports.ts";
import { scratch } from "../../tools/hub_process.ts";
import { openTestHub, type TestHub } from "../../tools/test_hub.ts";
import { bytes, readAll, text } from "./stage.ts";

interface Stage {
  readonly opened: TestHub;
  readonly retained: KeptRetained;
  /** Topics and payloads that a filter finds. */
  find(filter: string, now?: number): Promise<string[]>;
  close(): Promise<void>;
}

async function open(folder: string, clock?: Partial<Clock>): Promise<Stage> {
  const opened = await openTestHub({ folder });
  const { hub } = opened;
  const client = hub.client("keep");
  const time = hub.clock;
  const own: Clock = {
    now: () => time.now(),
    wall: () => time.wall(),
    wallTrusted: () => true,
    after: (ms, call) => time.after(ms, call),
    soon: (call) => time.soon(call),
    ...clock,
  };
  const retained = new KeptRetained({ hub, client, clock: own, trace: silentTrace });
  await retained.open();
  return {
    opened,
    retained,
    async find(filter, now = 0) {
      const found = await retained.match(filter, now);
      return found.map(({ topic, payload }) => `${topic}=${text(payload)}`).toSorted();
    },
    async close() {
      await retained.close();
      await client.close();
      await opened.close();
    },
  };
}

function message(topic: string, payload: string, expiresAt: number | null = null): Message {
  const properties = { userProperties: [["p", topic] as const] };
  return { topic, payload: bytes(payload), qos: 1, retain: true, properties, publisher: "dev", expiresAt };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  try {
    await use(folder);
  } finally {
    remove();
  }
}

test("the newest message of each topic is there after a restart, what was removed is not", async () => {
  await withFolder(async (folder) => {
    const first = await open(folder);
    const { retained } = first;
    const codes = await Promise.all([
      retained.set(message("a/1", "old")),
      retained.set(message("a/1", "new")),
      retained.set(message("a/2", "x")),
      retained.set(message("a/3", "x")),
      retained.set(message("a/3", "")),
      retained.set(message("a/none", "")),
      retained.set(message("ä/ß", "ü")),
    ]);
    assert.deepEqual(new Set(codes), new Set([Reason.success]));
    assert.deepEqual(await first.find("a/+"), ["a/1=new", "a/2=x"]);
    assert.equal(retained.count, 3);
    await first.close();

    const second = await open(folder);
    assert.equal(second.retained.count, 3);
    assert.deepEqual(await second.find("#"), ["a/1=new", "a/2=x", "ä/ß=ü"]);
    const found = await second.retained.match("a/1", 0);
    assert.deepEqual(found, [message("a/1", "new")]);
    await second.close();
  });
});

test("a subscriber finds what was acknowledged, and nothing before it is committed", async () => {
  await withFolder(async (folder) => {
    const stage = await open(folder);
    const setting = stage.retained.set(message("t", "1"));
    assert.ok(!(stage.retained.match("t", 0) instanceof Promise), "on a lone hub at once");
    assert.deepEqual(await stage.find("t"), []);
    await setting;
    assert.deepEqual(await stage.find("t"), ["t=1"]);
    await stage.close();
  });
});

test("no room: refused before it is written, also within one turn; replacing needs no room", async () => {
  await withFolder(async (folder) => {
    const stage = await open(folder);
    const { retained, opened } = stage;
    const over = 20;
    const sent = Array.from({ length: limits.mqttRetainedMax + over }, (_, at) =>
      retained.set(message(`t/${at}`, "x")),
    );
    const codes = await Promise.all(sent);
    assert.equal(codes.filter((code) => code === Reason.quotaExceeded).length, over);
    assert.equal(retained.count, limits.mqttRetainedMax);
    assert.equal(await retained.set(message("t/0", "y")), Reason.success);
    assert.equal(await retained.set(message("one/more", "y")), Reason.quotaExceeded);
    assert.equal(await retained.set(message("t/1", "")), Reason.success);
    assert.equal(await retained.set(message("one/more", "y")), Reason.success);
    assert.equal((await readAll(opened, mqttRetainedTopic)).length, limits.mqttRetainedMax + 3);
    await stage.close();
    const again = await open(folder);
    assert.equal(again.retained.count, limits.mqttRetainedMax);
    assert.deepEqual(await again.find("t/0"), ["t/0=y"]);
    await again.close();
  });
});

test("an expired message is found no more, and a tombstone removes it in the end", async () => {
  await withFolder(async (folder) => {
    let wall = 1_000;
    const timers: { ms: number; call: () => void }[] = [];
    const clock: Partial<Clock> = {
      wall: () => wall,
      after(ms, call) {
        timers.push({ ms, call });
        return { cancel: () => {} };
      },
    };
    const stage = await open(folder, clock);
    const { retained } = stage;
    await Promise.all([retained.set(message("a", "1", 2_000)), retained.set(message("b", "2", 3_000))]);
    await retained.set(message("c", "3"));
    assert.deepEqual(await stage.find("#", 1_999), ["a=1", "b=2", "c=3"]);
    assert.deepEqual(await stage.find("#", 2_000), ["b=2", "c=3"]);
    wall = 3_500;
    const replaced = retained.set(message("b", "new")); // it is under way while the sweep finds its topic
    const [sweep] = timers;
    assert.equal(sweep?.ms, limits.mqttRetainedSweepMs);
    sweep!.call();
    await replaced;
    await retained.set(message("a2", "x")); // behind the tombstones
    assert.deepEqual(await stage.find("#", 0), ["a2=x", "b=new", "c=3"]);
    await stage.close();
    const again = await open(folder);
    assert.deepEqual(await again.find("#", 0), ["a2=x", "b=new", "c=3"]);
    await again.close();
  });
});

test("a tombstone of an expired message does not remove a newer one that came to the log before it", async () => {
  await withFolder(async (folder) => {
    const first = await open(folder);
    await first.retained.set(message("t", "newer"));
    const producer = first.opened.hub.client("another hub").producer();
    const base = [{ key: "base", value: bytes("-1") }];
    await Promise.all(
      [0, 1, 2, 3].map((partition) => {
        return producer.publish(mqttRetainedTopic, { key: bytes("t"), value: null, headers: base, partition });
      }),
    );
    await producer.close();
    await first.close();

    const timers: (() => void)[] = [];
    const after: Clock["after"] = (_ms, call) => {
      timers.push(call);
      return { cancel: () => {} };
    };
    const second = await open(folder, { after });
    assert.deepEqual(await second.find("t"), ["t=newer"]);
    timers[0]!(); // writes it again, so that compaction keeps it
    await second.retained.set(message("u", "x"));
    await second.close();
    const third = await open(folder);
    assert.deepEqual(
      (await readAll(third.opened, mqttRetainedTopic)).filter((value) => value.includes("newer")).length,
      2,
    );
    await third.close();
  });
});
