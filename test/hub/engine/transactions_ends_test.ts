// Ends of transactions: markers that a power cut took, and the order in which decisions reach a group.
import assert from "node:assert/strict";
import test from "node:test";
import { partitionOf } from "../../../hub/engine/homes.ts";
import { opened } from "./transactions_stage.ts";

test("a marker that a power cut took comes anew: none waits for ever where log.fsync is not always", async () => {
  const cases = [
    // [bumping, commit, what is left in the partition]
    [true, true, "1,<commit>"],
    [true, false, "1,<abort>"],
    [false, true, "1,<abort>"], // which of its transactions the epoch was used for is not known: nothing is shown
    [false, false, "1,<abort>"],
  ] as const;
  for (const fsync of ["interval", "os"]) {
    for (const [bump, commit, left] of cases) {
      const stage = await opened();
      await stage.topic("i", { "log.fsync": fsync });
      const who = await stage.init("x");
      await stage.add(who, "i", "t");
      await stage.send(who, "i", "1");
      await stage.send(who, "t", "2");
      await stage.settle(stage.partitions.must("i", 0).log.syncActive());
      assert.equal((await stage.settle(stage.engine.end(who, commit, bump))).error, "NONE");
      assert.match(stage.state("x"), /^Complete/);
      await stage.powerCut("nothing");
      await stage.clock.advance(100);
      const where = `${fsync}, bump ${bump}, commit ${commit}`;
      assert.equal((await stage.lines("i")).join(), left, where);
      assert.equal(stage.lastStable("i"), 2, where);
      assert.equal((await stage.lines("t")).join(), commit ? "2,<commit>" : "2,<abort>", where);
      const next = bump ? { ...who, epoch: 1 } : who;
      await stage.add(next, "i");
      assert.equal(await stage.send(next, "i", "next", bump ? 0 : 1), "NONE", where);
      await stage.settle(stage.engine.end(next, true, bump));
      assert.equal((await stage.lines("i")).at(-1), "<commit>", where);
    }
  }
});

test("an open transaction whose producer goes on is not taken for a lost one at a start", async () => {
  const stage = await opened();
  await stage.topic("i", { "log.fsync": "interval" });
  const who = await stage.init("x");
  await stage.add(who, "i");
  await stage.send(who, "i", "1");
  await stage.kill();
  await stage.clock.advance(100);
  assert.deepEqual([await stage.lines("i"), stage.lastStable("i")], [["1"], 0]);
  assert.equal(await stage.send(who, "i", "2", 1), "NONE");
  await stage.settle(stage.engine.end(who, true, false));
  assert.deepEqual(await stage.lines("i"), ["1", "2", "<commit>"]);
});

test("two decisions for one group and partition are applied in their order, live and by the next start", async () => {
  // partitions of the log are read one after another: ids of both orders
  const [low, high] = [..."abcdefgh"].sort((one, other) => partitionOf(one, 8) - partitionOf(other, 8));
  for (const [first, second] of [
    [low!, high!],
    [high!, low!],
  ] as const) {
    const stage = await opened();
    const [one, other] = [await stage.init(first), await stage.init(second)];
    await stage.offsets(one, "g", 10, true);
    await stage.offsets(other, "g", 20, true);
    const { commitDecided } = stage.groups;
    let away = true;
    stage.groups.commitDecided = async (group, offsets, id) => {
      if (away && offsets[0]!.offset === 10) return "COORDINATOR_NOT_AVAILABLE";
      return commitDecided.call(stage.groups, group, offsets, id);
    };
    await stage.settle(stage.engine.end(one, true, true));
    await stage.settle(stage.engine.end(other, true, true));
    assert.deepEqual([stage.state(first), stage.state(second)], ["PrepareCommit 1", "PrepareCommit 1"]);
    assert.equal(stage.committed("g", false), -1, "the second waits for the first");
    await stage.kill();
    await stage.clock.advance(100);
    assert.deepEqual([stage.state(first), stage.state(second)], ["CompleteCommit 1", "CompleteCommit 1"]);
    assert.equal(stage.committed("g"), 20, `${first} before ${second}`);
    away = false;
  }
});

test("a power cut at any moment beside topics that sync later: no transaction stays open, no aborted one is shown", async () => {
  let lost = 0;
  for (let cut = 1, done = false; !done; cut += 3) {
    const stage = await opened();
    stage.trace = {
      ...stage.trace,
      event: (_level, name) => void (lost += Number(name === "transaction_without_marker")),
    };
    await stage.topic("i", { "log.fsync": "interval", "segment.bytes": "1048576" });
    let who = await stage.init("x");
    await stage.settle(stage.store.flush());
    stage.disk.faults.crashAt = stage.disk.operations + cut;
    const live = async (): Promise<void> => {
      for (const [i, commit] of [true, false, true, false].entries()) {
        await stage.send(who, "i", `${commit}${i}`, 0, 12);
        await stage.send(who, "t", `${commit}${i}`, 0, 12);
        await stage.clock.advance(i % 2 === 0 ? 150 : 40);
        const { producerId, epoch } = await stage.settle(stage.engine.end(who, commit, true));
        who = { ...who, producerId, epoch };
      }
      await stage.clock.advance(30);
    };
    await live().catch(() => {});
    done = !stage.disk.stopped;
    await stage.powerCut((["nothing", "everything", "some", "torn"] as const)[cut % 4]!);
    await stage.clock.advance(61_000); // what was not decided is timed out
    for (const topic of ["i", "t"]) {
      const { highWatermark } = stage.partitions.must(topic, 0);
      assert.equal(stage.lastStable(topic), highWatermark, `cut at ${cut}: ${topic} waits`);
      const lines = await stage.lines(topic);
      for (const [i, line] of lines.entries()) {
        if (line.startsWith("false")) assert.notEqual(lines[i + 1], "<commit>", `cut at ${cut}: ${lines.join()}`);
        if (line.startsWith("true") && topic === "t" && lines.includes(`false${Number(line.slice(4)) + 1}`)) {
          assert.equal(lines[i + 1], "<commit>", `cut at ${cut}: ${lines.join()}`);
        }
      }
    }
  }
  assert.ok(lost > 0, "some cut took a marker");
});
