// The transaction engine: its log, waits, retries, gate, and groups; then kills and power cuts at every moment.
import assert from "node:assert/strict";
import test from "node:test";
import { partitionOf } from "../../../hub/engine/homes.ts";
import { transactionTopic } from "../../../hub/engine/transactions_log.ts";
import { HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";
import { decodeLogRecord } from "../../../hub/transactions/record.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import type { Trace } from "../../../hub/trace.ts";
import { opened, type TransactionStage, type Who } from "./transactions_stage.ts";

const never = new Promise<void>(() => {});

test("the log is made on first use: compacted, flushed at once, of a few partitions", async () => {
  const stage = await opened();
  assert.equal(stage.partitions.of(transactionTopic), undefined);
  assert.equal(await stage.add({ id: "x", producerId: 1, epoch: 0 }, "t"), "INVALID_PRODUCER_ID_MAPPING");
  assert.equal(stage.partitions.of(transactionTopic), undefined, "only who begins makes it");
  await Promise.all([stage.init("x"), stage.init("y")]);
  assert.equal(stage.partitions.of(transactionTopic)?.length, limits.transactionLogPartitionsDefault);
  const topic = stage.partitions.topics.byName(transactionTopic)!;
  const settings = stage.partitions.topics.settingsOf(topic);
  assert.equal(topic.internal, true);
  assert.deepEqual([settings.text("cleanup.policy"), settings.text("log.fsync")], ["compact", "always"]);
  const home = stage.partitions.must(transactionTopic, partitionOf("x", 8));
  const bytes = await stage.settle(home.log.read(0, 1 << 20, home.highWatermark));
  const [record] = decodeRecords(bytes);
  assert.equal(decodeLogRecord(record!.key, record!.value).id, "x");
});

test("ids are placed as Kafka places them", () => {
  // "polygenelubricants" hashes to the smallest Java int.
  assert.deepEqual(
    ["", "a", "my-app-1", "polygenelubricants"].map((id) => partitionOf(id, 50)),
    [0, 97 % 50, partitionOf("my-app-1", 50), 0],
  );
});

test("a transaction from end to end: records, offsets, the last stable offset", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  assert.equal(await stage.add(who, "t", "u"), "NONE");
  assert.equal(await stage.send(who, "t", "1"), "NONE");
  assert.equal(await stage.send(who, "u", "2"), "NONE");
  assert.equal(stage.lastStable("t"), 0);
  assert.equal(await stage.settle(stage.engine.addGroup(who, "g")), "NONE");
  assert.equal(await stage.offsets(who, "g", 5), "NONE");
  assert.equal(stage.committed("g"), "UNSTABLE_OFFSET_COMMIT");
  assert.equal(stage.committed("g", false), -1);
  assert.deepEqual(await stage.settle(stage.engine.end(who, true, false)), { ...told(who) });
  assert.equal(stage.state("x"), "CompleteCommit 0");
  assert.deepEqual(
    [await stage.lines("t"), await stage.lines("u")],
    [
      ["1", "<commit>"],
      ["2", "<commit>"],
    ],
  );
  assert.equal(stage.lastStable("t"), 2);
  assert.equal(stage.committed("g"), 5);
});

const told = ({ producerId, epoch }: Who) => ({ error: "NONE", producerId, epoch });

test("under transaction.version 2 nothing is added by hand, and each end gives the next epoch", async () => {
  const stage = await opened();
  let who = await stage.init("x");
  for (const [i, commit] of [true, false, true].entries()) {
    assert.equal(await stage.send(who, "t", `${i}`, 0, 12), "NONE");
    assert.equal(await stage.offsets(who, "g", i, true), "NONE");
    const reply = await stage.settle(stage.engine.end(who, commit, true));
    assert.deepEqual(reply, { error: "NONE", producerId: who.producerId, epoch: i + 1 });
    assert.deepEqual(await stage.settle(stage.engine.end(who, commit, true)), reply, "a retry");
    who = { ...who, epoch: i + 1 };
  }
  assert.deepEqual(await stage.lines("t"), ["0", "<commit>", "1", "<abort>", "2", "<commit>"]);
  assert.equal(stage.committed("g"), 2);
  assert.equal(await stage.send({ ...who, epoch: 1 }, "t", "late", 0, 12), "INVALID_PRODUCER_EPOCH");
});

