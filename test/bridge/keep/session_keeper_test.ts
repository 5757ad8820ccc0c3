// What a lone hub keeps of its clients, through restarts and power cuts.
import assert from "node:assert/strict";
import test from "node:test";
import type { Fields } from "../../../hub/trace.ts";
import { Kind, readKey } from "../../../bridge/keep/keys.ts";
import { HubError, limits, mqttSessionsTopic, silentTrace } from "../../../hub/mod.ts";
import { scratch } from "../../tools/hub_process.ts";
import { bytes, openKeeper, readAll, record, session, will } from "./stage.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  try {
    await use(folder);
  } finally {
    remove();
  }
}

test("sessions, wills and QoS 2 ids are there after a restart, what ended is not", async () => {
  await withFolder(async (folder) => {
    const first = await openKeeper({ folder });
    assert.deepEqual(first.known, []);
    const { keeper } = first;
    assert.equal(keeper.isShared, false);
    keeper.keepWill("a", will("w/a"));
    await Promise.all([keeper.store("a", session(1)), keeper.store("a", session(2)), keeper.store("b", session(3))]);
    keeper.keepWill("c", will("w/c"));
    await Promise.all([7, 8, 9].map((id) => keeper.storeOnce("a", id, "t", record(`${id}`))));
    await keeper.release("a", 8);
    keeper.keepWill("b", will("w/b"));
    keeper.keepWill("b", null);
    await keeper.store("d", session(4));
    await keeper.storeOnce("d", 1, "t", record("d"));
    keeper.keepWill("d", will("w/d"));
    await keeper.end("d");
    await keeper.end("nobody");
    await first.close();

    const second = await openKeeper({ folder });
    try {
      const known = new Map(second.known.map(({ clientId, past }) => [clientId, past]));
      assert.deepEqual([...known.keys()].toSorted(), ["a", "b", "c"]);
      assert.deepEqual(known.get("a"), { session: session(2), inboundIds: [7, 9], will: will("w/a") });
      assert.deepEqual(known.get("b"), { session: session(3), inboundIds: [], will: null });
      assert.deepEqual(known.get("c"), { session: null, inboundIds: [], will: will("w/c") });
      assert.deepEqual((await readAll(second.hub, "t")).toSorted(), ["7", "8", "9", "d"]);
      await Promise.all(["a", "b", "c"].map((clientId) => second.keeper.end(clientId)));
    } finally {
      await second.close();
    }
    const third = await openKeeper({ folder });
    assert.deepEqual(third.known, [], "what was found at the start is removed as well");
    await third.close();
  });
});

test("the topic is made with the first record, in the order of the calls; a hub without clients has none", async () => {
  await withFolder(async (folder) => {
    const stage = await openKeeper({ folder });
    const client = stage.hub.hub.client("observer");
    const isThere = async (): Promise<boolean> =>
      (await client.admin().topics()).some(({ name }) => name === mqttSessionsTopic);
    await stage.keeper.end("nobody");
    stage.keeper.keepWill("nobody", null);
    assert.equal(await isThere(), false);
    const stored = Array.from({ length: 20 }, (_, at) => stage.keeper.store("a", session(at)));
    stored[0]!.then(() => stage.keeper.store("a", session(20))).catch(() => {});
    await Promise.all(stored);
    assert.equal(await isThere(), true);
    await stage.keeper.store("a", session(21));
    await client.close();
    await stage.close();
    const again = await openKeeper({ folder });
    assert.deepEqual(again.known[0]?.past.session, session(21));
    await again.close();
  });
});

test("a topic that cannot be made is tried again with the next record", async () => {
  const stage = await openKeeper();
  const { hub } = stage.hub;
  try {
    const ensure = hub.ensureTopic.bind(hub);
    hub.ensureTopic = () => Promise.reject(new HubError("KAFKA_STORAGE_ERROR", "no room"));
    await assert.rejects(stage.keeper.store("a", session(1)), /no room/);
    hub.ensureTopic = ensure;
    await Promise.all([stage.keeper.store("a", session(2)), stage.keeper.store("b", session(3))]);
    assert.equal((await readAll(stage.hub, mqttSessionsTopic)).length, 2);
  } finally {
    await stage.close();
  }
});

test("records keep the order of the calls while their topic is being made", async () => {
  const stage = await openKeeper({ settings: { "num.partitions": 1 } });
  try {
    const sent = Array.from({ length: 50 }, (_, id) => stage.keeper.storeOnce("c", id + 1, "new", record(`${id}`)));
    const ended = stage.keeper.end("c");
    const again = stage.keeper.storeOnce("c", 1, "new", record("last"));
    await Promise.all([...sent, ended, again]);
    const expected = Array.from({ length: 50 }, (_, id) => `${id}`);
    assert.deepEqual(await readAll(stage.hub, "new"), [...expected, "last"]);
  } finally {
    await stage.close();
  }
});

test("an end removes the ids that are being stored, and not those of the next session", async () => {
  await withFolder(async (folder) => {
    const first = await openKeeper({ folder });
    const { keeper } = first;
    const old = [1, 2, 3].map((id) => keeper.storeOnce("c", id, "t", record(`old ${id}`)));
    const ended = keeper.end("c");
    const next = [keeper.store("c", session(5)), keeper.storeOnce("c", 2, "t", record("new 2"))];
    await Promise.all([...old, ended, ...next]);
    await first.close();
    const second = await openKeeper({ folder });
    assert.deepEqual(second.known, [{ clientId: "c", past: { session: session(5), inboundIds: [2], will: null } }]);
    await second.close();
  });
});

