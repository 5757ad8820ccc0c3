// One broker's side of a scenario: carries its steps out, lets everything settle, and notes what each client was sent.
import type { Packet, Properties, Publish, Qos } from "../../../bridge/wire/packet.ts";
import { ackPacket, CodecClient, connectPacket, publishPacket } from "../../bridge/codec_client.ts";
import { nameless } from "./compare.ts";
import { actors, type ConnectStep, type Sent, type Step, watcher } from "./scenario.ts";

/** What a client was sent, without what differs between brokers for no reason, such as packet ids. */
export interface Seen {
  readonly kind: Packet["kind"] | "closed";
  /** The message that it is or answers; "" where there is none. */
  readonly name: string;
  /** Codes and flags of what is not a PUBLISH. */
  readonly text: string;
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly ids: readonly number[];
  readonly properties: Properties;
}

const plain = { name: "", text: "", topic: "", qos: 0, retain: false, dup: false, ids: [], properties: {} } as const;

interface Actor {
  readonly who: number;
  client: CodecClient | null;
  hello: ConnectStep | null;
  seen: Seen[];
  hold: "nothing" | "publish" | "pubrel";
  held: Packet[];
  lastId: number;
  /** Published and not completed. */
  readonly open: Map<number, Sent>;
  /** PUBREC came, and PUBREL is not to be sent. */
  stopsAtPubrec: boolean;
  aliasMax: number;
  readonly aliasesOut: Map<number, string>;
  readonly aliasesIn: Map<number, string>;
  /** Message of the last PUBLISH with an id, for its PUBREL. */
  readonly namesOfIds: Map<number, string>;
  /** QoS 2 messages, and how often each was sent for the first time. */
  readonly copies: Map<string, number>;
  /** QoS 2 deliveries that it said PUBREC to, and that wait for their PUBREL: it may come after a PINGRESP. */
  readonly exchanges: Set<number>;
  /** Its end is no news: it was asked for. */
  mayClose: boolean;
  /** Pings of its connection that are not answered. */
  pongsDue: number;
}

/** Nobody subscribes to it. */
const barrier: Sent = {
  name: "barrier",
  topic: "$barrier",
  qos: 1,
  retain: true,
  empty: false,
  properties: {},
  alias: 0,
};

const text = new TextDecoder();
const nameOf = (packet: Publish, topic: string): string =>
  packet.payload.length === 0 ? nameless + topic : text.decode(packet.payload);

export function isDurable(hello: ConnectStep): boolean {
  return hello.version === 4 ? !hello.clean : (hello.expiry ?? 0) > 0;
}

export class Side {
  readonly label: string;
  readonly #port: number;
  readonly actors: readonly Actor[];
  readonly #prefix: string;
  /** Answers of ours since the last round of pings. */
  #answers = 0;
  #waiting: (() => void)[] = [];
  #failure: Error | null = null;

  constructor(label: string, port: number, prefix: string) {
    this.label = label;
    this.#port = port;
    this.#prefix = prefix;
    this.actors = Array.from({ length: actors + 1 }, (_, who) => ({
      who,
      client: null,
      hello: null,
      seen: [],
      hold: "nothing",
      held: [],
      lastId: 0,
      open: new Map(),
      stopsAtPubrec: false,
      aliasMax: 0,
      aliasesOut: new Map(),
      aliasesIn: new Map(),
      namesOfIds: new Map(),
      copies: new Map(),
      exchanges: new Set(),
      mayClose: false,
      pongsDue: 0,
    }));
  }

  isUp(who: number): boolean {
    const { client } = this.actors[who]!;
    return client !== null && !client.isClosed;
  }

  /** Whoever waits hears that it is in vain. */
  fail(reason: Error): void {
    this.#failure = reason;
    this.#wake();
  }

