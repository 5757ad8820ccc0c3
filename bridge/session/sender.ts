// Makes the PUBLISH packets for one connection: aliases, remaining lifetime, the client's packet size. Pure.
import { limits } from "../../hub/mod.ts";
import { noProperties, type Packet, type Properties, type Publish, type Qos, type Version } from "../wire/packet.ts";
import { AliasesOut } from "./aliases.ts";
import type { Content } from "./flight.ts";
import { secondsLeft } from "./message.ts";

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

/** Bytes of a packet as the codec writes it. */
export type SizeOf = (packet: Packet, version: Version) => number;

export interface PublishFields {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
}

export class Sender {
  readonly options: OutboundOptions;
  readonly #sizeOf: SizeOf;
  readonly #aliases: AliasesOut;

  constructor(options: OutboundOptions, sizeOf: SizeOf) {
    this.options = options;
    this.#sizeOf = sizeOf;
    // [MQTT-3.1.2-26], [MQTT-3.1.2-27]
    this.#aliases = new AliasesOut(options.version === 5 ? Math.min(options.aliasMax, limits.mqttOutTopicAliasMax) : 0);
  }

  /** The packet; null when it is larger than the client takes ([MQTT-3.1.2-24]). */
  publish({ message, subscriptionIds }: Content, fields: PublishFields, now: number): Publish | null {
    const { version, packetBytesMax } = this.options;
    const { topic, payload } = message;
    const alias = this.#aliases.peek(topic);
    const packet: Publish = {
      kind: "publish",
      topic: alias?.known ? "" : topic,
      payload,
      ...fields,
      properties: version === 4 ? noProperties : propertiesOf(message, subscriptionIds, alias?.alias ?? 0, now),
    };
    if (packetBytesMax !== null && this.#sizeOf(packet, version) > packetBytesMax) return null;
    if (alias !== null) this.#aliases.keep(topic, alias);
    return packet;
  }
}

function propertiesOf(message: Content["message"], ids: readonly number[], alias: number, now: number): Properties {
  const left = secondsLeft(message, now);
  if (left === undefined && ids.length === 0 && alias === 0) return message.properties;
  return {
    ...message.properties,
    ...(left === undefined ? {} : { messageExpiry: left }),
    ...(ids.length === 0 ? {} : { subscriptionIds: ids }),
    ...(alias === 0 ? {} : { topicAlias: alias }),
  };
}
