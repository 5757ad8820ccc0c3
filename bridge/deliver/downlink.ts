// Downlinks: records of a hub topic, whoever wrote them, as messages of an MQTT topic made from their key. Pure.
import { isPlain, isTopic } from "../match/filter.ts";
import type { Qos } from "../wire/packet.ts";

/** One `[[downlinks]]` entry of the configuration. */
export interface DownlinkConfig {
  /** Hub topic whose records go to the devices. */
  readonly topic: string;
  /** MQTT topic; `{key}` is the record's key. */
  readonly publish: string;
  /** 1 when left out. */
  readonly qos?: Qos;
}

export interface Downlink {
  readonly topic: string;
  /** What stands before, between and after the keys. */
  readonly parts: readonly string[];
  readonly qos: Qos;
}

export const keyName = "{key}";

export function downlinkOf({ topic, publish, qos = 1 }: DownlinkConfig): Downlink {
  return { topic, parts: publish.split(keyName), qos };
}

/** The MQTT topic of a record with this key; null: it would not be legal. */
export function downlinkTopic({ parts }: Downlink, key: string): string | null {
  if (key === "" && parts.length > 1) return null; // it is for nobody
  const topic = parts.join(key);
  return isTopic(topic) && isPlain(topic) ? topic : null;
}
