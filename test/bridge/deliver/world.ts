// Real sessions in front of deliveries over a real hub: clients that note what they get, and a publisher as ingress is.
import { propertyHeaders } from "../../../bridge/deliver/headers.ts";
import { type DeliveriesOptions, openDeliveries } from "../../../bridge/deliver/deliveries.ts";
import type { Deliveries, Subscriber } from "../../../bridge/deliver/faces.ts";
import { admit } from "../../../bridge/session/admit.ts";
import { checkConnect } from "../../../bridge/session/connect.ts";
import type { SessionEffect } from "../../../bridge/session/effects.ts";
import type { Message } from "../../../bridge/session/message.ts";
import type { StoredSession } from "../../../bridge/session/record.ts";
import { Session } from "../../../bridge/session/session.ts";
import { TopicMap } from "../../../bridge/topic_map.ts";
import { type Acknowledgement, noProperties, type Packet, type Qos } from "../../../bridge/wire/packet.ts";
import type { HubClient, Producer } from "../../../hub/mod.ts";
import { openTestHub, type TestHub } from "../../tools/test_hub.ts";
import { openRecorder, type Recorder } from "../harness.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface World {
  readonly hub: TestHub;
  readonly client: HubClient;
  deliveries: Deliveries;
  readonly trace: Recorder;
  /** Deliveries anew, as after a restart; the clients of before are to be dropped. */
  reopen(more?: Partial<DeliveriesOptions>): Promise<void>;
  /** Deliveries of another hub, as it were; closed by who asked. */
  another(): Deliveries;
  /** Stores it as ingress does; resolves when it is acknowledged. */
  publish(topic: string, payload: string, qos?: Qos, more?: Partial<Message>): Promise<void>;
  /** A record of no MQTT client. */
  record(topic: string, key: string | null, value: string, headers?: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

export async function withWorld(
  use: (world: World) => Promise<void>,
  options: Partial<DeliveriesOptions> & { readonly settings?: Record<string, string | number> } = {},
): Promise<void> {
  const alive = setInterval(() => {}, 1_000);
  const hub = await openTestHub(options.settings === undefined ? {} : { settings: options.settings });
  const client = hub.hub.client("bridge");
  const trace = openRecorder();
  const map = options.map ?? new TopicMap();
  const base = { client, clock: hub.hub.clock, trace, map, clockSkewMs: 0, ...options };
  let producer: Producer | null = null;
  const world: World = {
    hub,
    client,
    trace,
    deliveries: openDeliveries(base),
    async reopen(more = {}) {
      await world.deliveries.close();
      world.deliveries = openDeliveries({ ...base, ...more });
    },
    another: () => openDeliveries(base),
    async publish(topic, payload, qos = 1, more = {}) {
      const routed = map.route(topic, "publisher");
      if (routed.kind !== "store") throw new Error(`${topic} is not stored`);
      const properties = noProperties;
      const message = {
        topic,
        payload: encoder.encode(payload),
        qos,
        retain: false,
        properties,
        publisher: "publisher",
      };
      await send(routed.topic, routed.key, payload, fourHeaders({ ...message, expiresAt: null, ...more }));
    },
    async record(topic, key, value, headers = {}) {
      const list = Object.entries(headers).map(([name, text]) => ({ key: name, value: encoder.encode(text) }));
      await send(topic, key, value, list);
    },
    async close() {
      await world.deliveries.close();
      await client.close();
      await hub.close();
      clearInterval(alive);
    },
  };
  const send = async (topic: string, key: string | null, value: string, headers: readonly Headers[]): Promise<void> => {
    producer ??= client.producer();
    const record = { key: key === null ? null : encoder.encode(key), value: encoder.encode(value), headers };
    await producer.publish(topic, record);
  };
  try {
    await use(world);
  } finally {
    await world.close();
  }
}

interface Headers {
  readonly key: string;
  readonly value: Uint8Array | null;
}

function fourHeaders(message: Message): Headers[] {
  const text = (key: string, value: string): Headers => ({ key, value: encoder.encode(value) });
  const { topic, qos, retain, publisher } = message;
  return [
    text("mqtt.topic", topic),
    text("mqtt.qos", String(qos)),
    text("mqtt.retain", retain ? "1" : "0"),
    text("mqtt.client", publisher),
    ...propertyHeaders(message),
  ];
}

export interface Got {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly dup: boolean;
  readonly packetId: number;
  readonly message: Message;
}

export interface ClientOptions {
  readonly durable?: boolean;
  readonly receiveMax?: number;
  /** Acknowledgements are sent by the test. */
  readonly holds?: boolean;
}

/** One MQTT client and its session. */
export class Client implements Subscriber {
  readonly #world: World;
  readonly id: string;
  readonly got: Got[] = [];
  /** As it is in `__mqtt_sessions`. */
  stored: StoredSession | null = null;
  holds = false;
  performed = 0;
  session: Session;
  readonly effects: SessionEffect[] = [];
  #toSend: Packet[] = [];
  #waiting: { count: number; wake: () => void }[] = [];
  #ready: (() => void)[] = [];

  constructor(world: World, id: string, stored: StoredSession | null = null) {
    this.#world = world;
    this.id = id;
    this.stored = stored;
    this.session = this.#make();
  }

  #make(): Session {
    const deps = { budget: { used: 0, max: 1e6 }, tailOf: this.#world.deliveries.tailOf };
    const past = this.stored === null ? null : { session: this.stored, inboundIds: [], will: null };
    return new Session(this.id, deps, Date.now(), past);
  }

  get sink(): SessionEffect[] {
    return this.effects;
  }

  /** `topic payload`, in the order they came. */
  get texts(): string[] {
    return this.got.map(({ topic, payload }) => `${topic} ${payload}`);
  }

  /** The process ended; what was stored is there again. */
  restart(): void {
    this.session = this.#make();
    this.effects.length = 0;
    this.#world.deliveries.restore(this);
  }

  connect({ durable = false, receiveMax = 65_535, holds = false }: ClientOptions = {}): void {
    this.holds = holds;
    const properties = { receiveMaximum: receiveMax, ...(durable ? { sessionExpiry: 10_000 } : {}) };
    const rest = { will: null, username: null, password: null, keepAlive: 0, clean: !durable };
    const connect = { kind: "connect", version: 5, clientId: this.id, properties, ...rest } as const;
    const checked = checkConnect(connect, this.id);
    if (checked.kind !== "admit") throw new Error("refused");
    const make = (): Session => this.#make();
    const carryOut = (before: SessionEffect[]): void => void this.effects.push(...before);
    const { session, effects } = admit(this.session, checked.admission, () => true, make, Date.now(), carryOut);
    this.session = session;
    this.effects.push(...effects);
    this.perform();
    this.#world.deliveries.connected(this);
  }

  /** Resolves with the SUBACK. */
  async subscribe(filter: string, qos: Qos = 1, more: Record<string, unknown> = {}, start?: string): Promise<void> {
    const options = { qos, noLocal: false, retainAsPublished: false, retainHandling: 0, ...more } as const;
    const properties = start === undefined ? {} : { userProperties: [["stream-offset", start]] as const };
    const answered = new Promise<void>((resolve) => this.#ready.push(resolve));
    this.send({ kind: "subscribe", packetId: 1, subscriptions: [{ filter, ...options }], properties });
    await answered;
  }

  unsubscribe(filter: string): void {
    this.send({ kind: "unsubscribe", packetId: 2, filters: [filter], properties: {} });
  }

  lose(): void {
    this.session.connectionLost(Date.now(), this.effects);
    this.perform();
    this.#world.deliveries.disconnected(this);
  }

  send(...packets: Packet[]): void {
    this.session.receive(packets, Date.now(), this.effects);
    this.perform();
  }

  /** Acknowledges what is not acknowledged yet, oldest first. */
  acknowledge(count = Number.POSITIVE_INFINITY): void {
    this.send(...this.#toSend.splice(0, count));
  }

  get unacknowledged(): number {
    return this.#toSend.length;
  }

  /** Resolves when so many messages came in all. */
  async until(count: number): Promise<void> {
    if (this.got.length >= count) return;
    await new Promise<void>((wake, fail) => {
      const timer = setTimeout(() => fail(new Error(`${this.id}: ${this.got.length} of ${count} came`)), 20_000);
      this.#waiting.push({
        count,
        wake: () => {
          clearTimeout(timer);
          wake();
        },
      });
    });
  }

  perform(): void {
    this.performed++;
    while (this.effects.length > 0) for (const effect of this.effects.splice(0)) this.#do(effect);
    const ready = this.#waiting.filter(({ count }) => count <= this.got.length);
    this.#waiting = this.#waiting.filter(({ count }) => count > this.got.length);
    for (const { wake } of ready) wake();
    if (!this.holds && this.#toSend.length > 0) setImmediate(() => this.acknowledge());
  }

  readonly #awaited: Promise<void>[] = [];

  #do(effect: SessionEffect): void {
    const { deliveries } = this.#world;
    const now = Date.now();
    switch (effect.kind) {
      case "publish": {
        const { message, terms } = effect;
        const { qos, dup, packetId } = terms;
        const payload = decoder.decode(message.payload);
        this.got.push({ topic: message.topic, payload, qos, dup, packetId, message });
        if (qos > 0) this.#toSend.push(answer(qos === 1 ? "puback" : "pubrec", packetId));
        return;
      }
      case "send":
        if (effect.packet.kind === "pubrel") this.#toSend.push(answer("pubcomp", effect.packet.packetId));
        if (effect.packet.kind === "suback") this.#ready.shift()?.();
        return;
      case "store":
        this.stored = this.session.snapshot();
        return this.session.onStored(effect.ticket, now, this.effects);
      case "subscribe":
        this.#awaited.push(deliveries.subscribe(this, effect));
        return;
      case "await":
        void Promise.all(this.#awaited.splice(0)).then(() => {
          this.session.onReady(effect.ticket, this.effects);
          this.perform();
        });
        return;
      case "unsubscribe":
        return deliveries.unsubscribe(this, effect.filter);
      case "more":
        return deliveries.more(this);
      case "fetch":
        return deliveries.fetch(this, effect.wants);
      case "close":
      case "ended":
        if (effect.kind === "ended") deliveries.forget(this);
        return;
    }
  }
}

function answer(kind: Acknowledgement["kind"], packetId: number): Acknowledgement {
  return { kind, packetId, code: 0, properties: noProperties };
}

/** Resolves when it holds; looked at often, for what no event tells. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 15_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
