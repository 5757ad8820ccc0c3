// `partidor log` on a real data folder: clean, damaged, repaired.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { runCli, scratch } from "../tools/hub_process.ts";
import { openTestHub } from "../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function segmentIn(folder: string): string {
  const topics = path.join(folder, "topics");
  const [log] = readdirSync(topics);
  const name = readdirSync(path.join(topics, log!)).find((one) => one.endsWith(".log"))!;
  return path.join(topics, log!, name);
}

test("verify, dump, and repair with --skip, each with its exit code", async () => {
  const { folder, remove } = scratch();
  try {
    const opened = await openTestHub({ folder, settings: { "num.partitions": 1 } });
    const client = opened.hub.client("writer");
    for (const text of ["one", "two", "three"])
      await client.producer().publish("t", { key: bytes("k"), value: bytes(text) });
    await client.close();
    const busy = await runCli(["log", "repair", folder, "--skip"]);
    assert.notEqual(busy.code, 0, "a folder that a hub has open is not repaired");
    await opened.close();

    const clean = await runCli(["log", "verify", folder]);
    assert.equal(clean.code, 0, clean.stderr);
    assert.match(clean.stdout, /t-0 .*3 /);
    const dump = await runCli(["log", "dump", folder, "t-0"]);
    assert.match(dump.stdout, /offsets 2\.\.2 .* records 1/);
    assert.equal((await runCli(["log", "dump", folder, "none-0"])).code, 3);
    assert.equal((await runCli(["log", "verify", path.join(folder, "none")])).code, 3);

    const segment = segmentIn(folder);
    const content = readFileSync(segment);
    content[content.indexOf("two")]! ^= 1;
    writeFileSync(segment, content);
    const damaged = await runCli(["log", "verify", folder, "--json"]);
    assert.equal(damaged.code, 70);
    assert.equal((JSON.parse(damaged.stdout) as { ok: boolean }).ok, false);
    assert.equal((await runCli(["log", "repair", folder])).code, 2);
    assert.equal((await runCli(["log", "repair", folder, "--skip"])).code, 0);
    assert.equal((await runCli(["log", "verify", folder])).code, 0);

    const again = await openTestHub({ folder });
    const consumer = again.hub.client("reader").consumer();
    await consumer.assign([{ topic: "t", from: "earliest" }]);
    const values: string[] = [];
    while (values.length < 2) {
      for (const batch of await consumer.poll(500)) {
        values.push(...batch.records.map((one) => `${one.offset} ${new TextDecoder().decode(one.value!)}`));
      }
    }
    assert.deepEqual(values, ["0 one", "2 three"]);
    await consumer.close();
    await again.close();
  } finally {
    remove();
  }
});
