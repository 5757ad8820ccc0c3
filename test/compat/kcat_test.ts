// kcat (librdkafka) against a hub: metadata, produce with every codec, consume, time queries, groups.
import assert from "node:assert/strict";
import test from "node:test";
import { type HubProcess, run, scratch, startHub } from "../tools/hub_process.ts";

async function withHub(use: (hub: HubProcess, kcat: Kcat) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder });
  try {
    const kcat: Kcat = (args, input) => run("kcat", ["-b", `127.0.0.1:${hub.kafka}`, ...args], { input: input ?? "" });
    await use(hub, kcat);
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

type Kcat = (args: readonly string[], input?: string) => Promise<string>;

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `key-${i % 7}:value ${i}`);

test("kcat lists a hub, produces keyed records with each codec and reads them back in order", async () => {
  await withHub(async (hub, kcat) => {
    await kcat(["-P", "-t", "metals", "-K:"], numbered(10).join("\n"));
    const listing = await kcat(["-L"]);
    assert.match(listing, new RegExp(`broker 1 at 127\\.0\\.0\\.1:${hub.kafka}`));
    assert.match(listing, /topic "metals" with 4 partitions/);
    for (const codec of ["none", "gzip", "snappy", "lz4", "zstd"]) {
      const sent = numbered(500);
      await kcat(["-P", "-t", `metals-${codec}`, "-K:", "-z", codec], sent.join("\n"));
      const got = lines(await kcat(["-C", "-t", `metals-${codec}`, "-K:", "-o", "beginning", "-e", "-q"]));
      assert.deepEqual([...got].sort(), [...sent].sort(), codec);
      for (let key = 0; key < 7; key++) {
        const of = (all: readonly string[]): string[] => all.filter((line) => line.startsWith(`key-${key}:`));
        assert.deepEqual(of(got), of(sent), `${codec}: order of key ${key}`);
      }
    }
  });
});

test("kcat asks for offsets by time and reads one partition from an offset", async () => {
  await withHub(async (_hub, kcat) => {
    await kcat(["-P", "-t", "times", "-p", "0"], "a\nb\nc");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const middle = Date.now();
    await kcat(["-P", "-t", "times", "-p", "0"], "d\ne");
    assert.match(await kcat(["-Q", "-t", `times:0:${middle}`]), /times \[0\] offset 3/);
    assert.match(await kcat(["-Q", "-t", "times:0:-2"]), /offset 0/);
    assert.match(await kcat(["-Q", "-t", "times:0:-1"]), /offset 5/);
    assert.deepEqual(lines(await kcat(["-C", "-t", "times", "-p", "0", "-o", "2", "-e", "-q"])), ["c", "d", "e"]);
    assert.deepEqual(lines(await kcat(["-C", "-t", "times", "-p", "0", "-o", "-1", "-e", "-q"])), ["e"]);
  });
});

test("a kcat group goes on where it stopped", async () => {
  await withHub(async (_hub, kcat) => {
    const read = async (): Promise<string[]> =>
      lines(await kcat(["-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "jobs"])).sort();
    await kcat(["-P", "-t", "jobs"], "one\ntwo\nthree");
    assert.deepEqual(await read(), ["one", "three", "two"]);
    await kcat(["-P", "-t", "jobs"], "four");
    assert.deepEqual(await read(), ["four"]);
  });
});

test("an idempotent librdkafka producer, and acks 0, 1 and all", async () => {
  await withHub(async (_hub, kcat) => {
    await kcat(["-P", "-t", "acks", "-X", "enable.idempotence=true"], "all");
    for (const acks of ["0", "1", "-1"]) await kcat(["-P", "-t", "acks", "-X", `acks=${acks}`], acks);
    const got = lines(await kcat(["-C", "-t", "acks", "-o", "beginning", "-e", "-q"])).sort();
    assert.deepEqual(got, ["-1", "0", "1", "all"]);
  });
});
