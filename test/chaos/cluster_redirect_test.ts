// Server redirection over three hubs (MQTT5 section 4.11): a hub that stops, and one that is full, name one with room.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type IConnackPacket, type IDisconnectPacket, type MqttClient } from "mqtt";
import { connect } from "../../hub/mod.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; !(await holds()); await pause(20)) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
  }
}

interface Visitor {
  readonly client: MqttClient;
  /** null: closed without one. */
  readonly connack: IConnackPacket | null;
  /** What the hub said at the end. */
  readonly farewells: IDisconnectPacket[];
  readonly heard: string[];
  isClosed: boolean;
}

/** One connection to a host:port, without a second try. */
async function visit(address: string, clientId: string, protocolVersion: 4 | 5 = 5): Promise<Visitor> {
  const [host, port] = address.split(":") as [string, string];
  const client = mqtt.connect({
    ...{ host, port: Number(port), clientId, protocolVersion, reconnectPeriod: 0, clean: false, keepalive: 30 },
    ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
  });
  const farewells: IDisconnectPacket[] = [];
  const heard: string[] = [];
  client.on("error", () => {}); // a CONNACK of 0x80 or more
  client.on("disconnect", (packet) => void farewells.push(packet));
  client.on("message", (_topic, payload) => void heard.push(payload.toString()));
  const connack = await new Promise<IConnackPacket | null>((resolve) => {
    client.on("packetreceive", (packet) => packet.cmd === "connack" && resolve(packet));
    client.once("close", () => resolve(null));
  });
  const visitor: Visitor = { client, connack, farewells, heard, isClosed: false };
  client.on("close", () => {
    visitor.isClosed = true;
  });
  return visitor;
}

const addressOf = ({ host, ports }: ChaosHub): string => `${host}:${ports.mqtt}`;

type Told = readonly [code: number | undefined, reference: string | undefined];

const whereTo = ({ reasonCode, properties }: IDisconnectPacket): Told => [reasonCode, properties?.serverReference];

interface Stage {
  readonly hubs: readonly ChaosHub[];
  readonly bootstrap: string;
  readonly enter: (...args: Parameters<typeof visit>) => Promise<Visitor>;
}

async function onStage(env: Readonly<Record<string, string>>, body: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = await ChaosStage.open(3, { env });
  const clients: MqttClient[] = [];
  const enter = async (...args: Parameters<typeof visit>): Promise<Visitor> => {
    const visitor = await visit(...args);
    clients.push(visitor.client);
    return visitor;
  };
  try {
    await body({ hubs: stage.hubs, bootstrap: stage.bootstrap(), enter });
  } catch (error) {
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-3000)}`).join("\n");
    throw new Error(`${String(error)}\n${told}`, { cause: error });
  } finally {
    for (const one of clients) one.end(true);
    await stage.close();
  }
}

/** Where the hub's beats say that there is room, they say so within a beat. */
const beatMs = 1_000;

test("a hub that is stopped sends its clients of 5 to hubs that live, where their sessions go on", async () => {
  await onStage({}, async ({ hubs, enter }) => {
    const [first, second, third] = hubs as [ChaosHub, ChaosHub, ChaosHub];
    const pumps = await Promise.all([1, 2, 3, 4].map((n) => enter(addressOf(first), `pump-${n}`)));
    const old = await enter(addressOf(first), "old", 4);
    const author = await enter(addressOf(second), "author");
    for (const { client } of pumps) await client.subscribeAsync("commands/all/rate", { qos: 1 });
    await pause(2 * beatMs);
    assert.equal(await first.end("SIGTERM"), 0);
    await until("the end of all connections", () => [...pumps, old].every(({ isClosed }) => isClosed));
    await author.client.publishAsync("commands/all/rate", "7", { qos: 1 });
    const told = pumps.map(({ farewells }) => farewells.map(whereTo));
    const [here, there] = [second, third].map((hub) => [[0x9c, addressOf(hub)]]);
    const spread = told.map((one) => JSON.stringify(one)).sort();
    assert.deepEqual(spread, [here, here, there, there].map((one) => JSON.stringify(one)).sort(), "half to each");
    assert.deepEqual(old.farewells, []);
    for (const [n, [farewell]] of told.entries()) {
      const again = await enter(farewell![1]!, `pump-${n + 1}`);
      assert.deepEqual([again.connack?.reasonCode, again.connack?.sessionPresent], [0, true]);
      await until("what was published meanwhile", () => again.heard.includes("7"));
    }

    // one that is dead is named no more, one that is back is
    await Promise.all([first.start(), third.end("SIGKILL")]);
    const last = await Promise.all([enter(addressOf(second), "last-1"), enter(addressOf(second), "last-2")]);
    await pause(3 * beatMs);
    assert.equal(await second.end("SIGTERM"), 0);
    await until("the end of the last connections", () => last.every(({ isClosed }) => isClosed));
    for (const { farewells } of last) {
      assert.deepEqual(farewells.map(whereTo), [[0x9c, addressOf(first)]]);
    }
  });
});

test("a hub that was drained to go for good says so", async () => {
  await onStage({ PARTIDOR_MQTT__PRESENCE: "false" }, async ({ hubs, enter, bootstrap }) => {
    const [first, second, third] = hubs as [ChaosHub, ChaosHub, ChaosHub];
    const visitors = await Promise.all(["a", "b"].map((name) => enter(addressOf(first), name)));
    const operator = connect({ bootstrap, clientId: "operator" });
    const admin = operator.admin().cluster();
    await until("all partitions are elsewhere", async () => (await admin.leave(first.id, "drain")) === null);
    await operator.close();
    await pause(2 * beatMs);
    assert.equal(await first.end("SIGTERM"), 0);
    await until("the end of all connections", () => visitors.every(({ isClosed }) => isClosed));
    const told = visitors.map(({ farewells }) => farewells.map(whereTo)).sort();
    assert.deepEqual(told, [[[0x9d, addressOf(second)]], [[0x9d, addressOf(third)]]].sort());
  });
});

test("a full hub sends clients of 5 to one that has room; where none has, they are closed", async () => {
  await onStage({ PARTIDOR_MQTT__MAX_CONNECTIONS: "2" }, async ({ hubs, enter }) => {
    const [first, second, third] = hubs.map(addressOf) as [string, string, string];
    for (const name of ["a", "b"]) assert.equal((await enter(first, name)).connack?.reasonCode, 0);
    for (const name of ["c", "d"]) assert.equal((await enter(second, name)).connack?.reasonCode, 0);
    await pause(2 * beatMs);
    const late = await enter(first, "late");
    assert.deepEqual([late.connack?.reasonCode, late.connack?.properties?.serverReference], [0x9c, third]);
    assert.equal((await enter(first, "old", 4)).connack, null, "3.1.1 is closed without an answer");
    assert.equal((await enter(third, "late")).connack?.reasonCode, 0);
    assert.equal((await enter(third, "last")).connack?.reasonCode, 0);
    await pause(2 * beatMs);
    assert.equal((await enter(first, "nowhere")).connack, null);
  });
});
