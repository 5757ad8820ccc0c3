// The terms of each PUBLISH to one connection: alias, remaining lifetime, and whether the client takes its size. Pure.
import { limits } from "../../hub/mod.ts";
import { type Delivery as Terms, plainDelivery, sizeOf } from "../wire/outgoing.ts";
import type { Qos, Version } from "../wire/packet.ts";
import { AliasesOut } from "./aliases.ts";
import type { Content } from "./flight.ts";
import { type Message, outgoing, secondsLeft } from "./message.ts";

export type { Terms };

/** What the client allows on this connection, and what its session is. */
export interface OutboundOptions {
  readonly version: Version;
  /** The session outlives the connection: QoS 2 ids are stored before they are used. */
  readonly durable: boolean;
  readonly receiveMax: number;
  readonly aliasMax: number;
  /** Bytes; null: any. */
  readonly packetBytesMax: number | null;
}

export interface PublishFields {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
}

export class Sender {
  readonly options: OutboundOptions;
  /** The client may be sent what is the same for all: it has no aliases and takes any size. */
  readonly #isPlain: boolean;
  readonly #aliases: AliasesOut;

  constructor(options: OutboundOptions) {
    this.options = options;
    this.#isPlain = (options.version === 4 || options.aliasMax === 0) && options.packetBytesMax === null;
    // [MQTT-3.1.2-26], [MQTT-3.1.2-27]
    this.#aliases = new AliasesOut(options.version === 5 ? Math.min(options.aliasMax, limits.mqttOutTopicAliasMax) : 0);
  }

  /** Whether a QoS 0 PUBLISH has nothing of this client's own: `plainDelivery` are its terms, but for RETAIN. */
  isPlain(message: Message, subscriptionIds: readonly number[]): boolean {
    if (!this.#isPlain) return false;
    return this.options.version === 4 || (subscriptionIds.length === 0 && message.expiresAt === null);
  }

  /** Null: the packet is larger than the client takes ([MQTT-3.1.2-24]). */
  terms({ message, subscriptionIds }: Content, fields: PublishFields, now: number): Terms | null {
    const { version, packetBytesMax } = this.options;
    // written out: spreading costs twenty times as much, for each delivery
    const { qos, retain, dup, packetId } = fields;
    const { topic } = message;
    const alias = this.#aliases.peek(topic);
    const terms: Terms = {
      qos,
      retain,
      dup,
      packetId,
      topicAlias: alias === null ? 0 : alias.alias,
      topicKnown: alias === null ? false : alias.known,
      subscriptionIds: version === 4 ? plainDelivery.subscriptionIds : subscriptionIds,
      messageExpiry: version === 4 ? undefined : secondsLeft(message, now),
    };
    if (packetBytesMax !== null && sizeOf(outgoing(message), version, terms) > packetBytesMax) return null;
    if (alias !== null) this.#aliases.keep(topic, alias);
    return terms;
  }
}
