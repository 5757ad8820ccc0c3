// A shared subscription over three hubs: the leader of what it reads is killed, with a member of its own; nothing is lost.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type MqttClient } from "mqtt";
import { connect } from "../../hub/mod.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: () => string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await pause(20)) {
    if (performance.now() > end) throw new Error(`not in time: ${what()}`);
  }
}

/** As a device is set up: it goes on to the next hub when its own does not answer. */
function device(hubs: readonly ChaosHub[], clientId: string): MqttClient {
  const servers = hubs.map(({ host, ports }) => ({ host, port: ports.mqtt, protocol: "mqtt" as const }));
  const rest = { protocolVersion: 5, reconnectPeriod: 200, connectTimeout: 3_000, keepalive: 5 } as const;
  const client = mqtt.connect({ servers, clientId, ...rest });
  client.on("error", () => {});
  return client;
}

const group = "crew";
const topic = "work";
const devices = 24;

test("a group's leader and a member of it are killed: every message reaches a member, and the group goes on", async () => {
  const stage = await ChaosStage.open(3);
  const observer = connect({ bootstrap: stage.bootstrap(), clientId: "observer" });
  const admin = observer.admin();
  const clients: MqttClient[] = [];
  try {
    await admin.createTopic(topic, { partitions: 6 });
    const leaders = async (): Promise<number[]> =>
      (await admin.topics([topic])).flatMap(({ partitions }) => partitions.map(({ leader }) => leader));
    let led: number[] = [];
    await until(
      () => `leaders ${led}`,
      async () => {
        led = await leaders().catch(() => []);
        return led.length === 6 && led.every((leader) => leader > 0);
      },
    );
    const victim = stage.hubs.find(({ id }) => id === led[0])!;
    const others = stage.hubs.filter((hub) => hub !== victim);

    // a member at each hub; those of the dead hub go on elsewhere
    const heard = new Map<string, number>();
    const shares = new Map<string, number>();
    for (const [n, hub] of [victim, ...others].entries()) {
      const name = `member-${n}`;
      const member = device([hub, ...others], name);
      clients.push(member);
      member.on("message", (_topic, payload) => {
        const text = payload.toString();
        heard.set(text, (heard.get(text) ?? 0) + 1);
        shares.set(name, (shares.get(name) ?? 0) + 1);
      });
      await member.subscribeAsync(`$share/${group}/${topic}/#`, { qos: 1 });
    }

    const author = device(others, "author");
    clients.push(author);
    const acknowledged: string[] = [];
    let count = 0;
    const publish = async (): Promise<void> => {
      const text = `m${count++}`;
      await author.publishAsync(`${topic}/device-${count % devices}/n`, text, { qos: 1 });
      acknowledged.push(text);
    };
    const publishMany = async (many: number): Promise<void> => {
      for (let left = many; left > 0; left -= devices) {
        await Promise.all(Array.from({ length: Math.min(left, devices) }, publish));
      }
    };
    const allHeard = (): Promise<void> =>
      until(
        () => `${acknowledged.filter((text) => !heard.has(text)).length} of ${acknowledged.length} not heard`,
        () => acknowledged.every((text) => heard.has(text)),
      );

    await publishMany(480);
    await allHeard();
    assert.equal(shares.size, 3, `every member has a share: ${JSON.stringify([...shares])}`);
    const twiceBefore = heard.size === 480 ? [...heard.values()].filter((times) => times > 1).length : -1;
    assert.equal(twiceBefore, 0, "and each message went to one of them");

    // more while its leader dies, and afterwards
    const during = publishMany(720);
    await pause(100);
    const began = performance.now();
    await victim.end("SIGKILL");
    await during;
    await publishMany(240);
    await allHeard();
    const goesOnMs = Math.round(performance.now() - began);
    const repeated = [...heard.values()].filter((times) => times > 1).length;
    const told = `all was heard ${goesOnMs} ms after the kill, ${repeated} of ${heard.size} more than once`;
    console.log(`# ${told}`);
    assert.ok(goesOnMs < 25_000, told);
    assert.ok((await leaders()).every((leader) => leader !== victim.id && leader > 0));

    // a Kafka client sees the group go on, and nothing left to do
    await until(
      () => "the group has lag",
      async () => {
        const committed = await admin.groupOffsets(group);
        const ends = await admin.offsets(committed, "latest");
        return committed.length === 6 && committed.every(({ offset }, at) => offset === ends[at]!.offset);
      },
    );
    const { state, members } = await admin.describeGroup(group);
    assert.deepEqual([state, members.length], ["Stable", 2], "one member for each hub that lives");

    // back, and in the group again
    await victim.start();
    await publishMany(240);
    await allHeard();
  } catch (error) {
    const words = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-3000)}`).join("\n");
    throw new Error(`${String(error)}\n${words}`, { cause: error });
  } finally {
    for (const one of clients) one.end(true);
    await Promise.race([observer.close(), pause(3_000)]);
    await stage.close();
  }
});
