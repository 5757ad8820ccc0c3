// The producer against a scripted hub: order, batching, retries without doubling, bounds, and every way to fail.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import { connectLocal, connectNet } from "../../../hub/client/client.ts";
import type { HubClient, Producer, ProducerOptions } from "../../../hub/client/faces.ts";
import { HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { openClock } from "../../../hub/io/clock.ts";
import type { Clock, Socket } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/limits.ts";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import type { Request } from "../../../hub/wire/apis.ts";
import { openPeerOf } from "./peer.ts";
import { scriptedHub } from "./scripted_hub.ts";
import type { ScriptedHub } from "./scripted_hub.ts";

const real = openClock();
const wait = (ms: number): Promise<void> => new Promise((resolve) => void real.after(ms, resolve));
/** Retry pauses cost nothing here. */
const clock: Clock = { ...real, now: real.now, after: (_delayMs, call) => real.after(0, call), soon: real.soon };

/** Here only deadlines take their time. */
const patient: Clock = { ...clock, after: (delayMs, call) => real.after(delayMs > 2000 ? delayMs : 0, call) };

const text = (value: string): Uint8Array => Buffer.from(value);
const record = (value: string, partition = 0) => ({ key: null, value: text(value), partition });
const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;

async function withProducer(
  options: ProducerOptions,
  use: (hub: ScriptedHub, producer: Producer, client: HubClient) => Promise<void>,
): Promise<void> {
  const hub = scriptedHub();
  hub.topics.set("t", 3);
  const client = connectLocal({ dispatch: hub.dispatch, clock, clientId: "test" });
  // Timers of the clock do not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  try {
    await use(hub, client.producer(options), client);
  } finally {
    await client.close();
    clearInterval(alive);
  }
}

/** The same hub, but over a socket that `intrude` may break. */
async function withSocket(
  options: ProducerOptions,
  intrude: (request: Request, socket: Socket) => boolean,
  use: (hub: ScriptedHub, producer: Producer) => Promise<void>,
): Promise<void> {
  const hub = scriptedHub();
  hub.topics.set("t", 3);
  const peer = await openPeerOf(hub.dispatch, intrude);
  hub.address = { host: "127.0.0.1", port: peer.port };
  const client = connectNet({ net: peer.net, clock: patient, bootstrap: [hub.address], clientId: "test" });
  const alive = setInterval(() => {}, 1000);
  try {
    await use(hub, client.producer(options));
  } finally {
    await client.close();
    await peer.close();
    clearInterval(alive);
  }
}

test("records of one turn are one batch per partition and one request, in the order of the calls", async () => {
  await withProducer({}, async (hub, producer) => {
    await producer.publish("t", record("first"));
    hub.produceCalls.length = 0;
    const told: string[] = [];
    for (let index = 0; index < 30; index += 1) {
      producer.send("t", record(`v${index}`, index % 3), (error, offset, partition) => {
        told.push(`${error?.message ?? ""}${partition}@${offset}`);
      });
    }
    assert.equal(told.length, 0);
    await producer.flush();
    assert.equal(hub.produceCalls.length, 1);
    assert.equal(hub.produceCalls[0]!.topicData[0]!.partitionData.length, 3);
    assert.deepEqual(
      hub.values("t", 1),
      Array.from({ length: 10 }, (_, index) => `v${index * 3 + 1}`),
    );
    assert.deepEqual(
      told.slice(0, 10),
      Array.from({ length: 10 }, (_, index) => `0@${index + 1}`),
    );
    assert.equal(told.length, 30);
    assert.equal(producer.bufferedBytes(), 0);
  });
});

test("the bytes of a record may be changed after the call, known topic or not", async () => {
  await withProducer({}, async (hub, producer) => {
    for (let round = 0; round < 2; round += 1) {
      const value = text("before");
      producer.send("t", { key: null, value, partition: 0 });
      value.fill(88);
      await producer.flush();
    }
    assert.deepEqual(hub.values("t", 0), ["before", "before"]);
  });
});