test("the partitions of one turn become one record", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  const home = stage.partitions.must(transactionTopic, partitionOf("x", 8));
  const before = home.log.logEnd;
  const admit = (topic: string, implicit = true): Promise<string> =>
    stage.engine.admit("x", who.producerId, 0, topic, 0, implicit);
  assert.equal(await stage.settle(admit("t", false)), "TRANSACTION_ABORTABLE");
  assert.deepEqual(await stage.settle(Promise.all([admit("t"), admit("u"), admit("t")])), ["NONE", "NONE", "NONE"]);
  assert.equal(home.log.logEnd, before + 1);
  assert.deepEqual(await stage.settle(Promise.all([admit("t"), admit("u", false)])), ["NONE", "NONE"]);
  assert.equal(home.log.logEnd, before + 1, "what is there is not written again");
  assert.equal(await stage.settle(stage.engine.admit("x", who.producerId, 7, "t", 0, true)), "INVALID_PRODUCER_EPOCH");
  assert.equal(await stage.settle(stage.engine.admit("x", 1, 0, "t", 0, true)), "INVALID_PRODUCER_ID_MAPPING");
});

test("a call that comes during an end waits for it, but not for long", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.add(who, "t");
  let go = (): void => {};
  stage.beforeMarker = () => new Promise((resolve) => (go = resolve));
  const began = stage.clock.now();
  assert.equal((await stage.settle(stage.engine.end(who, true, false))).error, "NONE");
  assert.ok(stage.clock.now() - began >= limits.transactionWaitMsMax, "the answer waits a while for the markers");
  assert.equal(stage.state("x"), "PrepareCommit 0");
  assert.equal(await stage.add(who, "u"), "CONCURRENT_TRANSACTIONS");
  assert.equal((await stage.settle(stage.engine.init("x", 1000, null))).error, "CONCURRENT_TRANSACTIONS");
  assert.equal((await stage.settle(stage.engine.end(who, false, false))).error, "INVALID_TXN_STATE");
  const waiting = stage.engine.addPartitions(who, new Map([["u", new Set([0])]]));
  stage.beforeMarker = () => {};
  go();
  assert.equal(await stage.settle(waiting), "NONE");
});

test("a new instance waits for the abort of what the old one left, in one call", async () => {
  const stage = await opened();
  const old = await stage.init("x");
  await stage.add(old, "t");
  await stage.send(old, "t", "lost");
  const heir = await stage.init("x");
  assert.equal(heir.epoch, 2, "one for the fence, one for the heir");
  assert.deepEqual(await stage.lines("t"), ["lost", "<abort>"]);
  assert.equal((await stage.settle(stage.engine.end(old, true, false))).error, "PRODUCER_FENCED");
  assert.equal(await stage.send(old, "t", "zombie", 1), "INVALID_PRODUCER_EPOCH");
});

test("a transaction that takes too long is aborted, told and counted; its producer is fenced", async () => {
  const stage = await opened();
  const seen: string[] = [];
  stage.trace = {
    ...stage.trace,
    event: (_level, event) => seen.push(event),
    count: (name) => seen.push(name),
  } as Trace;
  await stage.kill();
  const who = await stage.init("x", null, 5000);
  await stage.add(who, "t");
  await stage.send(who, "t", "slow");
  await stage.clock.advance(4990);
  assert.equal(stage.state("x"), "Ongoing 0");
  await stage.clock.advance(100);
  assert.equal(stage.state("x"), "CompleteAbort 1");
  assert.deepEqual(await stage.lines("t"), ["slow", "<abort>"]);
  assert.ok(seen.includes("transaction_timed_out") && seen.includes("transactions_timed_out"), seen.join());
  assert.equal(await stage.add(who, "t"), "PRODUCER_FENCED");
});

test("markers are tried again with pauses, and a partition that refuses holds up no other", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.add(who, "t", "u");
  const tries: number[] = [];
  stage.beforeMarker = (topic) => {
    if (topic !== "t") return;
    tries.push(Math.round(stage.clock.now()));
    if (tries.length < 6) throw new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
  };
  await stage.settle(stage.engine.end(who, true, false));
  assert.deepEqual([await stage.lines("t"), await stage.lines("u")], [[], ["<commit>"]]);
  await stage.clock.advance(10_000);
  assert.deepEqual(await stage.lines("t"), ["<commit>"]);
  assert.deepEqual(
    tries.slice(1).map((at, i) => at - tries[i]!),
    [100, 200, 400, 800, 1600],
  );
  assert.equal(stage.state("x"), "CompleteCommit 0");
});

test("no more than so many markers are under way at a time", async () => {
  const stage = await opened();
  const producers = await Promise.all(Array.from({ length: 40 }, (_, i) => stage.init(`x${i}`)));
  for (const who of producers) await stage.add(who, "t", "u");
  let running = 0;
  let most = 0;
  stage.beforeMarker = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => stage.clock.after(20, resolve));
    running -= 1;
  };
  await stage.settle(Promise.all(producers.map((who) => stage.engine.end(who, true, false))));
  assert.equal(most, limits.transactionMarkersInFlightMax);
  for (const { id } of producers) assert.equal(stage.state(id), "CompleteCommit 0");
});

