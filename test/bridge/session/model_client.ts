// A client as the standard describes one, plain enough to be obviously right; it notes what its application was given.
import assert from "node:assert/strict";
import {
  type Connect,
  noProperties,
  type Packet,
  type Properties,
  type Publish,
  type Version,
} from "../../../bridge/wire/packet.ts";

export interface Received {
  readonly name: string;
  readonly topic: string;
  readonly qos: number;
}

interface Sending {
  readonly packet: Publish;
  released: boolean;
}

const text = new TextDecoder();

export class ModelClient {
  readonly id: string;
  readonly version: Version;
  receiveMax = 0;
  /** What the application got, in order. */
  readonly received: Received[] = [];
  /** SUBACKs and UNSUBACKs that came, by packet id. */
  readonly answered = new Set<number>();
  /** Names of published messages whose exchange was completed. */
  readonly done = new Set<string>();
  isAdmitted = false;
  /** Session state: QoS 2 ids received and not released, with what they carried; what is published and not done. */
  readonly #open = new Map<number, string>();
  readonly #sending = new Map<number, Sending>();
  #lastId = 0;
  /** Of this connection: ids of PUBLISHes that are not answered, and answers that wait to be sent. */
  #unanswered = new Map<number, string>();
  #answers: Packet[] = [];
  #serverMax = 0;
  #inUse = 0;

  constructor(id: string, version: Version) {
    this.id = id;
    this.version = version;
  }

  get canPublish(): boolean {
    return this.isAdmitted && this.#inUse < Math.min(this.#serverMax, 20);
  }

  get isIdle(): boolean {
    return this.isAdmitted && this.#answers.length === 0 && this.#sending.size === 0 && this.#open.size === 0;
  }

  /** A new connection; it may allow another window than the one before. */
  connect(receiveMax: number): Connect {
    this.receiveMax = this.version === 5 ? receiveMax : 65_535;
    this.isAdmitted = false;
    this.#unanswered = new Map();
    this.#answers = [];
    const properties: Properties =
      this.version === 5 ? { sessionExpiry: 1_000_000, receiveMaximum: this.receiveMax, topicAliasMaximum: 2 } : {};
    const rest = { keepAlive: 0, will: null, username: null, password: null };
    return { kind: "connect", version: this.version, clean: false, clientId: this.id, properties, ...rest };
  }

  freeId(): number {
    do this.#lastId = (this.#lastId % 30) + 1;
    while (this.#sending.has(this.#lastId));
    return this.#lastId;
  }

  publish(name: string, topic: string, qos: 0 | 1 | 2, retain = false): Publish {
    const packetId = qos === 0 ? 0 : this.freeId();
    const payload = new TextEncoder().encode(name);
    const packet: Publish = {
      kind: "publish",
      topic,
      payload,
      qos,
      retain,
      dup: false,
      packetId,
      properties: noProperties,
    };
    if (qos > 0) {
      this.#sending.set(packetId, { packet, released: false });
      this.#inUse++;
    }
    return packet;
  }

  /** Answers that the client gets round to. */
  takeAnswers(count: number): Packet[] {
    const taken = this.#answers.splice(0, count);
    for (const packet of taken) {
      if (packet.kind === "puback" || packet.kind === "pubcomp") this.#unanswered.delete(packet.packetId);
    }
    return taken;
  }

  /** A packet of the hub; what the client sends at once. */
  receive(packet: Packet, aliases: Map<number, string>): Packet[] {
    if (packet.kind === "connack") return this.#admitted(packet.code, packet.sessionPresent, packet.properties);
    assert.ok(this.isAdmitted, `${packet.kind} before CONNACK [MQTT-3.2.0-1]`);
    switch (packet.kind) {
      case "publish":
        this.#onPublish(packet, aliases);
        return [];
      case "puback":
      case "pubcomp": {
        const sending = this.#sending.get(packet.packetId);
        if (sending === undefined) return [];
        // an id that was released before the line was cut is not known any more
        assert.ok(packet.code < 0x80 || (packet.kind === "pubcomp" && packet.code === 0x92 && sending.released));
        assert.equal(packet.kind === "puback", sending.packet.qos === 1);
        this.done.add(text.decode(sending.packet.payload));
        this.#sending.delete(packet.packetId);
        this.#inUse--;
        return [];
      }
      case "pubrec": {
        assert.ok(packet.code < 0x80);
        const sending = this.#sending.get(packet.packetId);
        if (sending !== undefined) sending.released = true;
        return [this.#ack("pubrel", packet.packetId)];
      }
      case "pubrel":
        this.#open.delete(packet.packetId);
        this.#answers.push(this.#ack("pubcomp", packet.packetId));
        return [];
      case "suback":
      case "unsuback":
        this.answered.add(packet.packetId);
        return [];
      default:
        assert.equal(packet.kind, "disconnect", "nothing else is sent to this client");
        return [];
    }
  }

  /** [MQTT-4.4.0-1]: what was not acknowledged, in order. */
  #admitted(code: number, isPresent: boolean, { receiveMaximum }: Properties): Packet[] {
    assert.equal(code, 0);
    this.isAdmitted = true;
    this.#serverMax = receiveMaximum ?? 65_535;
    if (!isPresent) {
      assert.equal(this.received.length, 0, "a session that was promised is lost");
      this.#open.clear();
    }
    const again: Packet[] = [];
    for (const [packetId, { released, packet }] of this.#sending) {
      again.push(released ? this.#ack("pubrel", packetId) : { ...packet, dup: true });
    }
    return again;
  }

  #onPublish(packet: Publish, aliases: Map<number, string>): void {
    const { packetId, qos, dup, payload, properties } = packet;
    const alias = properties.topicAlias;
    const topic = packet.topic === "" ? aliases.get(alias!) : packet.topic;
    assert.ok(topic !== undefined, "an alias without a topic");
    if (alias !== undefined) aliases.set(alias, topic);
    const name = text.decode(payload);
    if (qos === 0) {
      assert.equal(dup, false, "[MQTT-3.3.1-2]");
      this.received.push({ name, topic, qos });
      return;
    }
    assert.ok(!this.#unanswered.has(packetId), `id ${packetId} of ${name} is in use [MQTT-2.2.1-4]`);
    this.#unanswered.set(packetId, name);
    assert.ok(this.#unanswered.size <= this.receiveMax, "over the receive maximum [MQTT-3.3.4-9]");
    if (qos === 1) {
      this.received.push({ name, topic, qos });
      this.#answers.push(this.#ack("puback", packetId));
      return;
    }
    const before = this.#open.get(packetId);
    if (before === undefined) this.received.push({ name, topic, qos });
    else assert.deepEqual([before, dup], [name, true], "an id that the client holds was given to another message");
    this.#open.set(packetId, name);
    this.#answers.push(this.#ack("pubrec", packetId));
  }

  #ack(kind: "puback" | "pubrec" | "pubrel" | "pubcomp", packetId: number): Packet {
    return { kind, packetId, code: 0, properties: noProperties };
  }
}
