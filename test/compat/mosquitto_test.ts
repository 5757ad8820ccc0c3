// mosquitto_pub and mosquitto_sub against a hub: QoS 0, 1, 2 in, plain subscribers out, one log behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import test from "node:test";
import mqtt from "mqtt";
import { type HubProcess, run, scratch, startHub } from "../tools/hub_process.ts";

const publish = (hub: HubProcess, args: readonly string[]): Promise<string> =>
  run("mosquitto_pub", ["-h", "127.0.0.1", "-p", String(hub.mqtt), "-V", "mqttv311", ...args]);

test("every QoS reaches the log with key and headers; a Kafka client reads it", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder });
  try {
    for (const qos of ["0", "1", "2"]) {
      await publish(hub, ["-t", "sensors/dev-7/temperature", "-q", qos, "-i", "station", "-m", `reading ${qos}`]);
    }
    const format = "%k|%s|%h\n";
    const args = [
      "-b",
      `127.0.0.1:${hub.kafka}`,
      "-C",
      "-t",
      "sensors",
      "-o",
      "beginning",
      "-c",
      "3",
      "-q",
      "-f",
      format,
    ];
    const got = (await run("kcat", args)).trim().split("\n");
    got.forEach((line, qos) => {
      const headers = `mqtt.topic=sensors/dev-7/temperature,mqtt.qos=${qos},mqtt.retain=0,mqtt.client=station`;
      assert.equal(line, `dev-7|reading ${qos}|${headers}`);
    });
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
});

test("a plain subscriber sees what others publish", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder });
  // its debug lines tell of the SUBACK; a pipe would hold them back
  const subscriber = spawn("stdbuf", [
    "-oL",
    "mosquitto_sub",
    "-h",
    "127.0.0.1",
    "-p",
    String(hub.mqtt),
    "-V",
    "mqttv311",
    "-t",
    "sensors/+/temperature",
    "-q",
    "1",
    "-v",
    "-C",
    "2",
    "-d",
  ]);
  try {
    const output: string[] = [];
    const subscribed = new Promise<void>((resolve) => {
      subscriber.stdout.on("data", (bytes: Buffer) => {
        output.push(bytes.toString());
        if (output.join("").includes("SUBACK")) resolve();
      });
    });
    const done = new Promise<number | null>((resolve) => subscriber.on("close", resolve));
    await subscribed;
    await publish(hub, ["-t", "sensors/a/temperature", "-q", "1", "-m", "21.5"]);
    await publish(hub, ["-t", "sensors/a/humidity", "-q", "1", "-m", "40"]);
    await publish(hub, ["-t", "sensors/b/temperature", "-q", "0", "-m", "22"]);
    assert.equal(await done, 0);
    const seen = output
      .join("")
      .split("\n")
      .filter((line) => line.startsWith("sensors/"));
    assert.deepEqual(seen, ["sensors/a/temperature 21.5", "sensors/b/temperature 22"]);
  } finally {
    subscriber.kill("SIGKILL");
    await hub.end("SIGKILL");
    remove();
  }
});

test("MQTT over WebSocket comes into the same log", async () => {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder });
  try {
    const client = await mqtt.connectAsync(`ws://127.0.0.1:${hub.http}/mqtt`, {
      protocolVersion: 4,
      clientId: "browser",
    });
    await client.publishAsync("sensors/ws-1/count", "7", { qos: 1 });
    await client.endAsync();
    const args = [
      "-b",
      `127.0.0.1:${hub.kafka}`,
      "-C",
      "-t",
      "sensors",
      "-o",
      "beginning",
      "-c",
      "1",
      "-q",
      "-f",
      "%k %s",
    ];
    assert.equal(await run("kcat", args), "ws-1 7");
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
});
