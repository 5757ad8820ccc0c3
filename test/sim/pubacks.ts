// MQTT's way in over a hub that commits late, in an order of its own, or not at all: what every PUBACK says must be so.
import { anonymousAccess } from "../../bridge/auth.ts";
import { Ingress } from "../../bridge/ingress.ts";
import type { Intake } from "../../bridge/intake.ts";
import { TopicMap } from "../../bridge/topic_map.ts";
import type { Delivered, HubClient, OutRecord, Producer } from "../../hub/client/faces.ts";
import { silentTrace } from "../../hub/trace.ts";
import { seeded, SimClock } from "./clock.ts";

const partitions = 3;
const text = new TextDecoder();

/** A client and what it knows of its messages: the number of each is its packet id. */
class Device {
  readonly name: string;
  readonly intake: Intake;
  readonly committed = new Set<number>();
  readonly failed = new Set<number>();
  sent = 0;
  /** The last PUBACK. */
  acked = 0;
  acks = 0;
  broke: string | null = null;

  constructor(name: string, ingress: Ingress) {
    this.name = name;
    const write = (bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length; at += 4)
        this.#acknowledged(bytes[at]!, (bytes[at + 2]! << 8) | bytes[at + 3]!);
    };
    this.intake = ingress.open(name, "anonymous", { write, resume() {}, close() {} });
  }

  #acknowledged(type: number, id: number): void {
    if (type !== 0x40) this.broke ??= `${this.name}: no PUBACK: ${type}`;
    if (!this.committed.has(id)) this.broke ??= `I1 ${this.name}: PUBACK ${id} before its record is committed`;
    if (id <= this.acked) this.broke ??= `MQTT-4.6.0 ${this.name}: PUBACK ${id} after ${this.acked}`;
    this.acked = id;
    this.acks += 1;
  }
}

/** What broke, or null. */
export async function pubacks(seed: number): Promise<string | null> {
  const chance = seeded(seed * 7919 + 17);
  const int = (max: number): number => Math.floor(chance() * max);
  const clock = new SimClock();
  const failures = chance() < 0.5 ? 0 : 0.1;
  const devices: Device[] = [];
  /** When the last record of each partition is committed: within one they keep their order. */
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
  const client = { producer: () => ({ send }) as unknown as Producer } as unknown as HubClient;
  const options = { client, map: new TopicMap(), access: anonymousAccess("everywhere"), clock, trace: silentTrace };
  const ingress = new Ingress({ ...options, ackTimeoutMs: 10_000, inFlightPerConnectionMax: 8 });
  for (let i = 0; i < 3; i += 1) devices.push(new Device(`d${i}`, ingress));
  for (let turn = 0; turn < 100; turn += 1) {
    const device = devices[int(devices.length)]!;
    if (device.intake.mayRead()) {
      const messageId = (device.sent += 1);
      const payload = `${device.name} ${messageId}`;
      device.intake.publish({ topic: `s/${int(5)}/m`, payload, qos: 1, retain: false, messageId }, () => {});
    }
    await clock.advance(int(8));
  }
  await clock.advance(10_000);
  for (const { name, broke, acks, committed, failed, sent } of devices) {
    if (broke !== null) return broke;
    if (acks !== committed.size) return `${name}: ${acks} PUBACKs for ${committed.size} committed records`;
    if (committed.size + failed.size !== sent) return `${name}: ${sent} sent, ${committed.size} committed`;
  }
  return ingress.inFlightBytes === 0 ? null : `${ingress.inFlightBytes} bytes are in flight for ever`;
}