test("keys choose by murmur2, keyless records go round", async () => {
  await withProducer({}, async (hub, producer) => {
    for (let index = 0; index < 6; index += 1) producer.send("t", { key: null, value: text(`n${index}`) });
    const { partition } = await producer.publish("t", { key: text("abc"), value: text("keyed") });
    assert.equal(partition, 479470107 % 3);
    for (const each of [0, 1, 2]) assert.equal(hub.values("t", each).filter((value) => value !== "keyed").length, 2);
  });
});

test("a topic is created by producing to it; records sent meanwhile keep their order", async () => {
  await withProducer({}, async (hub, producer) => {
    hub.create = true;
    for (let index = 0; index < 5; index += 1) producer.send("new", record(`v${index}`));
    await new Promise((resolve) => setTimeout(resolve, 0));
    for (let index = 5; index < 9; index += 1) producer.send("new", record(`v${index}`));
    await producer.flush();
    assert.deepEqual(
      hub.values("new", 0),
      Array.from({ length: 9 }, (_, index) => `v${index}`),
    );
  });
});

test("a topic that cannot be is refused at once, one that does not come after the retries", async () => {
  await withProducer({}, async (_hub, producer) => {
    await assert.rejects(producer.publish("bad name", record("v")), kind("INVALID_TOPIC_EXCEPTION"));
    await assert.rejects(producer.publish("missing", record("v")), kind("UNKNOWN_TOPIC_OR_PARTITION"));
    await assert.rejects(producer.publish("t", record("v", 7)), kind("UNKNOWN_TOPIC_OR_PARTITION"));
    assert.equal(producer.bufferedBytes(), 0);
  });
});

test("batches are sealed at batchBytes; their sequences follow one another", async () => {
  await withProducer({ batchBytes: 1000 }, async (hub, producer) => {
    for (let index = 0; index < 60; index += 1) producer.send("t", record("x".repeat(90)));
    await producer.flush();
    const headers = hub.produceCalls.flatMap(({ topicData }) =>
      topicData.flatMap(({ partitionData }) => partitionData.map(({ records }) => readBatchHeader(records!))),
    );
    assert.ok(headers.length >= 6);
    assert.ok(headers.every(({ size }) => size <= 1100));
    let sequence = 0;
    for (const header of headers) {
      assert.equal(header.baseSequence, sequence);
      sequence += header.count;
    }
    assert.equal(sequence, 60);
  });
});

test("a retriable refusal is retried in order and without doubling, batches behind it wait for it", async () => {
  for (const fate of ["NOT_LEADER_OR_FOLLOWER", "lost", "KAFKA_STORAGE_ERROR"] as const) {
    await withSocket(
      { batchBytes: 200 },
      () => false,
      async (hub, producer) => {
        let failures = 3;
        hub.fate = (_topic, _partition, values) => (values.includes("v3") && failures-- > 0 ? fate : "append");
        const offsets: number[] = [];
        for (let index = 0; index < 40; index += 1) {
          producer.send("t", record(`v${index}`), (error, offset) => {
            assert.equal(error, null);
            offsets.push(offset);
          });
        }
        await producer.flush();
        assert.deepEqual(
          hub.values("t", 0),
          Array.from({ length: 40 }, (_, index) => `v${index}`),
          fate,
        );
        assert.deepEqual(
          offsets.sort((one, other) => one - other),
          offsets.map((_, index) => index),
          fate,
        );
        assert.equal(hub.identities.length, 1);
      },
    );
  }
});

test("without idempotence order is kept by one batch at a time", async () => {
  await withProducer({ acks: 1, batchBytes: 200 }, async (hub, producer) => {
    let failures = 2;
    hub.fate = () => (failures-- > 0 ? "LEADER_NOT_AVAILABLE" : "append");
    for (let index = 0; index < 40; index += 1) producer.send("t", record(`v${index}`));
    await producer.flush();
    assert.deepEqual(
      hub.values("t", 0),
      Array.from({ length: 40 }, (_, index) => `v${index}`),
    );
    assert.equal(hub.identities.length, 0);
  });
});