test("a newer epoch in a partition overtakes a marker; a topic that is gone needs none", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.add(who, "t", "u");
  stage.beforeMarker = (topic) => {
    if (topic === "t") throw new HubError("INVALID_PRODUCER_EPOCH", "a newer epoch");
  };
  await stage.settle(stage.partitions.deleteTopic("u"));
  await stage.settle(stage.engine.end(who, true, false));
  assert.equal(stage.state("x"), "CompleteCommit 0");
});

test("KIP-447: a commit with another generation, member or instance is fenced; partitions are judged one by one", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.settle(stage.engine.addGroup(who, "g"));
  const member = { memberId: "m", instanceId: null, generation: 3 };
  assert.equal(await stage.offsets(who, "g", 1, false, member), "ILLEGAL_GENERATION");
  const asked = [
    { topic: "t", partitions: [0, 9].map((partition) => ({ partition, offset: 1, leaderEpoch: -1, metadata: "" })) },
    { topic: "no", partitions: [{ partition: 0, offset: 1, leaderEpoch: -1, metadata: "" }] },
  ];
  const outside = { memberId: "", instanceId: null, generation: -1 };
  const answers = await stage.settle(stage.engine.commitOffsets(who, "g", outside, asked, false));
  assert.deepEqual(
    answers.flatMap(({ partitions }) => partitions.map(({ error }) => error)),
    ["NONE", "UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PARTITION"],
  );
  assert.equal(await stage.offsets(who, "", 1), "INVALID_GROUP_ID");
  assert.equal(await stage.offsets(who, "other", 1), "TRANSACTION_ABORTABLE");
  assert.equal(await stage.offsets({ ...who, epoch: 9 }, "g", 1), "PRODUCER_FENCED");
});

test("a group's own commit waits for what was decided for it, so that a repetition never goes over it", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.offsets(who, "g", 5, true);
  await stage.add(who, "t");
  stage.beforeMarker = () => never;
  await stage.settle(stage.engine.end(who, true, false));
  const asked = [{ topic: "t", partitions: [{ partition: 0, offset: 9, leaderEpoch: -1, metadata: "" }] }];
  const commit = () =>
    stage.settle(stage.groups.commit("g", { memberId: "", instanceId: null, generation: -1 }, asked));
  assert.equal((await commit())[0]!.partitions[0]!.error, "COORDINATOR_NOT_AVAILABLE");
  assert.equal(stage.committed("g"), "UNSTABLE_OFFSET_COMMIT");
  stage.beforeMarker = () => {};
  await stage.kill();
  await stage.clock.advance(100);
  assert.equal(stage.committed("g"), 5);
  assert.equal((await commit())[0]!.partitions[0]!.error, "NONE");
  await stage.kill();
  assert.equal(stage.committed("g"), 9);
});

test("a start finds a decision without its markers and carries it out; an open transaction stays open", async () => {
  for (const commit of [true, false]) {
    const stage = await opened();
    const who = await stage.init("x");
    await stage.add(who, "t", "u");
    await stage.send(who, "t", "1");
    await stage.send(who, "u", "2");
    await stage.offsets(who, "g", 7, true);
    await stage.kill();
    assert.equal(stage.state("x"), "Ongoing 0");
    assert.equal(stage.committed("g"), "UNSTABLE_OFFSET_COMMIT");
    stage.beforeMarker = (topic) => (topic === "u" ? never : undefined);
    await stage.settle(stage.engine.end(who, commit, true));
    assert.equal(stage.state("x"), `Prepare${commit ? "Commit" : "Abort"} 1`);
    stage.beforeMarker = () => {};
    await stage.kill();
    await stage.clock.advance(100);
    assert.equal(stage.state("x"), `Complete${commit ? "Commit" : "Abort"} 1`);
    const marker = commit ? "<commit>" : "<abort>";
    assert.equal((await stage.lines("u")).join(), `2,${marker}`);
    assert.equal([...new Set(await stage.lines("t"))].join(), `1,${marker}`);
    assert.equal(stage.committed("g"), commit ? 7 : -1);
    await stage.kill();
    assert.equal(stage.state("x"), `Complete${commit ? "Commit" : "Abort"} 1`);
    assert.deepEqual((await stage.settle(stage.engine.end(who, commit, true))).error, "NONE", "a retry after all");
  }
});

