// Downlinks: records of a hub topic, whoever wrote them, as messages of an MQTT topic made from their key. Pure.
import { limits } from "../../hub/mod.ts";
import { isPlain, isTopic } from "../match/filter.ts";
import { hubTopicProblem, legalTopic } from "../topic_map.ts";
import type { Qos } from "../wire/packet.ts";

/** One `[[downlinks]]` entry of the configuration. */
export interface DownlinkConfig {
  /** Hub topic whose records go to the devices. */
  readonly topic: string;
  /** MQTT topic; `{key}` is the record's key. */
  readonly publish: string;
  /** 1 when left out. */
  readonly qos?: number;
}

/** A downlink that cannot be used; the message names it and what to change. */
export class DownlinkError extends Error {
  constructor(place: number, detail: string) {
    super(`downlink ${place + 1}: ${detail}`);
    this.name = "DownlinkError";
  }
}

export interface Downlink {
  readonly topic: string;
  /** What stands before, between and after the keys. */
  readonly parts: readonly string[];
  readonly qos: Qos;
}

const names: ReadonlySet<string> = new Set(["topic", "publish", "qos"]);

/** @throws DownlinkError for the first one that cannot be used. */
export function compileDownlinks(configs: readonly DownlinkConfig[]): readonly Downlink[] {
  if (configs.length > limits.mqttDownlinksMax) {
    throw new DownlinkError(limits.mqttDownlinksMax, `there are more than ${limits.mqttDownlinksMax} downlinks`);
  }
  const topics = new Set<string>();
  return configs.map((config, place) => {
    const downlink = downlinkOf(config, place);
    if (topics.has(downlink.topic)) throw new DownlinkError(place, `topic ${downlink.topic} has a downlink already`);
    topics.add(downlink.topic);
    return downlink;
  });
}

export function downlinkOf(config: DownlinkConfig, place = 0): Downlink {
  const fail = (detail: string): never => {
    throw new DownlinkError(place, detail);
  };
  const unknown = Object.keys(config).find((name) => !names.has(name));
  if (unknown !== undefined) fail(`${unknown} is unknown (it has ${[...names].join(", ")})`);
  const { topic, publish, qos = 1 } = config;
  if (typeof topic !== "string" || topic === "") fail("topic, the hub topic that is read, is missing");
  const isLegal = legalTopic(topic) === topic;
  const problem = isLegal ? hubTopicProblem(topic) : "a hub topic has letters, digits, dots, _ and - only";
  if (problem !== null) fail(`topic = ${JSON.stringify(topic)}: ${problem}`);
  if (typeof publish !== "string") fail("publish, the MQTT topic, is missing");
  const parts = publish.split("{key}");
  const said = `publish = ${JSON.stringify(publish)}`;
  if (parts.some((part) => /[{}]/.test(part))) fail(`${said}: {key} is all that can be filled in`);
  if (!isTopic(parts.join("k"))) fail(`${said} is no topic to publish to`);
  if (!isPlain(publish)) fail(`${said}: topics that begin with $ are not for records`);
  if (qos !== 0 && qos !== 1 && qos !== 2) fail(`qos = ${qos} is not 0, 1 or 2`);
  return { topic, parts, qos: qos as Qos };
}

/** The MQTT topic of a record with this key; null: it would not be legal. */
export function downlinkTopic({ parts }: Downlink, key: string): string | null {
  if (key === "" && parts.length > 1) return null; // it is for nobody
  const topic = parts.join(key);
  return isTopic(topic) && isPlain(topic) ? topic : null;
}