test("a batch that is refused for good does not hold up what follows: a new identity begins", async () => {
  await withProducer({ batchBytes: 200 }, async (hub, producer) => {
    hub.fate = (_topic, _partition, values) => (values.includes("v0") ? "MESSAGE_TOO_LARGE" : "append");
    const failed: number[] = [];
    for (let index = 0; index < 40; index += 1) {
      producer.send("t", record(`v${index}`), (error) => {
        if (error === null) return;
        assert.ok(kind("MESSAGE_TOO_LARGE")(error));
        failed.push(index);
      });
    }
    await producer.flush();
    const kept = Array.from({ length: 40 }, (_, index) => index).filter((index) => !failed.includes(index));
    assert.ok(failed.length > 0 && failed.length < 20);
    assert.deepEqual(
      hub.values("t", 0),
      kept.map((index) => `v${index}`),
    );
    assert.equal(hub.identities.length, 2);
  });
});

test("a producer the hub forgot begins anew; retries end after their bound", async () => {
  await withProducer({}, async (hub, producer) => {
    await producer.publish("t", record("a"));
    let failures = 1;
    hub.fate = () => (failures-- > 0 ? "UNKNOWN_PRODUCER_ID" : "append");
    await producer.publish("t", record("b"));
    hub.fate = () => "NOT_ENOUGH_REPLICAS";
    const before = hub.produceCalls.length;
    await assert.rejects(producer.publish("t", record("c")), kind("NOT_ENOUGH_REPLICAS"));
    assert.equal(hub.produceCalls.length - before, limits.clientRetriesMax + 1);
    hub.fate = () => "append";
    await producer.publish("t", record("d"));
    assert.deepEqual(hub.values("t", 0), ["a", "b", "d"]);
  });
});

test("partitions do not wait for one another's retries", async () => {
  await withProducer({}, async (hub, producer) => {
    await producer.publish("t", record("warm"));
    let open = false;
    hub.fate = (_topic, partition) => (partition === 0 && !open ? "LEADER_NOT_AVAILABLE" : "append");
    const slow = producer.publish("t", record("slow"));
    await producer.publish("t", record("fast", 1));
    open = true;
    await slow;
    assert.deepEqual(hub.values("t", 1), ["fast"]);
  });
});

test("acks=0 is told as sent, without an offset", async () => {
  await withProducer({ acks: 0 }, async (hub, producer) => {
    const result = await producer.publish("t", record("v"));
    assert.deepEqual(result, { partition: 0, offset: -1 });
    await producer.flush();
    assert.deepEqual(hub.values("t", 0), ["v"]);
  });
});

test("where identities are not served, idempotence is left off unless it was asked for", async () => {
  await withProducer({}, async (hub, producer) => {
    hub.identityError = "CLUSTER_AUTHORIZATION_FAILED";
    await producer.publish("t", record("v"));
    assert.equal(readBatchHeader(hub.produceCalls[0]!.topicData[0]!.partitionData[0]!.records!).producerId, -1);
  });
  await withProducer({ idempotent: true }, async (hub, producer) => {
    hub.identityError = "CLUSTER_AUTHORIZATION_FAILED";
    await assert.rejects(producer.publish("t", record("v")), kind("CLUSTER_AUTHORIZATION_FAILED"));
  });
  await withProducer({}, async (_hub, _producer, client) => {
    assert.throws(() => client.producer({ idempotent: true, acks: 1 }), kind("INVALID_REQUIRED_ACKS"));
  });
});

