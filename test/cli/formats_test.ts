// Records in and out: produce's lines, consume's formats, pairs, lag, hidden secrets, doctor's verdicts, completions.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import test from "node:test";
import type { Command } from "../../cli/command.ts";
import { bashScript, fishScript, treeOf } from "../../cli/completion.ts";
import { rowsOf, withoutSecret } from "../../cli/config.ts";
import { checkClock, checkFolder, checkPort, checkRedis, checkRuntime, codeFor } from "../../cli/doctor.ts";
import { UsageError } from "../../cli/exit.ts";
import { lagOf } from "../../cli/lag.ts";
import { recordOf } from "../../cli/produce.ts";
import { formatOf } from "../../cli/record_format.ts";
import { parsePairs } from "../../cli/topic.ts";
import type { InRecord } from "../../hub/client/faces.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | null): string | null => (value === null ? null : new TextDecoder().decode(value));
const plain = { key: undefined, separator: undefined, headers: [], partition: undefined };

test("a line becomes key and value at the first separator", () => {
  const split = (line: string, separator: string): (string | null)[] => {
    const { key, value } = recordOf(line, { ...plain, key: "d", separator });
    return [text(key), text(value)];
  };
  assert.deepEqual(split("k:v:w", ":"), ["k", "v:w"]);
  assert.deepEqual(split("no", ":"), ["d", "no"]);
  assert.deepEqual(split(":v", ":"), ["", "v"]);
  assert.deepEqual(split("a=>b", "=>"), ["a", "b"]);
  assert.equal(recordOf("x", plain).key, null);
  assert.equal(recordOf("x", { ...plain, partition: 3 }).partition, 3);
});

const record: InRecord = {
  topic: "t",
  partition: 1,
  offset: 7,
  timestamp: 1_700_000_000_000,
  key: bytes("k"),
  value: bytes("a\u001b[2J"),
  headers: [{ key: "h", value: bytes("1") }],
};

test("formats print what they say, and a terminal is not commanded by a payload", () => {
  assert.equal(formatOf("value", true)(record), "a\u001b[2J");
  assert.equal(formatOf("value", false)(record), "a\\x1b[2J");
  assert.equal(formatOf("full", false)(record), "2023-11-14T22:13:20.000Z  t/1/7  k  a\\x1b[2J");
  assert.equal(formatOf("hex", false)(record), "t/1/7  6b  611b5b324a");
  assert.equal(formatOf("%t-%p-%o %k=%v %h%%", false)(record), "t-1-7 k=a\\x1b[2J h=1%");
  assert.equal(formatOf("%k %v", false)({ ...record, value: bytes("$& %k") }), "k $& %k");
  const { key, headers } = JSON.parse(formatOf("json", false)(record)) as { key: string; headers: unknown };
  assert.deepEqual([key, headers], ["k", [["h", "1"]]]);
  const binary = JSON.parse(formatOf("json", false)({ ...record, value: Uint8Array.of(255) })) as { value: unknown };
  assert.deepEqual(binary.value, { base64: "/w==" });
  for (const name of ["nope", "%x", "100%"]) assert.throws(() => formatOf(name, false), UsageError);
});

test("NAME=VALUE pairs", () => {
  assert.deepEqual(parsePairs("config", ["a=1", "b=c=d", "e="]), { a: "1", b: "c=d", e: "" });
  for (const bad of ["a", "=1", ""]) assert.throws(() => parsePairs("config", [bad]), UsageError);
});

test("lag counts from the commit, or from the log start when retention went past it", () => {
  assert.deepEqual(lagOf(5, 0, 10, 1_000, 4_000), { lag: 5, lagSeconds: 3 });
  assert.deepEqual(lagOf(10, 0, 10, undefined, 4_000), { lag: 0, lagSeconds: 0 });
  assert.deepEqual(lagOf(null, 3, 10, undefined, 4_000), { lag: 7, lagSeconds: null });
  assert.deepEqual(lagOf(1, 3, 10, 9_000, 4_000), { lag: 7, lagSeconds: 0 });
});

test("secrets are not shown", () => {
  assert.equal(withoutSecret("redis.url", "redis://u:p@h:1/0"), "redis://(hidden)@h:1/0");
  assert.equal(withoutSecret("redis.password", "x"), "(hidden)");
  assert.deepEqual(rowsOf({ a: { b: 1 }, c: new Map([["d.e", "2"]]), f: null }), [
    { setting: "a.b", value: 1 },
    { setting: "d.e", value: "2" },
    { setting: "f", value: null },
  ]);
});

test("doctor: runtime, clock, folder, taken port, Redis", async () => {
  assert.deepEqual(
    ["18.20.0", "20.18.9", "20.19.0", "24.1.0"].map((version) => checkRuntime(version).state),
    ["fail", "fail", "ok", "ok"],
  );
  assert.equal(checkClock(0, null).state, "warn");
  assert.equal(checkClock(Date.UTC(2027, 0), true).state, "ok");
  assert.equal(checkClock(Date.UTC(2027, 0), false).state, "warn");
  const folder = checkFolder(`${process.cwd()}/no/such/folder`);
  assert.equal(folder[0]!.state, "ok");
  const unwritable = checkFolder("/proc/nothing");
  assert.equal(codeFor(unwritable), 70);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    socket.end("+PONG\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    assert.equal((await checkPort("Kafka", "127.0.0.1", port)).state, "warn");
    assert.equal((await checkRedis(`redis://127.0.0.1:${port}`)).state, "ok");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  const gone = await checkRedis(`redis://127.0.0.1:${port}`);
  assert.equal(gone.state, "fail");
  assert.ok(gone.found.includes("ECONNREFUSED"));
  assert.equal((await checkRedis("http://x")).state, "fail");
  assert.equal((await checkPort("Kafka", "127.0.0.1", port)).state, "ok");
});

test("completions name every verb, word and flag", () => {
  const run: Command["run"] = async () => 0;
  const command: Command = { name: "topic create", summary: "", takes: [], flags: { partitions: { doc: "" } }, run };
  const tree = treeOf(["topic", "up"], [command], new Map([["up", ["--demo"]]]));
  const bash = bashScript(tree);
  assert.ok(bash.includes('words="topic up"') && bash.includes('"topic create") words="--partitions --json --help"'));
  assert.ok(bash.includes('"up") words="--demo"'));
  assert.ok(fishScript(tree).includes('__fish_seen_subcommand_from create" -l partitions'));
});
