// Slow, silent and many clients, on a clock of the test's own: every bound of a connection.
import assert from "node:assert/strict";
import test from "node:test";
import { anonymousAccess } from "../../../bridge/auth.ts";
import { Broker, type BrokerOptions } from "../../../bridge/broker.ts";
import { TopicMap } from "../../../bridge/topic_map.ts";
import { noProperties, type Publish } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";
import { SimClock } from "../../sim/clock.ts";
import { openRecorder, type Recorder } from "../harness.ts";
import { openStandInHub } from "../stand_in_hub.ts";
import { openKept, SessionsInMemory } from "./stand_ins.ts";
import { Wire } from "./wire.ts";

interface World {
  readonly broker: Broker;
  readonly clock: SimClock;
  readonly trace: Recorder;
  /** A connection, and its CONNECT when a client id is given. */
  open(clientId?: string, more?: Parameters<Wire["connect"]>[1]): Wire;
}

async function world(more: Partial<BrokerOptions> = {}): Promise<World> {
  const clock = new SimClock();
  const trace = openRecorder();
  const hub = openStandInHub();
  const { client } = hub;
  // everything is MQTT only: what is stored comes back on the real clock
  const map = new TopicMap([{ match: "#", store: false }]);
  const rest = { client, map, access: anonymousAccess("everywhere"), clock, trace, ackTimeoutMs: 30_000 };
  const broker = new Broker({ ...rest, ...hub.rooms(), ...more });
  await broker.start();
  const open: World["open"] = (clientId, connect) => {
    const wire = new Wire();
    broker.accept(wire.duplex, "127.0.0.1");
    if (clientId !== undefined) wire.connect(clientId, connect);
    return wire;
  };
  return { broker, clock, trace, open };
}

const second = 1_000;
const publish = (packetId: number, payload = "x"): Publish => ({
  ...{ kind: "publish", topic: "a/b", payload: Buffer.from(payload), qos: packetId === 0 ? 0 : 1, retain: false },
  ...{ dup: false, packetId, properties: noProperties },
});

test("who says nothing is closed after the connect timeout, who says half of it too", async () => {
  const { clock, open, broker } = await world();
  const [mute, half, whole] = [open(), open(), open("c")];
  half.bytes(Uint8Array.of(0x10, 30, 0, 4));
  await clock.advance(limits.mqttConnectMsMax - second);
  assert.deepEqual([mute.isDestroyed, half.isDestroyed], [false, false]);
  await clock.advance(3 * second);
  assert.deepEqual([mute.isDestroyed, half.isDestroyed, whole.isDestroyed], [true, true, false]);
  assert.equal(broker.stats().connections, 1);
});

test("a client whose session no hub gives up waits longer than one that says nothing, and not for ever", async () => {
  class Unanswered extends SessionsInMemory {
    override readonly isShared = true;
    override claim(): Promise<never> {
      return new Promise(() => {});
    }
  }
  const hub = openStandInHub();
  const keepers: BrokerOptions["keepers"] = (events) => {
    const sessions = new Unanswered(openKept(), () => Promise.resolve());
    return { ...hub.rooms().keepers(events), sessions };
  };
  const { clock, open } = await world({ keepers });
  const [mute, waiting] = [open(), open("c")];
  await clock.advance(limits.mqttConnectMsMax + 2 * second);
  assert.deepEqual([mute.isDestroyed, waiting.isDestroyed], [true, false]);
  await clock.advance(limits.mqttClaimMsMax);
  assert.equal(waiting.isDestroyed, true);
});

test("a keep alive that ran out ends a connection after one and a half of it, unless we do not read it", async () => {
  const { clock, open } = await world({ inFlightPerConnectionMax: 4 });
  const silent = open("silent", { keepAlive: 10 });
  const alive = open("alive", { keepAlive: 10 });
  for (let at = 0; at < 4; at++) {
    await clock.advance(9 * second);
    alive.send({ kind: "pingreq" });
  }
  assert.deepEqual([silent.isEnded, alive.isEnded], [true, false]);
});