test("the buffer is bounded: beyond it sends are refused, never within the call; then it drains", async () => {
  await withProducer({}, async (hub, producer) => {
    await producer.publish("t", record("warm"));
    const value = new Uint8Array(1024 * 1024);
    let within = true;
    let taken = 0;
    const refused: Error[] = [];
    for (let index = 0; index < 40; index += 1) {
      producer.send("t", { key: null, value, partition: index % 3 }, (error) => {
        assert.equal(within, false);
        if (error === null) taken += 1;
        else refused.push(error);
      });
    }
    within = false;
    assert.ok(producer.bufferedBytes() <= limits.clientBufferBytesMax);
    await producer.whenDrained();
    assert.ok(producer.bufferedBytes() < limits.clientBufferBytesMax / 2);
    await producer.flush();
    assert.equal(taken + refused.length, 40);
    assert.equal(taken, 31);
    assert.ok(refused.every(kind("THROTTLING_QUOTA_EXCEEDED")));
    assert.equal(hub.values("t", 0).length + hub.values("t", 1).length + hub.values("t", 2).length, 32);
  });
});

test("a closed producer has delivered everything and takes nothing more", async () => {
  await withProducer({ lingerMs: 10_000 }, async (hub, producer) => {
    let told = 0;
    for (let index = 0; index < 10; index += 1) producer.send("t", record(`v${index}`), () => (told += 1));
    await producer.close();
    assert.equal(told, 10);
    assert.equal(hub.values("t", 0).length, 10);
    await assert.rejects(producer.publish("t", record("late")), kind("NETWORK_EXCEPTION"));
  });
});

test("in the same process, appended but not committed in time is told as such and not sent again", async () => {
  await withProducer({}, async (hub, producer) => {
    await producer.publish("t", record("a"));
    let lost = true;
    hub.fate = () => (lost ? "lost" : "append");
    await assert.rejects(producer.publish("t", record("b")), kind("REQUEST_TIMED_OUT"));
    lost = false;
    await producer.publish("t", record("c"));
    assert.deepEqual(hub.values("t", 0), ["a", "b", "c"]);
    assert.equal(hub.identities.length, 1);
  });
});

