// MQTT 3.1.1 by aedes behind one face: hooks, bounds and our own PUBACK, so that an acknowledgement means committed.
import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import { Aedes, type AedesPublishPacket, type Client, type ConnectPacket, type Subscription } from "aedes";
import type { Access } from "./auth.ts";
import { FilterTree } from "./filter_tree.ts";
import type { GuardRefusal } from "./frame_guard.ts";
import { type Clock, limits, type Trace } from "../hub/mod.ts";
import type { Ingress } from "./ingress.ts";
import type { Intake } from "./intake.ts";
import { brokerId, type InnerPacket, Link, nothingSeen } from "./link.ts";
import type { Qos2 } from "./qos2.ts";
import { boundPersistence, type Persistence, sessionMark } from "./session_memory.ts";
import type { Delivery, Tail } from "./tail.ts";
import { filterProblem } from "./topic_map.ts";

export interface BrokerOptions {
  readonly ingress: Ingress;
  readonly qos2: Qos2;
  readonly access: Access;
  readonly clock: Clock;
  readonly trace: Trace;
  /** In a cluster: what is stored reaches subscribers from the log, wherever it was published. */
  readonly tail: Pick<Tail, "ready"> | null;
  /** Defaults: limits.ts. */
  readonly connectionsMax?: number;
  readonly connectMsMax?: number;
}

/** What the rest of the bridge sees of the broker. */
export interface Broker {
  /** Gives a message to subscribers of this hub; resolves when more may come. */
  deliver(message: Delivery): Promise<void>;
  /** Serves MQTT on a byte stream until it closes. */
  accept(stream: Duplex, remoteAddress: string): void;
  stats(): { readonly connections: number; readonly subscriptions: number };
  /** Reads nothing more; connections stay open for their acknowledgements. */
  quiesce(): void;
  close(): Promise<void>;
}

interface InnerClient extends Client {
  link?: Link;
  duplicates: object;
  readonly _keepaliveTimer: NodeJS.Timeout | null;
}

type Done = (error?: Error | null) => void;
/** aedes's routing, as it is called inside aedes. */
type Routing = (this: Aedes, packet: unknown, client: unknown, done: Done) => void;

/** Deliveries to MQTT subscribers under way before publishers wait for them. */
const deliveriesMax = 5_000;
const connackIdentifier = Uint8Array.of(0x20, 2, 0, 2);

/** Skips the routing of a PUBLISH that nobody listens to, and does not let a slow listener hold back publishers. */
class QuietAedes extends Aedes {
  readonly tree = new FilterTree();
  /** What is stored comes from the log (tail.ts), so it is not delivered from here. */
  fromLog = false;
  #deliveries = 0;

  override publish(packet: unknown, client: unknown, done?: unknown): void {
    const own = packet as InnerPacket;
    const finished = (typeof client === "function" ? client : done) as Done;
    // aedes tells other brokers of its clients under $SYS; there are none, and subscribers are not to see it
    if (own.dropped === true || typeof client === "function" || client === null) return finished();
    // QoS 1 was turned into 0 when its PUBACK was written, so that aedes writes no second one
    if (own.qos === 0 && own.messageId !== undefined) own.qos = 1;
    if (this.fromLog && isStored(client as Client, own.topic)) return this.#keepRetained(own, finished);
    if (!own.retain && !this.tree.matches(own.topic)) return finished();
    const waits = ++this.#deliveries > deliveriesMax;
    (super.publish as unknown as Routing).call(this, packet, client, () => {
      this.#deliveries--;
      if (waits) finished();
    });
    if (!waits) finished();
  }