  async begin(version: 4 | 5): Promise<void> {
    const rest = { keepAlive: 0, receiveMax: null, aliasMax: null, will: null, expiry: null };
    await this.#connect({ do: "connect", who: 0, version, clean: true, ...rest });
    const requests = version === 5 ? watcher : watcher.map((one) => ({ ...one, retainAsPublished: false }));
    await this.#ask(this.actors[0]!, "suback", (packetId) => {
      const subscriptions = requests.map((one) => (version === 5 ? one : { ...one, retainHandling: 0 as const }));
      return { kind: "subscribe", packetId, subscriptions, properties: {} };
    });
    await this.settle();
    for (const actor of this.actors) actor.seen = [];
  }

  async play(step: Step): Promise<void> {
    const actor = this.actors[step.who]!;
    switch (step.do) {
      case "connect":
        return this.#connect(step);
      case "disconnect":
        return this.#disconnect(actor, step.withWill, step.expiry);
      case "cut":
        return this.#cut(actor);
      case "subscribe":
        return this.#ask(actor, "suback", (packetId) => {
          const properties = step.id > 0 ? { subscriptionIds: [step.id] } : {};
          return { kind: "subscribe", packetId, subscriptions: step.requests, properties };
        });
      case "unsubscribe":
        return this.#ask(actor, "unsuback", (packetId) => {
          return { kind: "unsubscribe", packetId, filters: step.filters, properties: {} };
        });
      case "publish":
        return this.#publish(actor, step.messages);
      case "resend":
        return this.#resend(actor, step.message);
      case "hold":
        actor.hold = step.stage;
        return;
      case "release":
        actor.hold = "nothing";
        for (const packet of actor.held.splice(0)) this.#answer(actor, actor.client!, packet, false);
        return;
    }
  }

  /** Rounds of pings until one of them brought nothing that was to be answered, and no exchange is halfway. */
  async settle(): Promise<void> {
    do {
      this.#answers = 0;
      for (const actor of this.actors) this.#ping(actor);
      await this.#until(() => this.actors.every(({ pongsDue, exchanges }) => pongsDue === 0 && exchanges.size === 0));
    } while (this.#answers > 0);
  }

  /** What was retained before, and seen by the watcher, is found by new subscriptions when this resolves. */
  async retained(): Promise<void> {
    await this.#publish(this.actors[0]!, [barrier]);
    const [watcher] = this.actors;
    watcher!.seen = watcher!.seen.filter(({ name }) => name !== barrier.name);
  }

  /** Nothing is left of the scenario: no session, no retained message, no connection. */
  async end(topics: Iterable<string>): Promise<void> {
    const bare = { keepAlive: 0, receiveMax: null, aliasMax: null, will: null, expiry: null, clean: true } as const;
    for (const { who, hello } of this.actors.slice(1)) {
      if (hello === null) continue;
      // in order, so that no will comes into the next scenario
      if (this.isUp(who)) await this.#disconnect(this.actors[who]!, false, null);
      await this.#connect({ do: "connect", who, version: hello.version, ...bare });
      await this.#disconnect(this.actors[who]!, false, null);
    }
    const gone = [...topics].map((topic) => {
      return { name: "", topic, qos: 1, retain: true, empty: true, properties: {}, alias: 0 } as const;
    });
    for (let at = 0; at < gone.length; at += 10) await this.#publish(this.actors[0]!, gone.slice(at, at + 10));
    await this.settle();
    await this.#disconnect(this.actors[0]!, false, null);
  }

  destroy(): void {
    for (const { client } of this.actors) client?.destroy();
  }

  async #connect(step: ConnectStep): Promise<void> {
    const { who, version, clean, keepAlive, will } = step;
    const actor = this.actors[who]!;
    const before = this.isUp(who) ? actor.client : null;
    const client = new CodecClient(this.#port, version);
    const properties: Properties =
      version === 4
        ? {}
        : {
            ...(step.expiry === null ? {} : { sessionExpiry: step.expiry }),
            ...(step.receiveMax === null ? {} : { receiveMaximum: step.receiveMax }),
            ...(step.aliasMax === null ? {} : { topicAliasMaximum: step.aliasMax }),
          };
    const last = will && { ...publishPacket(will.topic, will.name, will), properties: will.properties };
    client.onClosed = () => this.#onClosed(actor, client);
    actor.client = client;
    actor.pongsDue = 0;
    actor.mayClose = false;
    actor.hello = step;
    actor.hold = "nothing";
    actor.held = [];
    actor.open.clear();
    actor.exchanges.clear();
    actor.aliasesOut.clear();
    actor.aliasesIn.clear();
    let isAdmitted = false;
    client.onPacket = (packet) => {
      if (packet.kind === "connack") {
        isAdmitted = true;
        actor.aliasMax = packet.properties.topicAliasMaximum ?? 0;
        if (!packet.sessionPresent) actor.namesOfIds.clear();
      }
      this.#onPacket(actor, client, packet);
    };
    client.send(connectPacket(`${this.#prefix}${who}`, { version, clean, keepAlive, will: last, properties }));
    await this.#until(() => (isAdmitted || client.isClosed) && (before === null || before.isClosed));
  }

  async #disconnect(actor: Actor, withWill: boolean, expiry: number | null): Promise<void> {
    actor.mayClose = true;
    const properties: Properties = expiry === null ? {} : { sessionExpiry: expiry };
    actor.client!.send({ kind: "disconnect", code: withWill ? 4 : 0, properties });
    await this.#until(() => actor.client!.isClosed);
  }

  async #cut(actor: Actor): Promise<void> {
    actor.mayClose = true;
    // the server closes its side when it has seen the end, so that what follows is later than the cut
    actor.client!.socket.end();
    await this.#until(() => actor.client!.isClosed);
  }

  async #ask(actor: Actor, answer: "suback" | "unsuback", of: (packetId: number) => Packet): Promise<void> {
    let isAnswered = false;
    const { client } = actor;
    const before = client!.onPacket!;
    client!.onPacket = (packet) => {
      isAnswered ||= packet.kind === answer;
      before(packet);
    };
    client!.send(of(this.#freeId(actor)));
    await this.#until(() => isAnswered || client!.isClosed);
    client!.onPacket = before;
  }

  async #publish(actor: Actor, messages: readonly Sent[]): Promise<void> {
    const packets = messages.map((message) => this.#packetOf(actor, message));
    actor.client!.send(...packets);
    await this.#until(() => actor.open.size === 0 || actor.client!.isClosed);
    if (!this.isUp(actor.who)) return;
    // QoS 0 has no answer: the one to what is retained after it says that it is, too; a PINGRESP, that it was read
    if (messages.some(({ qos, retain }) => qos === 0 && retain)) return this.#publish(actor, [barrier]);
    if (messages.at(-1)!.qos > 0) return;
    this.#ping(actor);
    await this.#until(() => actor.pongsDue === 0);
  }

  #packetOf(actor: Actor, message: Sent): Publish {
    const { qos, retain, topic, alias } = message;
    const packetId = qos === 0 ? 0 : this.#freeId(actor);
    if (qos > 0) actor.open.set(packetId, message);
    const isAliased = alias > 0 && alias <= actor.aliasMax && actor.client!.version === 5;
    const isKnown = isAliased && actor.aliasesOut.get(alias) === topic;
    if (isAliased) actor.aliasesOut.set(alias, topic);
    const five = { ...message.properties, ...(isAliased ? { topicAlias: alias } : {}) };
    const properties = actor.client!.version === 5 ? five : {};
    const options = { qos, retain, packetId, properties };
    return publishPacket(isKnown ? "" : topic, message.empty ? "" : message.name, options);
  }

  async #resend(actor: Actor, message: Sent): Promise<void> {
    const hello = actor.hello!;
    actor.stopsAtPubrec = true;
    await this.#publish(actor, [message]);
    await this.settle();
    const packetId = actor.lastId;
    actor.stopsAtPubrec = false;
    await this.#cut(actor);
    await this.#connect({ ...hello, clean: false, will: null });
    actor.open.set(packetId, message);
    actor.client!.send({ ...this.#packetOf(actor, { ...message, qos: 0 }), qos: 2, dup: true, packetId });
    await this.#until(() => actor.open.size === 0 || actor.client!.isClosed);
  }

  #freeId(actor: Actor): number {
    actor.lastId = (actor.lastId % 60_000) + 1;
    return actor.lastId;
  }

  #onPacket(actor: Actor, client: CodecClient, packet: Packet): void {
    client.packets.length = 0;
    switch (packet.kind) {
      case "pingresp":
        actor.pongsDue--;
        break;
      case "publish":
        this.#onPublish(actor, client, packet);
        break;
      case "pubrel":
        actor.exchanges.delete(packet.packetId);
        this.#note(actor, packet, actor.namesOfIds.get(packet.packetId) ?? "?", `code ${packet.code}`);
        this.#answer(actor, client, ackPacket("pubcomp", packet.packetId), actor.hold === "pubrel");
        break;
      case "puback":
      case "pubrec":
      case "pubcomp": {
        const name = actor.open.get(packet.packetId)?.name ?? "?";
        this.#note(actor, packet, name, `code ${packet.code}`);
        const goesOn = packet.kind === "pubrec" && packet.code < 0x80 && !actor.stopsAtPubrec;
        if (goesOn) this.#answer(actor, client, ackPacket("pubrel", packet.packetId), false);
        else actor.open.delete(packet.packetId);
        break;
      }
      case "connack":
        this.#note(actor, packet, "", `code ${packet.code} session ${packet.sessionPresent ? "present" : "new"}`);
        break;
      case "suback":
      case "unsuback":
        this.#note(actor, packet, "", `codes ${packet.codes.join()}`);
        break;
      default:
        this.#note(actor, packet, "", "code" in packet ? `code ${packet.code}` : "");
    }
    this.#wake();
  }

  #onPublish(actor: Actor, client: CodecClient, packet: Publish): void {
    const { topicAlias, subscriptionIds = [], ...properties } = packet.properties;
    const topic = packet.topic === "" ? (actor.aliasesIn.get(topicAlias!) ?? "?") : packet.topic;
    if (topicAlias !== undefined) actor.aliasesIn.set(topicAlias, topic);
    const name = nameOf(packet, topic);
    const { qos, retain, dup, packetId } = packet;
    const ids = [...subscriptionIds].sort((a, b) => a - b);
    actor.seen.push({ ...plain, kind: "publish", name, topic, qos, retain, dup, ids, properties });
    if (qos === 0) return;
    actor.namesOfIds.set(packetId, name);
    if (qos === 2 && !dup) actor.copies.set(name, (actor.copies.get(name) ?? 0) + 1);
    this.#answer(actor, client, ackPacket(qos === 1 ? "puback" : "pubrec", packetId), actor.hold === "publish");
  }

  #answer(actor: Actor, client: CodecClient, packet: Packet, isHeld: boolean): void {
    if (isHeld) actor.held.push(packet);
    else {
      this.#answers++;
      // one that was taken over hears no more
      if (packet.kind === "pubrec" && actor.client === client) actor.exchanges.add(packet.packetId);
      client.send(packet);
    }
  }

  #note(actor: Actor, { kind }: Packet, name: string, detail: string): void {
    actor.seen.push({ ...plain, kind, name, text: detail });
  }

  #onClosed(actor: Actor, client: CodecClient): void {
    if (actor.client !== client || !actor.mayClose) {
      const why = client.problem === null ? "" : client.problem.message;
      actor.seen.push({ ...plain, kind: "closed", text: why });
    }
    if (actor.client === client) {
      // what it was asked is not answered any more
      actor.held = [];
      actor.pongsDue = 0;
      actor.exchanges.clear();
    }
    this.#wake();
  }

  #ping(actor: Actor): void {
    if (!this.isUp(actor.who)) return;
    actor.pongsDue++;
    actor.client!.send({ kind: "pingreq" });
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