test("a connection that breaks again and again loses nothing and doubles nothing", async () => {
  let requests = 0;
  const intrude = (request: Request, socket: Socket): boolean => {
    if (request.api !== "produce") return false;
    requests += 1;
    // Of every seven: one is lost on its way there, one answer on its way back (the append has happened by then).
    if (requests % 7 === 3) socket.destroy();
    if (requests % 7 === 5) setImmediate(() => socket.destroy());
    return requests % 7 === 3;
  };
  await withSocket({ batchBytes: 300 }, intrude, async (hub, producer) => {
    let delivered = 0;
    for (let index = 0; index < 400; index += 1) {
      producer.send("t", record(`v${index}`, index % 3), (error) => {
        assert.equal(error, null);
        delivered += 1;
      });
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await producer.flush();
    assert.equal(delivered, 400);
    for (const partition of [0, 1, 2]) {
      const expected = Array.from({ length: 400 }, (_, index) => index).filter((index) => index % 3 === partition);
      assert.deepEqual(
        hub.values("t", partition),
        expected.map((index) => `v${index}`),
      );
    }
    assert.ok(requests > 14, `${requests} requests`);
  });
});

test("over a socket at most five produce requests are in flight", async () => {
  let open = 0;
  let most = 0;
  const intrude = (request: Request): boolean => {
    if (request.api === "produce") {
      open += 1;
      most = Math.max(most, open);
      setImmediate(() => (open -= 1));
    }
    return false;
  };
  await withSocket({ batchBytes: 200 }, intrude, async (hub, producer) => {
    for (let index = 0; index < 300; index += 1) producer.send("t", record(`v${index}`));
    await producer.flush();
    assert.equal(hub.values("t", 0).length, 300);
    assert.ok(most > 1 && most <= 5, `${most} in flight`);
  });
});

test("random fates: everything that was told as delivered is there once, in order, whatever failed", async () => {
  const seed = Number(process.env.SEED ?? Math.trunc(Math.random() * 1e9));
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const fates = ["append", "append", "append", "lost", "NOT_LEADER_OR_FOLLOWER", "KAFKA_STORAGE_ERROR"] as const;
  await withProducer({ batchBytes: 300 }, async (hub, producer) => {
    hub.fate = () => fates[Math.trunc(random() * fates.length)]!;
    const delivered: Set<string>[] = [new Set(), new Set(), new Set()];
    for (let index = 0; index < 600; index += 1) {
      const partition = Math.trunc(random() * 3);
      producer.send("t", record(`v${index}`, partition), (error) => {
        if (error === null) delivered[partition]!.add(`v${index}`);
      });
      if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
    }
    await producer.flush();
    for (const partition of [0, 1, 2]) {
      const there = hub.values("t", partition);
      assert.equal(new Set(there).size, there.length, `doubled (SEED=${seed})`);
      const numbers = there.map((value) => Number(value.slice(1)));
      assert.deepEqual(
        numbers,
        [...numbers].sort((one, other) => one - other),
        `order (SEED=${seed})`,
      );
      for (const value of delivered[partition]!) assert.ok(there.includes(value), `lost ${value} (SEED=${seed})`);
    }
    assert.ok(delivered.reduce((sum, { size }) => sum + size, 0) > 300, `SEED=${seed}`);
  });
});

test("a leader that is cut off with answers unsent: the next one gets them again in order, nothing is doubled", async () => {
  const hub = scriptedHub();
  hub.topics.set("t", 1);
  let cutOff = false;
  const old = await openPeerOf(hub.dispatch, (request) => {
    if (!cutOff) return false;
    // What was on its way is appended and replicated, only nobody hears of it.
    if (request.api === "produce") void hub.dispatch("produce", request.body as never, {} as never);
    return true;
  });
  const next = await openPeerOf(hub.dispatch, () => false);
  hub.address = { host: "127.0.0.1", port: old.port };
  const bootstrap = [old, next].map(({ port }) => ({ host: "127.0.0.1", port }));
  const client = connectNet({ net: old.net, clock: patient, bootstrap, clientId: "test" });
  const alive = setInterval(() => {}, 1000);
  try {
    const producer = client.producer();
    await producer.publish("t", record("before"));
    cutOff = true;
    const unheard = [producer.publish("t", record("a")), real.now()] as const;
    await wait(50);
    const second = producer.publish("t", record("b"));
    await wait(50);
    hub.address = { host: "127.0.0.1", port: next.port };
    // More than a hub remembers of one producer: they may not overtake the two.
    const later = Array.from({ length: 8 }, async (_, i) => {
      await wait(20 * i);
      return producer.publish("t", record(`c${i}`));
    });
    await Promise.all([unheard[0], second, ...later]);
    assert.ok(real.now() - unheard[1] < 10_000, "it waited for the one that is cut off");
    assert.deepEqual(hub.values("t", 0), ["before", "a", "b", ...later.map((_, i) => `c${i}`)]);
    assert.equal(hub.identities.length, 1, "under the identity they had");
  } finally {
    await client.close();
    await old.close();
    await next.close();
    clearInterval(alive);
  }
});

test("what may be stored is not stored again under another identity when a batch before it is given up", async () => {
  let requests = 0;
  let scripted: ScriptedHub | null = null;
  const intrude = (request: Request, socket: Socket): boolean => {
    if (request.api !== "produce" || requests === 2 || scripted === null) return false;
    requests += 1;
    // Both are appended, and nobody hears of it; the first is refused from then on.
    void scripted.dispatch("produce", request.body as never, {} as never);
    if (requests < 2) return true;
    scripted.fate = (_topic, _partition, values) => (values.includes("a") ? "MESSAGE_TOO_LARGE" : "append");
    socket.destroy();
    return true;
  };
  await withSocket({ batchBytes: 100 }, intrude, async (hub, producer) => {
    scripted = hub;
    const told = [];
    for (const text of ["a", "b"]) {
      const sent = producer.publish("t", record(text)).then(
        () => "stored",
        (error: Error) => (error as { kind?: string }).kind,
      );
      told.push(sent);
      while (requests < told.length) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await Promise.all(told), ["MESSAGE_TOO_LARGE", "REQUEST_TIMED_OUT"]);
    await producer.publish("t", record("c"));
    assert.deepEqual(hub.values("t", 0), ["a", "b", "c"]);
  });
});
