// kcat (librdkafka) against a hub: metadata, produce with every codec, consume, time queries, groups.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { type HubProcess, run, scratch, startHub } from "../tools/hub_process.ts";
import { compat } from "./table.ts";

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

compat("kcat", "producer: metadata, keys, gzip, snappy, lz4, zstd, read back in order", async () => {
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

compat("kcat", "consumer: offsets by time, one partition from an offset", async () => {
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

compat("kcat", "group: goes on where it stopped", async () => {
  await withHub(async (_hub, kcat) => {
    const read = async (): Promise<string[]> =>
      lines(await kcat(["-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "jobs"])).sort();
    await kcat(["-P", "-t", "jobs"], "one\ntwo\nthree");
    assert.deepEqual(await read(), ["one", "three", "two"]);
    await kcat(["-P", "-t", "jobs"], "four");
    assert.deepEqual(await read(), ["four"]);
  });
});

compat("kcat", "producer: idempotent, acks 0, 1 and all", async () => {
  await withHub(async (_hub, kcat) => {
    await kcat(["-P", "-t", "acks", "-X", "enable.idempotence=true"], "all");
    for (const acks of ["0", "1", "-1"]) await kcat(["-P", "-t", "acks", "-X", `acks=${acks}`], acks);
    const got = lines(await kcat(["-C", "-t", "acks", "-o", "beginning", "-e", "-q"])).sort();
    assert.deepEqual(got, ["-1", "0", "1", "all"]);
  });
});

compat("kcat", "group: two members share, one leaves", async () => {
  await withHub(async (hub, kcat) => {
    for (const partition of ["0", "1", "2", "3"])
      await kcat(["-P", "-t", "shared", "-p", partition], `first ${partition}`);
    const flags = ["-b", `127.0.0.1:${hub.kafka}`, "-u", "-G", "shared", "-X", "auto.offset.reset=earliest", "shared"];
    const members = [0, 1].map(() => {
      const child = spawn("kcat", flags);
      let words = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (bytes: Buffer) => (words += bytes.toString()));
      // what it says of a rebalance: "assigned: shared [0], shared [1]"
      const held = (): number =>
        [...(/.*assigned: (.*)$/m.exec(words.split("% Group").at(-1)!)?.[1] ?? "").matchAll(/\[/g)].length;
      return { child, held, words: () => words };
    });
    const until = async (holds: () => boolean): Promise<void> => {
      for (const end = Date.now() + 40_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 50))) {
        assert.ok(Date.now() < end, members.map(({ words }) => words()).join("\n----\n"));
      }
    };
    try {
      const seen = (): string => members.map(({ words }) => words()).join("\n");
      const all = ["0", "1", "2", "3"];
      await until(() => members.every(({ held }) => held() === 2));
      // A kcat that ends drops what it has taken and not yet printed: so everything is printed before one ends.
      await until(() => all.every((partition) => seen().includes(`first ${partition}\n`)));
      members[1]!.child.kill("SIGTERM");
      await until(() => members[0]!.held() === 4);
      for (const partition of all) await kcat(["-P", "-t", "shared", "-p", partition], `second ${partition}`);
      await until(() => all.every((partition) => members[0]!.words().includes(`second ${partition}\n`)));
    } finally {
      for (const { child } of members) child.kill("SIGKILL");
    }
  });
});

compat("kcat", "consumer: headers, null and empty values, as JSON", async () => {
  await withHub(async (_hub, kcat) => {
    await kcat(["-P", "-t", "shapes", "-p", "0", "-k", "a", "-H", "unit=C", "-H", "site=north"], "21.5");
    await kcat(["-P", "-t", "shapes", "-p", "0", "-K:", "-Z"], "b:");
    const got = lines(await kcat(["-C", "-t", "shapes", "-o", "beginning", "-e", "-q", "-J"])).map(
      (line) => JSON.parse(line) as { key: string; payload: string | null; headers?: string[]; offset: number },
    );
    const seen = got.map(({ key, payload, headers, offset }) => ({ key, payload, headers: headers ?? [], offset }));
    assert.deepEqual(seen, [
      { key: "a", payload: "21.5", headers: ["unit", "C", "site", "north"], offset: 0 },
      { key: "b", payload: null, headers: [], offset: 1 },
    ]);
  });
});