test("an end that comes again waits for what the first one removes", async () => {
  const stage = await openKeeper();
  try {
    const told: string[] = [];
    const stored = stage.keeper.storeOnce("c", 1, "t", record("1"));
    await Promise.all([
      stage.keeper.end("c").then(() => told.push("first")),
      stage.keeper.end("c").then(() => told.push("again")),
    ]);
    await stored;
    assert.deepEqual(told, ["first", "again"]);
  } finally {
    await stage.close();
  }
});

test("packet ids that come one after the other share a slot, so that few tombstones are left", async () => {
  const stage = await openKeeper();
  try {
    for (let id = 1; id <= 50; id++) {
      await Promise.all([id, 1_000 + id].map((each) => stage.keeper.storeOnce("c", each, "t", record(`${each}`))));
      await Promise.all([id, 1_000 + id].map((each) => stage.keeper.release("c", each)));
    }
    const client = stage.hub.hub.client("reader");
    const consumer = client.consumer();
    await consumer.assign([{ topic: mqttSessionsTopic, from: "earliest" }]);
    const keys = new Set<string>();
    for (let read = 0; read < 200; ) {
      for (const { records } of await consumer.poll(1_000)) {
        for (const { key } of records) keys.add(String(key));
        read += records.length;
      }
    }
    assert.equal(keys.size, 2);
    await client.close();
  } finally {
    await stage.close();
  }
});

test("what is written of a client keeps the order of the calls: a release is not overtaken by what comes after it", async () => {
  const stage = await openKeeper();
  const client = stage.hub.hub.client("reader");
  try {
    await stage.keeper.storeOnce("c", 1, "t", record("1"));
    const released = stage.keeper.release("c", 1);
    await Promise.all([released, stage.keeper.store("c", session(1))]);
    const consumer = client.consumer();
    await consumer.assign([{ topic: mqttSessionsTopic, from: "earliest" }]);
    const kinds: string[] = [];
    while (kinds.length < 3) {
      for (const { records } of await consumer.poll(1_000)) {
        for (const { key, value } of records) kinds.push(`${readKey(key!)?.kind}${value === null ? " removed" : ""}`);
      }
    }
    assert.deepEqual(kinds, [`${Kind.inboundId}`, `${Kind.inboundId} removed`, `${Kind.session}`]);
  } finally {
    await client.close();
    await stage.close();
  }
});

test("a message that its topic refuses leaves no id behind", async () => {
  await withFolder(async (folder) => {
    const first = await openKeeper({ folder });
    const large = { key: bytes("k"), value: new Uint8Array(3 * 1024 * 1024) };
    await assert.rejects(first.keeper.storeOnce("c", 1, "t", large), { kind: "MESSAGE_TOO_LARGE" });
    await assert.rejects(first.keeper.storeOnce("c", 1, "not a name", record("x")), {
      kind: "INVALID_TOPIC_EXCEPTION",
    });
    await first.keeper.storeOnce("c", 2, "t", record("2"));
    await first.keeper.release("c", 2);
    await first.close();
    const second = await openKeeper({ folder });
    assert.deepEqual(second.known, []);
    await second.close();
  });
});

test("bounds: ids of all clients together; what is over them is refused and not kept", async () => {
  const stage = await openKeeper();
  const { keeper } = stage;
  try {
    // what waits for a topic has a bound of its own
    for (const topic of ["t", mqttSessionsTopic]) await stage.hub.hub.ensureTopic(topic);
    const clients = Math.ceil(limits.mqttQos2IdsMax / limits.mqttQos2PerClientMax);
    const fills: Promise<void>[] = [];
    for (let at = 0; at < limits.mqttQos2IdsMax; at++) {
      const id = 1 + Math.floor(at / clients);
      fills.push(keeper.storeOnce(`c${at % clients}`, id, "t", record("")));
    }
    await Promise.all(fills);
    await assert.rejects(keeper.storeOnce("one more", 1, "t", record("")), { kind: "THROTTLING_QUOTA_EXCEEDED" });
    await keeper.release("c0", 1);
    await keeper.storeOnce("one more", 1, "t", record(""));
    await assert.rejects(keeper.storeOnce("one more", 2, "t", record("")), { kind: "THROTTLING_QUOTA_EXCEEDED" });
    await keeper.end("c1");
    await keeper.storeOnce("one more", 2, "t", record(""));
  } finally {
    await stage.close();
  }
});

test("a record that cannot be read is told, and the others are there", async () => {
  await withFolder(async (folder) => {
    const first = await openKeeper({ folder });
    await first.keeper.store("good", session(1));
    const producer = first.hub.hub.client("writer").producer();
    await producer.publish(mqttSessionsTopic, { key: bytes("\u0001\u0000\u0000\u0000\u0004bad"), value: bytes("?") });
    await producer.publish(mqttSessionsTopic, { key: bytes("\u0001"), value: bytes("?") });
    await producer.publish(mqttSessionsTopic, { key: bytes("\u0063 newer"), value: bytes("?") });
    await producer.close();
    await first.close();
    const told: Fields[] = [];
    const trace = {
      ...silentTrace,
      event: (_level: string, event: string, fields: Fields = {}) => {
        if (event === "mqtt_kept_unreadable") told.push(fields);
      },
    };
    const second = await openKeeper({ folder, trace });
    assert.deepEqual(
      second.known.map(({ clientId }) => clientId),
      ["good"],
    );
    assert.equal(told.length, 2);
    await second.close();
  });
});