test("until its log is read everything is answered with COORDINATOR_LOAD_IN_PROGRESS, later with what it says", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.offsets(who, "g", 5, true);
  await stage.reopen();
  const { log } = stage.partitions.must(transactionTopic, partitionOf("x", 8));
  const file = `${log.directory}/${"0".repeat(20)}.log`;
  stage.disk.flipBit(file, 70);
  await stage.openEngine();
  const unready = "COORDINATOR_LOAD_IN_PROGRESS";
  assert.equal(stage.state("x"), unready);
  assert.equal(await stage.add(who, "t"), unready);
  assert.equal(await stage.settle(stage.engine.ready()), unready);
  assert.equal(await stage.settle(stage.engine.admit("x", 1, 0, "t", 0, true)), unready);
  assert.equal(stage.engine.list(all).error, unready);
  assert.equal(stage.committed("g"), "UNSTABLE_OFFSET_COMMIT", "nobody knows yet what is held");
  stage.disk.flipBit(file, 70);
  await stage.clock.advance(limits.diskRetryMs + 100);
  assert.equal(stage.state("x"), "Ongoing 0");
  assert.equal(stage.committed("h"), -1);
  assert.deepEqual(stage.engine.list({ ...all, states: ["Ongoing"] }).transactions, [
    { id: "x", producerId: who.producerId, state: "Ongoing" },
  ]);
});

const all = { states: [], producerIds: [], durationMs: -1, matches: () => true };

test("a disk that is full refuses a decision, and delays the markers of one", async () => {
  const stage = await opened();
  const { capacity } = stage.disk.faults;
  const fill = (): void => void (stage.disk.faults.capacity = stage.disk.usedBytes());
  const who = await stage.init("x");
  await stage.add(who, "t");
  fill();
  assert.equal((await stage.settle(stage.engine.end(who, true, true))).error, "COORDINATOR_NOT_AVAILABLE");
  assert.equal(stage.state("x"), "Ongoing 0");
  stage.disk.faults.capacity = capacity;
  await stage.clock.advance(30_000);
  stage.beforeMarker = fill;
  await stage.settle(stage.engine.end(who, true, true));
  await stage.clock.advance(10_000);
  assert.equal(stage.state("x"), "PrepareCommit 1");
  stage.beforeMarker = () => {};
  stage.disk.faults.capacity = capacity;
  await stage.clock.advance(30_000);
  assert.equal(stage.state("x"), "CompleteCommit 1");
  assert.equal((await stage.lines("t")).at(-1), "<commit>");
});

/** What a transaction of two partitions and a group looks like after it ended: all of it, or nothing. */
async function outcome(stage: TransactionStage): Promise<string> {
  const kinds = new Set<string>();
  for (const topic of ["t", "u"]) {
    const [value, ...markers] = await stage.lines(topic);
    if (value === undefined || value.startsWith("<"))
      kinds.add(markers.includes("<commit>") ? "a marker alone" : "none");
    else kinds.add([...new Set(markers)].join("") || "open");
  }
  const committed = stage.committed("g");
  return `${[...kinds].sort().join(" ")} ${committed}`;
}

test("a power cut at any moment leaves all of a transaction or nothing, and what was answered stays", async () => {
  const outcomes = new Map<string, number>();
  for (let cut = 1, done = false; !done; cut += 2) {
    const stage = await opened();
    const who = await stage.init("x");
    await stage.settle(stage.store.flush());
    stage.disk.faults.crashAt = stage.disk.operations + cut;
    let answered = false;
    const live = async (): Promise<void> => {
      await stage.add(who, "t", "u");
      await stage.send(who, "t", "1");
      await stage.send(who, "u", "2");
      await stage.offsets(who, "g", 7, true);
      answered = (await stage.settle(stage.engine.end(who, true, true))).error === "NONE";
      await stage.clock.advance(1000);
    };
    await live().catch(() => {});
    done = !stage.disk.stopped;
    await stage.powerCut((["nothing", "everything", "some", "torn"] as const)[cut % 4]!);
    await stage.clock.advance(61_000); // what stayed open is timed out
    const found = await outcome(stage);
    outcomes.set(found, (outcomes.get(found) ?? 0) + 1);
    const fits = answered
      ? found === "<commit> 7"
      : ["<commit> 7", "<abort> -1", "<abort> none -1", "none -1"].includes(found);
    assert.ok(fits, `cut at ${cut}, answered ${answered}: ${found}`);
    const next = await stage.init("x");
    await stage.add(next, "t");
    assert.equal(await stage.send(next, "t", "next"), "NONE", `cut at ${cut}: the next one goes on`);
  }
  assert.ok(outcomes.size >= 3, [...outcomes].join("; "));
});

test("a closed engine answers what waits", async () => {
  const stage = await opened();
  const who = await stage.init("x");
  await stage.add(who, "t");
  stage.beforeMarker = () => never;
  const ending = stage.engine.end(who, true, false);
  await stage.clock.advance(50);
  const waiting = stage.engine.addPartitions(who, new Map([["u", new Set([0])]]));
  void stage.engine.close();
  assert.equal((await stage.settle(ending)).error, "NONE", "the decision stood already");
  assert.equal(await stage.settle(waiting), "COORDINATOR_NOT_AVAILABLE");
  assert.equal((await stage.settle(stage.engine.init("y", 1000, null))).error, "COORDINATOR_NOT_AVAILABLE");
});
