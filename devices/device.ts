// A device: readings into an outbox, from there over MQTT with QoS 1, in order, until the PUBACK came.
import { connect, type MqttClient } from "mqtt";
import { acknowledge, newOutbox, offer, type Outbox, rewind, take } from "./outbox.ts";
import { encodeReading, type Reading } from "./reading.ts";
import { sensorTopic } from "./topics.ts";

export interface DeviceOptions {
  readonly host: string;
  readonly port: number;
  /** Device name: MQTT client id, second topic level, and so the record's key. */
  readonly name: string;
  /** Readings kept while the hub cannot be reached; 1,000 when left out. */
  readonly outboxMax?: number;
  /** PUBLISHes that wait for their PUBACK; 16 when left out. */
  readonly window?: number;
  /** First and longest pause before a reconnect, doubled in between, each +-50 %; 250 and 10,000 when left out. */
  readonly reconnectMs?: number;
  readonly reconnectMsMax?: number;
  readonly keepaliveSeconds?: number;
  /** Uniform in [0, 1); for the jitter. */
  readonly random?: () => number;
  /** Each change of the connection, and why it was lost. */
  readonly onState?: (state: "connected" | "disconnected", reason: string | null) => void;
}

interface Outgoing {
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** What a device has done so far. */
export interface DeviceCounts {
  readonly taken: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly waiting: number;
}

/**
 * One device. A connection is used once: when it is lost, what was in flight is sent again, in order, on a new one
 * (at least once; the hub's log may hold a reading twice, never out of order before its first copy).
 */
export class Device {
  readonly name: string;
  #options: DeviceOptions;
  #outbox: Outbox<Outgoing>;
  #window: number;
  #client: MqttClient | null = null;
  #connected = false;
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #stopped = false;
  #seq = 0;
  #taken = 0;
  #acknowledged = 0;
  #lastError: string | null = null;
  #idle: (() => void)[] = [];

  constructor(options: DeviceOptions) {
    sensorTopic(options.name, "x");
    this.name = options.name;
    this.#options = options;
    this.#outbox = newOutbox(options.outboxMax ?? 1_000);
    this.#window = options.window ?? 16;
  }

  /** Begins to connect; returns at once. Reconnects by itself until `stop`. */
  start(): void {
    if (this.#client === null && !this.#stopped) this.#dial();
  }

  /**
   * Takes one reading, connected or not; its `seq` is given here.
   * @throws RangeError or ReadingError when a name or value breaks its grammar.
   */
  publish(metric: string, reading: Omit<Reading, "seq">): void {
    if (this.#stopped) throw new Error(`device ${this.name} is stopped`);
    const topic = sensorTopic(this.name, metric);
    const payload = encodeReading({ ...reading, seq: this.#seq });
    this.#seq++;
    this.#taken++;
    offer(this.#outbox, { topic, payload });
    this.#pump();
  }

  counts(): DeviceCounts {
    return {
      taken: this.#taken,
      acknowledged: this.#acknowledged,
      dropped: this.#outbox.dropped,
      waiting: this.#outbox.entries.length,
    };
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Resolves when nothing waits for an acknowledgement any more, or the device was stopped. */
  whenIdle(): Promise<void> {
    if (this.#outbox.entries.length === 0 || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Disconnects; what is still in the outbox is lost. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#wakeIdle();
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    const polite = this.#connected;
    this.#connected = false;
    await new Promise<void>((resolve) => {
      client.end(!polite, {}, () => resolve());
    });
  }

  #dial(): void {
    const client = connect({
      host: this.#options.host,
      port: this.#options.port,
      protocol: "mqtt",
      protocolVersion: 4,
      clientId: this.name,
      clean: true,
      keepalive: this.#options.keepaliveSeconds ?? 30,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      queueQoSZero: false,
    });
    this.#client = client;
    client.on("connect", () => this.#onConnect(client));
    client.on("error", (error) => {
      this.#lastError = error.message || String((error as NodeJS.ErrnoException).code ?? error);
      client.end(true);
    });
    client.on("close", () => this.#onClose(client));
  }

  #onConnect(client: MqttClient): void {
    if (this.#client !== client) return;
    this.#connected = true;
    this.#attempts = 0;
    this.#lastError = null;
    this.#options.onState?.("connected", null);
    this.#pump();
  }

  #onClose(client: MqttClient): void {
    if (this.#client !== client) return;
    const wasConnected = this.#connected;
    this.#client = null;
    this.#connected = false;
    rewind(this.#outbox);
    client.end(true);
    if (this.#stopped) return;
    if (wasConnected || this.#attempts === 0) {
      this.#options.onState?.("disconnected", this.#lastError);
    }
    this.#retry = setTimeout(() => this.#dial(), this.#pause());
  }

  /** Doubling with +-50 % jitter, so that a fleet does not come back in one wave. */
  #pause(): number {
    const first = this.#options.reconnectMs ?? 250;
    const most = this.#options.reconnectMsMax ?? 10_000;
    const base = Math.min(most, first * 2 ** Math.min(this.#attempts++, 20));
    return base * (0.5 + (this.#options.random ?? Math.random)());
  }

  #pump(): void {
    const client = this.#client;
    if (client === null || !this.#connected) return;
    for (let entry = take(this.#outbox, this.#window); entry !== null; entry = take(this.#outbox, this.#window)) {
      const { id, item } = entry;
      client.publish(item.topic, item.payload as Buffer, { qos: 1 }, (error) => {
        if (error || this.#client !== client) return;
        if (acknowledge(this.#outbox, id)) this.#acknowledged++;
        if (this.#outbox.entries.length === 0) this.#wakeIdle();
        this.#pump();
      });
    }
  }

  #wakeIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}
