// `partidor up` as a process: ready line, health, drain, and one clear sentence for each thing that cannot be.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import { run, runCli, scratch, startHub } from "../tools/hub_process.ts";

const free = ["--mqtt-port", "0", "--kafka-port", "0", "--http-port", "0"];

/** The refusal is one or two lines that a person can act on: no stack, no object. */
function sentence(result: { code: number; stderr: string; stdout: string }, code: number, pattern: RegExp): void {
  const said = result.stderr
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("{"))
    .join("\n");
  assert.equal(result.code, code, `${said}\n${result.stdout}`);
  assert.match(said, pattern);
  assert.ok(!said.includes("    at "), `a stack trace:\n${said}`);
  assert.ok(said.split("\n").length <= 3, said);
}

test("ready line, health and metrics; SIGTERM drains and ends with 0; the next start is a clean one", async () => {
  const { folder, remove } = scratch();
  try {
    const hub = await startHub({ data: folder });
    const answer = async (route: string): Promise<Response> => await fetch(`http://127.0.0.1:${hub.http}${route}`);
    const ready = await answer("/readyz");
    assert.equal(ready.status, 200);
    assert.ok(["ready", "degraded"].includes(((await ready.json()) as { status: string }).status));
    assert.equal((await answer("/healthz")).status, 200);
    assert.match(await (await answer("/metrics")).text(), /partidor_partitions \d/);
    assert.match(await (await answer("/")).text(), /<title>/);
    assert.equal(await hub.end("SIGTERM"), 0);
    const again = await startHub({ data: folder });
    assert.match(again.words(), /"clean":true/);
    await again.end("SIGKILL");
    const after = await startHub({ data: folder });
    assert.match(after.words(), /"clean":false/);
    await after.end();
  } finally {
    remove();
  }
});

test("a taken port", async () => {
  const { folder, remove } = scratch();
  const holder = net.createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const { port } = holder.address() as net.AddressInfo;
  try {
    for (const [flag, face] of [
      ["--mqtt-port", "MQTT"],
      ["--kafka-port", "Kafka"],
      ["--http-port", "dashboard"],
    ] as const) {
      const others = ["--mqtt-port", "--kafka-port", "--http-port"]
        .filter((one) => one !== flag)
        .flatMap((one) => [one, "0"]);
      const result = await runCli([
        "up",
        "--json",
        "--data",
        folder,
        "--listen",
        "127.0.0.1",
        flag,
        String(port),
        ...others,
      ]);
      sentence(result, 1, new RegExp(`${face} port ${port}.* taken .*choose another`, "i"));
    }
  } finally {
    holder.close();
    remove();
  }
});

test("a folder that cannot be written, and one that is a file", async () => {
  const { folder, remove } = scratch();
  try {
    const file = path.join(folder, "file");
    writeFileSync(file, "");
    sentence(await runCli(["up", "--data", file, ...free]), 1, /data folder .*file/i);
    sentence(await runCli(["up", "--data", path.join(file, "below"), ...free]), 1, /data folder/i);
    // root may write nearly everywhere, but makes no folder in /sys
    sentence(await runCli(["up", "--data", "/sys/partidor", ...free]), 1, /may not write/);
  } finally {
    remove();
  }
});

test("a folder in use", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder });
  try {
    sentence(await runCli(["up", "--data", folder, ...free]), 1, new RegExp(`${hub.pid}`));
  } finally {
    await hub.end();
    remove();
  }
});

test("a wrong Redis URL, a wrong flag, a wrong setting: usage, before anything is opened", async () => {
  const { folder, remove } = scratch();
  try {
    const up = (...args: string[]) => runCli(["up", "--data", path.join(folder, "data"), ...free, ...args]);
    sentence(await up("--redis", "http://localhost"), 2, /redis/i);
    sentence(await up("--redis", "redis://:secret@/x"), 2, /redis/i);
    assert.ok(!(await up("--redis", "redis://:secret@/x")).stderr.includes("secret"));
    sentence(await up("--mqtt-prot", "1"), 2, /mqtt-port/);
    sentence(await up("--hub-id", "99"), 2, /0\.\.63/);
    sentence(await up("--config", path.join(folder, "none.toml")), 2, /no such file/);
    const config = path.join(folder, "partidor.toml");
    writeFileSync(config, "[mqtt]\nprot = 1\n");
    sentence(await up("--config", config), 2, /did you mean mqtt\.port/);
    writeFileSync(config, '[[routes]]\nmatch = "{topic"\n');
    sentence(await up("--config", config), 2, /route 1/);
    writeFileSync(config, '[[downlinks]]\ntopic = "commands"\npublish = "a/{device}"\n');
    sentence(await up("--config", config), 2, /downlink 1/);
    sentence(await runCli(["config", "check", "--config", config]), 2, /downlink 1/);
  } finally {
    remove();
  }
});

test("listening beyond this machine without credentials is refused, and said loudly when insisted on", async () => {
  const { folder, remove } = scratch();
  try {
    sentence(await runCli(["up", "--data", folder, "--listen", "0.0.0.0", ...free]), 2, /\[access\].*--insecure/);
    const hub = await startHub({ data: folder, args: ["--listen", "0.0.0.0", "--insecure"] });
    assert.match(hub.words(), /WARNING/);
    await hub.end();
  } finally {
    remove();
  }
});

test("clients are told the advertised address", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder, args: ["--advertise", "hub.example:19092"] });
  try {
    const listing = await run("kcat", ["-b", `127.0.0.1:${hub.kafka}`, "-L"]);
    assert.match(listing, /broker 1 at hub\.example:19092/);
  } finally {
    await hub.end();
    remove();
  }
});

test("SIGHUP takes over the log level, says what needs a restart, and refuses a broken file without stopping", async () => {
  const { folder, remove } = scratch();
  const config = path.join(folder, "partidor.toml");
  writeFileSync(config, "");
  const hub = await startHub({ data: path.join(folder, "data"), args: ["--config", config] });
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(hub.words())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  try {
    writeFileSync(config, '[log]\nlevel = "debug"\n[settings]\n"num.partitions" = 7\n');
    process.kill(hub.pid, "SIGHUP");
    await said(/"applied":"log\.level","needRestart":"settings\.num\.partitions".*settings_reloaded/);
    writeFileSync(config, "[log\n");
    process.kill(hub.pid, "SIGHUP");
    await said(/settings_refused/);
    assert.equal((await fetch(`http://127.0.0.1:${hub.http}/readyz`)).status, 200);
  } finally {
    await hub.end();
    remove();
  }
});

test("one Ctrl-C that arrives twice is one: the hub drains and stops cleanly", async () => {
  const { folder, remove } = scratch();
  try {
    const hub = await startHub({ data: folder });
    process.kill(hub.pid, "SIGINT");
    process.kill(hub.pid, "SIGINT");
    assert.equal(await hub.exited, 0);
    const verified = await runCli(["log", "verify", folder]);
    assert.match(verified.stdout, /stopped cleanly/);
    assert.ok(!verified.stdout.includes("not stopped cleanly"), verified.stdout);
  } finally {
    remove();
  }
});
