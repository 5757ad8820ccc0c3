// MQTT's way in over a hub that commits late, in an order of its own, or not at all: what every PUBACK says must be so.
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { anonymousAccess } from "../../bridge/auth.ts";
import { Broker } from "../../bridge/broker.ts";
import { TopicMap } from "../../bridge/topic_map.ts";
import { encodePacket } from "../../bridge/wire/encode.ts";
import type { Packet } from "../../bridge/wire/packet.ts";
import type { Delivered, Header, HubClient, OutRecord, Producer } from "../../hub/client/faces.ts";
import { silentTrace } from "../../hub/trace.ts";
import { openDeliveriesInMemory, openKept, RetainedInMemory, SessionsInMemory } from "../bridge/server/stand_ins.ts";
import { seeded, SimClock } from "./clock.ts";

const partitions = 3;
const inFlightMax = 8;
const text = new TextDecoder();

/** A socket without a network: what is written is looked at, what is sent arrives at once. */
class Wire extends EventEmitter {
  readonly writableLength = 0;
  readonly #onBytes: (bytes: Uint8Array) => void;
  isPaused = false;
  isOver = false;

  constructor(onBytes: (bytes: Uint8Array) => void) {
    super();
    this.#onBytes = onBytes;
  }

  write(bytes: Uint8Array): boolean {
    this.#onBytes(bytes);
    return true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  cork(): void {}
  uncork(): void {}

  end(): void {
    this.isOver = true;
    this.emit("close");
  }

  destroy(): void {
    this.end();
  }
}

/** A client and what it knows of its messages: the number of each is its packet id. */
class Device {
  readonly name: string;
  readonly wire: Wire;
  readonly committed = new Set<number>();
  readonly failed = new Set<number>();
  sent = 0;
  /** The last PUBACK. */
  acked = 0;
  acks = 0;
  broke: string | null = null;

  constructor(name: string) {
    this.name = name;
    this.wire = new Wire((bytes) => {
      for (let at = 0; at < bytes.length; at += 4)
        this.#acknowledged(bytes[at]!, (bytes[at + 2]! << 8) | bytes[at + 3]!);
    });
  }

  send(packet: Packet): void {
    this.wire.emit("data", encodePacket(packet, 4)!);
  }

  #acknowledged(type: number, id: number): void {
    if (type === 0x20) return; // CONNACK
    if (type !== 0x40) this.broke ??= `${this.name}: no PUBACK: ${type}`;
    if (!this.committed.has(id)) this.broke ??= `I1 ${this.name}: PUBACK ${id} before its record is committed`;
    if (id <= this.acked) this.broke ??= `MQTT-4.6.0 ${this.name}: PUBACK ${id} after ${this.acked}`;
    this.acked = id;
    this.acks += 1;
  }
}

/** A producer that commits late and, with some chance, not at all; records of a partition keep their order. */
function lateProducer(chance: () => number, clock: SimClock, devices: readonly Device[]): Producer {
  const int = (max: number): number => Math.floor(chance() * max);
  const failures = chance() < 0.5 ? 0 : 0.1;
  /** When the last record of each partition is committed. */
  const ends = new Array<number>(partitions).fill(0);
  const send = (_topic: string, record: OutRecord, delivered?: Delivered): void => {
    const [name, id] = text.decode(record.value!).split(" ");
    const device = devices.find((one) => one.name === name)!;
    const partition = int(partitions);
    ends[partition] = Math.max(ends[partition]!, clock.now() + 1 + int(50));
    clock.after(ends[partition]! - clock.now(), () => {
      const error = chance() < failures ? new Error("the disk is full") : null;
      (error === null ? device.committed : device.failed).add(Number(id));
      delivered?.(error, error === null ? 0 : -1, partition);
    });
  };
  const prepare = (topic: string, key: Uint8Array, headers: readonly Header[]) => ({ topic, key, headers });
  const sendPrepared: Producer["sendPrepared"] = (prepared, bytes, start, end, delivered) => {
    const { topic, key, headers } = prepared as ReturnType<typeof prepare>;
    send(topic, { key, headers, value: bytes.subarray(start, end) }, delivered);
  };
  return { send, prepare, sendPrepared } as unknown as Producer;
}

/** What broke, or null. */
export async function pubacks(seed: number): Promise<string | null> {
  const chance = seeded(seed * 7919 + 17);
  const int = (max: number): number => Math.floor(chance() * max);
  const clock = new SimClock();
  const devices = ["d0", "d1", "d2"].map((name) => new Device(name));
  const producer = lateProducer(chance, clock, devices);
  const kept = openKept();
  const broker = new Broker({
    client: { producer: () => producer } as unknown as HubClient,
    ...{ map: new TopicMap(), access: anonymousAccess("everywhere"), clock, trace: silentTrace },
    ...{ ackTimeoutMs: 60_000, inFlightPerConnectionMax: inFlightMax },
    deliveries: openDeliveriesInMemory().deliveries,
    keepers: () => ({
      sessions: new SessionsInMemory(kept, () => Promise.resolve()),
      retained: new RetainedInMemory(kept),
    }),
  });
  for (const device of devices) {
    broker.accept(device.wire as unknown as Duplex, "127.0.0.1");
    const rest = { will: null, username: null, password: null, properties: {} };
    device.send({ kind: "connect", version: 4, clean: true, keepAlive: 0, clientId: device.name, ...rest });
  }
  await clock.advance(1);
  for (let turn = 0; turn < 100; turn += 1) {
    const device = devices[int(devices.length)]!;
    if (!device.wire.isPaused && !device.wire.isOver) {
      const packetId = (device.sent += 1);
      const payload = new TextEncoder().encode(`${device.name} ${packetId}`);
      // DUP takes it out of the fast lane: both lanes keep one order
      const rest = { dup: int(4) === 0, qos: 1, retain: false, properties: {} } as const;
      device.send({ kind: "publish", topic: `s/${int(5)}/m`, payload, packetId, ...rest });
    }
    await clock.advance(int(8));
  }
  await clock.advance(10_000);
  for (const { name, broke, acks, committed, failed, sent } of devices) {
    if (broke !== null) return broke;
    if (acks !== committed.size) return `${name}: ${acks} PUBACKs for ${committed.size} committed records`;
    if (committed.size + failed.size !== sent) return `${name}: ${sent} sent, ${committed.size} committed`;
  }
  const { inFlightBytes } = broker.stats();
  return inFlightBytes === 0 ? null : `${inFlightBytes} bytes are in flight for ever`;
}
