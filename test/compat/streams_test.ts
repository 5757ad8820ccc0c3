// Kafka Streams against a hub: word count and a windowed join, exactly_once_v2, its state restored after a kill.
import assert from "node:assert/strict";
import path from "node:path";
import { run, runCli, scratch } from "../tools/hub_process.ts";
import { type JavaProcess, startJava } from "./java_process.ts";
import { withHub } from "./program.ts";
import { compat } from "./table.ts";

const vocabulary = ["weir", "canal", "field", "drop", "share"];
const lineCount = 300;

/** Line i has the word i, and i+1 on even lines. */
const lines = Array.from({ length: lineCount }, (_, i) => {
  const word = vocabulary[i % 5]!;
  return i % 2 === 0 ? `${word} ${vocabulary[(i + 1) % 5]}` : word;
});

interface Outcome {
  /** All committed values of `counts`, by word, in order. */
  readonly counts: Readonly<Record<string, readonly number[]>>;
  /** Committed results of the join, sorted. */
  readonly joined: readonly string[];
  /** What the application printed in its second life. */
  readonly words: string;
  readonly changelog: string;
}

async function scenario(server: string, folder: string): Promise<Outcome> {
  const kcat = (args: readonly string[], input = ""): Promise<string> =>
    run("kcat", ["-b", server, ...args], { input });
  const cli = async (args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli([...args, "--bootstrap", server]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const produce = async (topic: string, keyed: readonly string[]): Promise<string> =>
    await kcat(["-P", "-t", topic, "-K:", "-X", "topic.partitioner=murmur2_random"], keyed.join("\n"));
  const committed = async (topic: string): Promise<string[]> =>
    (await kcat(["-C", "-t", topic, "-K:", "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed"]))
      .split("\n")
      .filter((line) => line !== "");
  const reaches = async (topic: string, count: number): Promise<void> => {
    const end = Date.now() + 90_000;
    let got = 0;
    while ((got = (await committed(topic)).length) < count) {
      if (Date.now() > end) throw new Error(`${topic} has ${got} committed records of ${count}:\n${app?.words()}`);
    }
  };
  const start = async (): Promise<JavaProcess> => {
    const started = await startJava("StreamsApp", [server, path.join(folder, "state")]);
    app = started;
    await started.until(/^state RUNNING$/m);
    return started;
  };
  for (const topic of ["words", "counts", "left", "right", "joined"]) {
    await cli(["topic", "create", topic, "--partitions", "2"]);
  }
  let app = null as JavaProcess | null;
  try {
    await start();
    await produce("left", ["k1:a@10000", "k2:b@20000", "k1:c@30000"]);
    await produce("right", ["k1:x@14000", "k2:y@26000"]);
    await produce(
      "words",
      lines.slice(0, 200).map((line, i) => `${i}:${line}`),
    );
    await reaches("counts", 150);
    // in the midst of its work: what it had not committed is aborted and done again
    await app!.end("SIGKILL");
    await produce(
      "words",
      lines.slice(200).map((line, i) => `${200 + i}:${line}`),
    );
    await produce("right", ["k1:z@34000"]);
    await start();
    await reaches("counts", lines.join(" ").split(" ").length);
    await reaches("joined", 2);
    await app!.end("SIGTERM");
    const counts: Record<string, number[]> = {};
    for (const line of await committed("counts")) {
      const [word, count] = line.split(":") as [string, string];
      (counts[word] ??= []).push(Number(count));
    }
    const joined = (await committed("joined")).sort();
    const changelog = await cli(["topic", "describe", "app-counts-changelog"]);
    return { counts, joined, words: app!.words(), changelog };
  } finally {
    await app?.end("SIGKILL");
  }
}

let running: Promise<Outcome> | null = null;

/** The scenario runs once; each check is a test of its own. */
function outcome(): Promise<Outcome> {
  running ??= withHub(async (hub) => {
    const { folder, remove } = scratch();
    try {
      return await scenario(`127.0.0.1:${hub().kafka}`, folder);
    } finally {
      remove();
    }
  });
  return running;
}

compat(
  "Kafka Streams",
  "exactly_once_v2: a word count, every change once, over a kill of the application",
  async () => {
    const { counts } = await outcome();
    const expected: Record<string, number[]> = {};
    for (const word of lines.join(" ").split(" ")) {
      const all = (expected[word] ??= []);
      all.push(all.length + 1);
    }
    assert.deepEqual(counts, expected);
  },
);

compat("Kafka Streams", "exactly_once_v2: a windowed join by event time, over a kill of the application", async () => {
  assert.deepEqual((await outcome()).joined, ["k1:a+x", "k1:c+z"]);
});

compat("Kafka Streams", "state: restored from its compacted changelog after the kill", async () => {
  const { words, changelog } = await outcome();
  const restored = [...words.matchAll(/^restored counts (\d+)$/gm)].map(([, count]) => Number(count));
  assert.ok(
    restored.some((count) => count > 0),
    words,
  );
  assert.match(changelog, /cleanup\.policy\W+compact/);
});
