// The verbs as a person runs them, against a real hub: output, exit codes, sentences.
import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import test from "node:test";
import { run } from "../../cli/main.ts";
import { streams } from "../../cli/output.ts";
import { runCli } from "../tools/hub_process.ts";
import { withHub } from "../tools/test_hub.ts";

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const rowsOf = (result: Result): Record<string, unknown>[] =>
  result.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Runs a verb in this process: a process of its own costs a second for each. */
async function runHere(args: readonly string[], input: string): Promise<Result> {
  const saved = { ...streams };
  let [stdout, stderr] = ["", ""];
  const into = (take: (text: string) => void): Writable =>
    new Writable({
      write(chunk: Buffer, _, done) {
        take(chunk.toString());
        done();
      },
    });
  streams.in = Readable.from([input]);
  streams.out = into((text) => void (stdout += text));
  streams.err = into((text) => void (stderr += text));
  try {
    return { code: await run([...args]), stdout, stderr };
  } finally {
    Object.assign(streams, saved);
  }
}

/** Runs a verb, fails with its words when the code is another. */
async function expectCode(code: number, args: readonly string[], input = ""): Promise<Result> {
  const result = await runHere(args, input);
  assert.equal(result.code, code, `partidor ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  assert.ok(!/^\s+at /m.test(result.stderr), `a stack trace: ${result.stderr}`);
  return result;
}

test("as a process: code, streams, no stack trace", async () => {
  const [wrong, help, here] = await Promise.all([
    runCli(["topic", "lst"]),
    runCli(["completion", "bash"]),
    runCli(["route", "test", "a/b", "--json"]),
  ]);
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
  assert.match(wrong.stderr, /^partidor topic: there is no "lst"; did you mean list\?$/m);
  assert.match(help.stdout, /complete -o default -F _partidor partidor/);
  assert.deepEqual([help.code, here.code, rowsOf(here)[0]!.topic], [0, 0, "a"]);
});

test("usage errors: code 2, did-you-mean, never a stack trace", async () => {
  const cases: [string[], RegExp][] = [
    [["tpoic"], /there is no verb "tpoic"; did you mean topic\?/],
    [["topic", "creat"], /did you mean create\?/],
    [["topic", "create", "--partitons", "3", "x"], /no flag --partitons; did you mean --partitions\?/],
    [["topic", "create"], /TOPIC is missing/],
    [["topic", "create", "a", "b"], /one argument too many/],
    [["topic", "create", "a", "-p", "0"], /--partitions takes a whole number from 1/],
    [["topic", "list", "-x"], /no flag -x/],
    [["up", "--dmo"], /no flag --dmo; did you mean --demo\?/],
    [["group", "reset", "g", "--to", "soon"], /--to takes earliest, latest/],
    [["consume", "t", "--format", "%q"], /knows no %q/],
    [["produce", "t", "--acks", "2"], /--acks takes all, 1 or 0/],
    [["topic", "list", "-b", "nonsense"], /--bootstrap takes host:port/],
    [["completion", "tcsh"], /bash, zsh and fish/],
  ];
  for (const [args, words] of cases) assert.match((await expectCode(2, args)).stderr, words, args.join(" "));
});

test("help names every verb, on stdout, with code 0", async () => {
  const help = await expectCode(0, ["--help"]);
  for (const verb of ["up", "topic", "group", "produce", "consume", "doctor"])
    assert.ok(help.stdout.includes(`  ${verb}`));
  assert.match((await expectCode(0, ["consume", "--help"])).stdout, /usage: partidor consume TOPIC\.\.\. \[flags\]/);
  assert.match((await expectCode(0, ["help", "topic"])).stdout, /create\|list/);
  assert.match((await expectCode(0, ["completion", "bash"])).stdout, /complete -o default -F _partidor partidor/);
  assert.equal((await expectCode(2, [])).stdout, "");
});

test("no hub: code 5 and what to do, within seconds", async () => {
  const { stderr } = await expectCode(5, ["topic", "list", "-b", "127.0.0.1:1"]);
  assert.match(stderr, /no connection to 127\.0\.0\.1:1 .*`partidor up` starts one/);
  const said = await expectCode(5, ["group", "list", "-b", "127.0.0.1:1", "--json"]);
  assert.equal((JSON.parse(said.stderr) as { code: number }).code, 5);
});

test("routes and configuration need no hub", async () => {
  const routed = rowsOf(await expectCode(0, ["route", "test", "sensors/dev-7/temperature", "$SYS/x", "--json"]));
  assert.deepEqual(
    routed.map(({ outcome, topic, key }) => [outcome, topic, key]),
    [
      ["stored", "sensors", "dev-7"],
      ["not stored", null, null],
    ],
  );
  await expectCode(1, ["route", "test", "a/#"]);
  await expectCode(0, ["config", "check"]);
  const schema = JSON.parse((await expectCode(0, ["config", "schema"])).stdout) as { properties: object };
  assert.ok("mqtt" in schema.properties);
  process.env.PARTIDOR_MQTT__PROT = "1";
  try {
    assert.match((await expectCode(2, ["config", "check"])).stderr, /did you mean/);
  } finally {
    delete process.env.PARTIDOR_MQTT__PROT;
  }
  await expectCode(2, ["config", "check", "--config", "/no/such/file.toml"]);
});

test("topics, records, groups: made, read, moved, removed", async () => {
  await withHub({}, async ({ kafka }) => {
    const b = `127.0.0.1:${kafka}`;
    const on = (...args: string[]): string[] => [...args, "--bootstrap", b];
    await expectCode(0, on("topic", "create", "t", "--partitions", "3"));
    await expectCode(6, on("topic", "create", "t"));
    await expectCode(0, on("topic", "create", "t", "--if-not-exists"));
    await expectCode(2, on("topic", "create", "a b"));
    await expectCode(2, on("topic", "create", "u", "--config", "retention.ms=soon"));
    const lines = Array.from({ length: 300 }, (_, i) => `k${i % 7}:v${i}`).join("\n");
    await expectCode(0, on("produce", "t", "--key-separator", ":"), lines);
    const one = rowsOf(await expectCode(0, on("produce", "t", "--value", "x\u001b[31m", "--key", "k0", "--json")));
    assert.equal(one[0]!.topic, "t");

    const all = rowsOf(await expectCode(0, on("consume", "t", "--from", "earliest", "--no-follow", "--json")));
    assert.equal(all.length, 301);
    const ofKey = all.filter(({ key }) => key === "k3").map(({ value }) => Number(String(value).slice(1)));
    assert.deepEqual(
      ofKey,
      [...ofKey].sort((x, y) => x - y),
      "order per key",
    );
    assert.equal((await expectCode(0, on("consume", "t", "--from", "latest", "--no-follow"))).stdout, "");
    assert.equal(
      (await expectCode(0, on("consume", "t", "--from", "-1h", "--count", "5"))).stdout.split("\n").length,
      6,
    );
    await expectCode(5, on("consume", "t", "--timeout", "1"));
    await expectCode(3, on("consume", "nope"));

    const group = on("consume", "t", "--group", "g", "--from", "earliest", "--count", "100", "--json");
    const first = rowsOf(await expectCode(0, group));
    const second = rowsOf(await expectCode(0, group));
    const places = [...first, ...second].map(({ partition, offset }) => `${partition}/${offset}`);
    assert.equal(new Set(places).size, 200, "the second member went on where the first had committed");

    const described = JSON.parse((await expectCode(0, on("group", "describe", "g", "--json"))).stdout) as {
      partitions: { lag: number; lagSeconds: number }[];
    };
    assert.equal(
      described.partitions.reduce((sum, { lag }) => sum + lag, 0),
      101,
    );
    assert.ok(described.partitions.every(({ lag, lagSeconds }) => (lag > 0 ? lagSeconds >= 0 : lagSeconds === 0)));
    await expectCode(3, on("group", "describe", "nope"));

    const reset = on("group", "reset", "g", "--to", "earliest", "--json");
    const dry = rowsOf(await expectCode(0, [...reset, "--dry-run"]));
    assert.ok(dry.every(({ to }) => to === 0));
    assert.equal(rowsOf(await expectCode(0, group)).length, 100);
    await expectCode(0, reset);
    assert.equal(rowsOf(await expectCode(0, group))[0]!.offset, 0);
    assert.match((await expectCode(0, on("group", "list"))).stdout, /^GROUP +STATE\ng +Empty/);
    await expectCode(0, on("group", "delete", "g"));
    await expectCode(3, on("group", "delete", "g"));

    await expectCode(0, on("topic", "alter", "t", "--partitions", "4", "--config", "retention.ms=60000"));
    const topic = rowsOf(await expectCode(0, on("topic", "describe", "t", "--json")))[0] as {
      partitions: { records: number }[];
      configs: Record<string, string>;
    };
    assert.equal(topic.partitions.length, 4);
    assert.equal(
      topic.partitions.reduce((sum, { records }) => sum + records, 0),
      301,
    );
    assert.equal(topic.configs["retention.ms"], "60000");
    await expectCode(2, on("topic", "alter", "t", "--partitions", "2"));
    await expectCode(0, on("topic", "delete", "t"));
    await expectCode(3, on("topic", "delete", "t"));
    await expectCode(0, on("topic", "delete", "t", "--if-exists"));
  });
});

test("a group with members is not reset: code 6", async () => {
  await withHub({}, async ({ kafka }) => {
    const { connect } = await import("../../hub/mod.ts");
    const client = connect({ bootstrap: `127.0.0.1:${kafka}`, clientId: "test" });
    const admin = client.admin();
    const consumer = client.consumer({ group: "busy", from: "earliest" });
    try {
      await admin.createTopic("t", { partitions: 1 });
      await consumer.subscribe(["t"]);
      while (consumer.assignment().length === 0) await consumer.poll(100);
      const on = ["--topic", "t", "--to", "earliest", "-b", `127.0.0.1:${kafka}`];
      const { stderr } = await expectCode(6, ["group", "reset", "busy", ...on]);
      assert.match(stderr, /has members that are reading/);
    } finally {
      await consumer.close();
      await admin.close();
      await client.close();
    }
  });
});
