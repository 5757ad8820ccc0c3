// PUBLISH values of many sessions as frames: what is the same for all subscribers of a message is encoded once. Pure.
import { type Delivery, type FrameBatch, OutgoingMessage } from "./outgoing.ts";
import type { Properties, Publish, Version } from "./packet.ts";
import { varintMax } from "./writer.ts";

const noIds: readonly number[] = [];

/** Properties of one delivery, which change from subscriber to subscriber. */
const ownNames: ReadonlySet<string> = new Set(["topicAlias", "subscriptionIds", "messageExpiry"]);

/**
 * One for all connections: a message goes to its subscribers one after the other, so the last one is remembered. Two
 * packets are of one message when they hold the same payload object and equal properties.
 */
export class PublishEncoder {
  #message: OutgoingMessage | null = null;
  #topic = "";
  #properties: Properties = {};

  /** Messages encoded so far: less than the packets, where there are many subscribers. */
  encoded = 0;

  /** Adds the packet to the batch; false if it is larger than the receiver takes, and nothing was added. */
  add(batch: FrameBatch, packet: Publish, version: Version, maximum: number = varintMax): boolean {
    const { qos, retain, dup, packetId, properties } = packet;
    const five = version === 5;
    const delivery: Delivery = {
      qos,
      retain,
      dup,
      packetId,
      topicAlias: five ? (properties.topicAlias ?? 0) : 0,
      topicKnown: packet.topic === "",
      subscriptionIds: five ? (properties.subscriptionIds ?? noIds) : noIds,
      messageExpiry: five ? properties.messageExpiry : undefined,
    };
    return batch.publish(this.#messageOf(packet, version), version, delivery, maximum);
  }

  #messageOf({ topic, payload, properties }: Publish, version: Version): OutgoingMessage {
    const last = this.#message;
    // a packet whose topic an alias stands for fits any topic
    const same =
      last !== null &&
      last.payload === payload &&
      (topic === "" || topic === this.#topic) &&
      // 3.1.1 has none, whatever the message has
      (version === 4 || isSame(properties, this.#properties));
    if (same) return last;
    this.encoded++;
    // without its topic a message is of no use to the next subscriber
    if (topic === "") return new OutgoingMessage("-", payload, properties);
    this.#topic = topic;
    this.#properties = properties;
    this.#message = new OutgoingMessage(topic, payload, properties);
    return this.#message;
  }
}

/** The same values, apart from what each delivery has of its own. */
function isSame(a: Properties, b: Properties): boolean {
  if (a === b) return true;
  return holdsAll(a, b) && holdsAll(b, a);
}

function holdsAll(all: Properties, some: Properties): boolean {
  for (const name in some) {
    const key = name as keyof Properties;
    if (!ownNames.has(name) && some[key] !== all[key]) return false;
  }
  return true;
}