  /** Subscribers get it from the log; who comes later finds it here. */
  #keepRetained(packet: InnerPacket, finished: Done): void {
    if (!packet.retain) return finished();
    const { persistence } = this as unknown as { persistence: Persistence };
    void persistence.storeRetained(packet as never).then(() => finished(), finished);
  }

  /** A message that no client of this process sent. */
  deliver(message: Delivery): Promise<void> {
    if (!message.retain && !this.tree.matches(message.topic)) return Promise.resolve();
    const packet = { cmd: "publish", dup: false, ...message };
    return new Promise((resolve) => {
      (super.publish as unknown as Routing).call(this, packet, null, () => resolve());
    });
  }

  override subscribe(filter: string, func: never, done: () => void): void {
    if (filter === sessionMark) return done();
    this.tree.add(filter);
    super.subscribe(filter, func, done);
  }

  override unsubscribe(filter: string, func: never, done: () => void): void {
    if (filter === sessionMark) return done?.();
    this.tree.remove(filter);
    super.unsubscribe(filter, func, done);
  }
}

class AedesBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #aedes: QuietAedes;
  readonly #links = new Set<Link>();
  #closing = false;
  #tick: { cancel(): void };

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#aedes = new QuietAedes({
      id: brokerId,
      // no bound on messages under way in aedes: one frozen subscriber would use them up; publish has its own
      concurrency: 0,
      connectTimeout: options.connectMsMax ?? limits.mqttConnectMsMax,
      drainTimeout: limits.mqttDrainMsMax,
      queueLimit: limits.mqttInFlightPerConnectionMax,
      maxInflightInbound: limits.mqttQos2PerClientMax,
      maxTopicLevels: limits.mqttTopicLevelsMax,
      preConnect: (client, packet, callback) => this.#preConnect(client, packet, callback),
      authenticate: (client, username, password, callback) => {
        this.#authenticate(client, username, password, callback as (error: Error | null, ok: boolean) => void);
      },
      authorizePublish: (client, packet, callback) => {
        this.#authorizePublish(client, packet as unknown as InnerPacket, callback);
      },
      authorizeSubscribe: (client, subscription, callback) => {
        const asked = this.#maySubscribe(client, subscription) ? subscription : null;
        // SUBACK means that what is published from now on arrives, from whichever hub
        if (asked === null || options.tail === null) callback(null, asked);
        else void options.tail.ready().then(() => callback(null, asked));
      },
      authorizeForward: (client, packet) => this.#forward(client, packet),
    });
    this.#aedes.on("clientError", (client, error) => this.#onError(client, error));
    this.#aedes.on("connectionError", (client, error) => this.#onError(client, error));
    (this.#aedes as NodeJS.EventEmitter).on("error", (error: Error) => {
      options.trace.event("error", "mqtt_broker_error", { reason: error.message });
    });
    this.#aedes.fromLog = options.tail !== null;
    this.#tick = { cancel() {} };
  }

  deliver(message: Delivery): Promise<void> {
    return this.#aedes.deliver(message);
  }

  async start(): Promise<void> {
    await this.#aedes.listen();
    const { persistence } = this.#aedes as unknown as { persistence: Persistence };
    boundPersistence(persistence, this.#aedes.tree, this.#options.qos2, this.#options.trace);
    this.#schedule();
  }

  accept(stream: Duplex, remoteAddress: string): void {
    const most = this.#options.connectionsMax ?? limits.mqttConnectionsMax;
    if (this.#closing || this.#links.size >= most) {
      this.#options.trace.count("mqtt_connections_refused_total", 1, { reason: "too-many" });
      stream.on("error", () => {});
      stream.destroy();
      return;
    }
    const link = new Link(stream, remoteAddress);
    this.#links.add(link);
    stream.once("close", () => this.#onClose(link));
    const read = stream.read;
    // in front of whatever reads: sizes are checked, and reading stops, before anything is buffered or parsed
    stream.read = (size?: number) => {
      if (size === 0) return read.call(stream, 0);
      if (link.stopped || !this.#mayRead(link)) return null;
      let chunk = read.call(stream, size) as Buffer | null;
      if (chunk === null) return null;
      // newer runtimes give one chunk a call; aedes calls once and expects all there is
      if (stream.readableLength > 0) chunk = Buffer.concat([chunk, read.call(stream, stream.readableLength) as Buffer]);
      const refusal = link.guard.scan(chunk);
      if (refusal === null) return chunk;
      this.#refuse(link, refusal);
      return null;
    };
    const client = this.#aedes.handle(stream) as InnerClient;
    client.link = link;
    client.duplicates = nothingSeen;
    link.client = client;
  }

  stats(): { connections: number; subscriptions: number } {
    return { connections: this.#links.size, subscriptions: this.#aedes.tree.size };
  }

  quiesce(): void {
    this.#closing = true;
    for (const link of this.#links) link.stopped = true;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#tick.cancel();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    // those that never said CONNECT are not aedes's clients yet
    for (const link of this.#links) link.stream.destroy();
  }

  #mayRead(link: Link): boolean {
    if (link.intake !== null && !link.intake.mayRead()) return false;
    if (link.stream.writableLength <= limits.mqttOutBytesMax) return true;
    // a client that does not take its PUBACKs is not read until it does
    link.stream.once("drain", () => link.stream.emit("readable"));
    return false;
  }

  #refuse(link: Link, refusal: GuardRefusal): void {
    link.stopped = true;
    const { reason, detail } = refusal;
    this.#options.trace.count("mqtt_connections_refused_total", 1, { reason });
    this.#options.trace.event("info", "mqtt_connection_refused", this.#who(link, `${reason}: ${detail}`));
    if (refusal.answer.length === 0) link.stream.destroy();
    else link.stream.end(refusal.answer, () => link.stream.destroy());
  }

  #preConnect(client: Client, packet: ConnectPacket, callback: (error: Error | null, ok: boolean) => void): void {
    if (packet.clientId === "" && packet.clean === true) packet.clientId = `auto-${randomUUID()}`;
    const { length } = packet.clientId;
    if (length > 0 && length <= limits.mqttClientIdLengthMax) return callback(null, true);
    // MQTT 3.1.1 section 3.1.3.1: no client id needs a clean session; CONNACK return code 2
    const problem = new Error(length === 0 ? "no client id, and no clean session" : "the client id is too long");
    this.#options.trace.count("mqtt_connections_refused_total", 1, { reason: "client-id" });
    (client.conn as Duplex).end(connackIdentifier, () => callback(problem, false));
  }

  #authenticate(
    client: Client,
    username: string | undefined,
    password: Uint8Array | undefined,
    callback: (error: Error | null, ok: boolean) => void,
  ): void {
    const { access, ingress, qos2, trace } = this.#options;
    const link = linkOf(client)!;
    const admission = access.connect({
      clientId: client.id,
      remoteAddress: link.remoteAddress,
      username: username ?? null,
      password: password ?? null,
    });
    if (!admission.admitted) {
      trace.count("mqtt_connections_refused_total", 1, { reason: "not-admitted" });
      trace.event("warn", "mqtt_connection_refused", this.#who(link, admission.reason));
      return callback(Object.assign(new Error(admission.reason), { returnCode: admission.returnCode }), false);
    }
    link.intake = ingress.open(client.id, admission.principal, {
      write: (bytes) => {
        if (!link.stream.destroyed) link.stream.write(bytes);
      },
      resume: () => link.stream.emit("readable"),
      close: (reason) => this.#end(link, reason),
    });
    qos2.connected(client.id);
    trace.count("mqtt_connects_total");
    callback(null, true);
  }

  /** The only hook that runs before aedes writes a PUBACK; called in the order of arrival, as packets are parsed. */
  #authorizePublish(client: Client | null, packet: InnerPacket, callback: Done): void {
    const intake = client === null ? undefined : linkOf(client)?.intake;
    if (intake === undefined || intake === null) return callback(new Error("no such connection"));
    if (packet.topic.startsWith("$SYS/")) return callback(new Error("topics below $SYS are the hub's own"));
    if (packet.qos === 2 && packet.messageId !== undefined) {
      return this.#publishTwice(client!, intake, packet, callback);
    }
    intake.publish(packet, (outcome) => {
      if (outcome === "dropped") packet.dropped = true;
      if (packet.messageId !== undefined) packet.qos = 0;
      callback(null);
    });
  }

  /** QoS 2: the append begins here, in the order of arrival; PUBREC waits for it in the persistence. */
  #publishTwice(client: Client, intake: Intake, packet: InnerPacket, callback: Done): void {
    const { qos2, clock, trace } = this.#options;
    const id = packet.messageId!;
    if (qos2.has(client.id, id)) return callback(null);
    const at = clock.now();
    const dropped = (other: string): void => trace.event("warn", "mqtt_qos2_session_dropped", { client: other });
    if (!qos2.hasRoom(client.id, dropped)) return callback(new Error("too many QoS 2 messages without a PUBREL"));
    const memo = intake.memo(packet.topic);
    const { routed } = memo;
    if (routed.kind === "refused") {
      intake.refused(memo, packet.topic);
      return intake.withhold(at);
    }
    packet.fresh = true;
    if (routed.kind === "mqtt-only") {
      qos2.note(client.id, id);
      return callback(null);
    }
    const bytes = packet.payload.length;
    intake.hold(bytes);
    qos2.store(client.id, id, !client.clean, routed.topic, intake.record(memo, packet), (error) => {
      intake.release(bytes);
      if (error === null) return;
      intake.failed(error);
      intake.withhold(at);
    });
    callback(null);
  }

  #maySubscribe(client: Client, { topic }: Subscription): boolean {
    if (topic === sessionMark) return true;
    const link = linkOf(client);
    const subscriptions = subscriptionsOf(client);
    const full = !(topic in subscriptions) && Object.keys(subscriptions).length >= limits.mqttSubscriptionsPerClientMax;
    const allowed =
      !full &&
      filterProblem(topic) === null &&
      this.#options.access.subscribe(link?.intake?.principal ?? "anonymous", topic);
    if (!allowed) this.#options.trace.count("mqtt_subscriptions_refused_total");
    return allowed;
  }

  /** A subscriber that does not keep up: QoS 0 is skipped and counted, QoS 1 and 2 end its connection. */
  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const link = linkOf(client);
    if (link === undefined || link.stream.writableLength <= limits.mqttOutBytesMax) return packet;
    if (packet.qos === 0 || Object.values(subscriptionsOf(client)).every(({ qos }) => qos === 0)) {
      this.#options.trace.count("mqtt_deliveries_skipped_total");
      return null;
    }
    this.#end(link, "the subscriber does not keep up");
    return packet;
  }

  #end(link: Link, reason: string): void {
    if (link.stream.destroyed) return;
    link.stopped = true;
    this.#options.trace.count("mqtt_connections_ended_total");
    this.#options.trace.event("warn", "mqtt_connection_ended", this.#who(link, reason));
    link.stream.destroy();
  }

  #onError(client: Client, error: Error): void {
    const link = linkOf(client);
    this.#options.trace.count("mqtt_connection_errors_total");
    if (link !== undefined) this.#options.trace.event("debug", "mqtt_connection_error", this.#who(link, error.message));
  }

  #onClose(link: Link): void {
    this.#links.delete(link);
    const { intake } = link;
    if (intake === null) return;
    this.#options.qos2.disconnected(intake.clientId);
    intake.close();
  }

  #schedule(): void {
    const { clock, ingress } = this.#options;
    const delayMs = Math.min(1_000, Math.max(20, ingress.options.ackTimeoutMs / 8));
    this.#tick = clock.after(delayMs, () => {
      ingress.tick();
      const now = clock.now();
      for (const link of this.#links) {
        const problem = link.problem(now);
        if (problem !== null) this.#end(link, problem);
      }
      this.#schedule();
    });
  }

  #who(link: Link, reason: string): { client: string; address: string; reason: string } {
    return { client: link.intake?.clientId ?? "", address: link.remoteAddress, reason };
  }
}

/** Starts the broker; nothing listens yet. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new AedesBroker(options);
  await broker.start();
  return broker;
}

function subscriptionsOf(client: Client): Readonly<Record<string, { readonly qos: number }>> {
  return (client as unknown as { subscriptions: Record<string, { qos: number }> }).subscriptions;
}

function isStored(client: Client, topic: string): boolean {
  return linkOf(client)?.intake?.memo(topic).routed.kind === "store";
}

function linkOf(client: Client): Link | undefined {
  return (client as InnerClient).link;
}