test("CONNECTs come in by so many a turn, in the order they came, and all of them do", async () => {
  const { clock, open } = await world();
  const most = limits.mqttConnectsPerTurnMax;
  const wires = Array.from({ length: 3 * most + 5 }, (_, at) => open(`c${at}`));
  const accepted = (): number => wires.filter(({ isPaused }) => !isPaused).length;
  assert.equal(accepted(), most);
  assert.ok(wires.slice(0, most).every(({ isPaused }) => !isPaused));
  await clock.advance(1);
  assert.ok(wires.every((wire) => wire.of("connack").length === 1));
});

test("connections beyond the bound are closed after a while of their own", async () => {
  const { clock, open, trace } = await world({ connectionsMax: 3 });
  for (const name of ["a", "b", "c"]) open(name);
  const refused = Array.from({ length: 50 }, () => open());
  assert.equal(refused.filter(({ isDestroyed }) => isDestroyed).length, 0);
  await clock.advance(limits.mqttTurnAwayMsMax / 2);
  const early = refused.filter(({ isDestroyed }) => isDestroyed).length;
  assert.ok(early > 0 && early < 50, `${early} of 50 in the first half`);
  await clock.advance(limits.mqttTurnAwayMsMax);
  assert.ok(refused.every(({ isDestroyed }) => isDestroyed));
  assert.equal(trace.counted("mqtt_connections_refused_total"), 50);
});

test("a subscriber that takes nothing is skipped for QoS 0 and cut off after the drain timeout", async () => {
  const { clock, open, trace } = await world();
  const [slow, quick, author] = [open("slow"), open("quick"), open("author")];
  const subscriptions = [
    { filter: "a/b", qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
  ] as const;
  for (const wire of [slow, quick])
    wire.send({ kind: "subscribe", packetId: 1, subscriptions, properties: noProperties });
  await clock.advance(10);
  slow.takes = false;
  const payload = "x".repeat(100_000);
  for (let n = 0; n < 40; n++) {
    author.send(publish(0, payload));
    await clock.advance(1);
  }
  assert.equal(quick.of("publish").length, 40);
  assert.ok(slow.writableLength <= limits.mqttOutBytesMax + 2 * 128 * 1024, `${slow.writableLength} bytes wait`);
  await clock.advance(limits.mqttDrainMsMax + 2 * second);
  assert.deepEqual([slow.isDestroyed, quick.isDestroyed], [true, false]);
  assert.ok(trace.counted("mqtt_deliveries_skipped_total") > 20);
});

test("one that is slow but takes something now and then is kept", async () => {
  const { clock, open } = await world();
  const [slow, author] = [open("slow"), open("author")];
  const subscriptions = [
    { filter: "a/b", qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 },
  ] as const;
  slow.send({ kind: "subscribe", packetId: 1, subscriptions, properties: noProperties });
  await clock.advance(10);
  slow.takes = false;
  for (let n = 0; n < 8; n++) {
    author.send(publish(0, "x".repeat(1_000)));
    await clock.advance(limits.mqttDrainMsMax / 2);
    slow.drain();
  }
  assert.equal(slow.isDestroyed, false);
});

test("an author that does not take its acknowledgements is not read until it does", async () => {
  const { clock, open } = await world();
  const author = open("author");
  await clock.advance(1);
  author.takes = false;
  author.writableLength = limits.mqttOutBytesMax + 1;
  author.send(publish(1));
  assert.equal(author.isPaused, true);
  author.takes = true;
  author.drain();
  await clock.advance(1);
  assert.deepEqual([author.isPaused, author.of("puback").length], [false, 1]);
});

test("after the end a client may read the last word, for a bounded time and a bounded number of bytes", async () => {
  const { clock, open } = await world();
  const [patient, flooding] = [open("patient"), open("flooding")];
  await clock.advance(1);
  for (const wire of [patient, flooding]) wire.bytes(Uint8Array.of(0xf0, 0)); // AUTH is none of 3.1.1
  assert.deepEqual([patient.isEnded, patient.isDestroyed, patient.isPaused], [true, false, false]);
  for (let sent = 0; sent <= limits.mqttDroppedBytesMax; sent += 65_536) flooding.bytes(Buffer.alloc(65_536));
  assert.deepEqual([flooding.isDestroyed, patient.isDestroyed], [true, false]);
  await clock.advance(limits.mqttEndMsMax + 2 * second);
  assert.equal(patient.isDestroyed, true);
});
