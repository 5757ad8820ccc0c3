// The first five minutes: `up --demo` on an empty folder has a moving fleet, two groups that commit, aggregates to come.
import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../hub/mod.ts";
import { run, scratch, startHub } from "../tools/hub_process.ts";

test("within 15 s of its start the demo's devices are in the log and both groups have committed", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder, args: ["--demo"] });
  const began = performance.now();
  const client = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: "stranger" });
  try {
    const admin = client.admin();
    const consumer = client.consumer();
    await consumer.assign([{ topic: "sensors", from: "earliest" }]);
    const devices = new Set<string>();
    while (devices.size < 40) {
      for (const batch of await consumer.poll(500)) {
        for (const record of batch.records) devices.add(new TextDecoder().decode(record.key!));
      }
    }
    const committed = async (group: string): Promise<boolean> => (await admin.groupOffsets(group)).length > 0;
    while (!((await committed("analytics")) && (await committed("ml")))) await consumer.poll(200);
    assert.ok(performance.now() - began < 15_000, `${Math.round(performance.now() - began)} ms`);
    const groups = (await admin.groups()).map(({ group, state }) => `${group} ${state}`).sort();
    assert.deepEqual(groups, ["analytics Stable", "ml Stable"]);
    // and a stranger's own client reads the same, with the snippet of the README
    const got = await run("kcat", [
      "-b",
      `127.0.0.1:${hub.kafka}`,
      "-C",
      "-t",
      "sensors",
      "-o",
      "beginning",
      "-c",
      "5",
      "-f",
      "%k %s\n",
    ]);
    for (const line of got.trim().split("\n")) assert.match(line, /^\S+ \{"t":\d+,"v":/);
  } finally {
    await client.close();
    assert.equal(await hub.end("SIGTERM"), 0);
    remove();
  }
});
