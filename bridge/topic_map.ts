// The route table: MQTT topic -> hub topic, key and ack level. Compiled once, matched level by level. Pure.
import { limits } from "../hub/mod.ts";

/** One `[[routes]]` entry of the configuration. */
export interface RouteConfig {
  /** MQTT topic; levels are text, `{name}` (one that is not empty), `+` (any one) and, at the end, `#` (the rest). */
  readonly match: string;
  /** Hub topic; `{name}` and `{client}` (the client id) are filled in. Required unless `store` is false. */
  readonly topic?: string;
  /** Record key, filled in likewise; the client id when left out. */
  readonly key?: string;
  /** When the PUBACK leaves: committed by all in-sync replicas (default), by the leader, or at once. */
  readonly acks?: "all" | "leader" | "none";
  /** false: MQTT only. */
  readonly store?: boolean;
}

/** `[[routes]]` of the configuration: the first match wins. */
export type RouteTable = readonly RouteConfig[];

/** The table when none is configured: the device is the second level; a topic of one level is keyed by client id. */
export const defaultRoutes: RouteTable = [
  { match: "{topic}/{device}/#", topic: "{topic}", key: "{device}" },
  { match: "{topic}", topic: "{topic}", key: "{client}" },
];

/** A route that cannot be used; the message names the route and what to change. */
export class RouteError extends Error {
  constructor(place: number, match: unknown, detail: string) {
    super(`route ${place + 1} (match = ${JSON.stringify(match)}): ${detail}`);
    this.name = "RouteError";
  }
}

/** What happens to a PUBLISH. */
export type Routed = StoreRouted | MqttOnlyRouted | RefusedRouted;

export interface StoreRouted {
  readonly kind: "store";
  /** The route that matched. */
  readonly match: string;
  readonly topic: string;
  readonly key: string;
  readonly acks: -1 | 1 | 0;
  /** The name before characters that Kafka does not allow became `_`. */
  readonly rawTopic: string;
}

/** Delivered to MQTT subscribers, not stored. */
export interface MqttOnlyRouted {
  readonly kind: "mqtt-only";
  readonly match: string | null;
  readonly reason: string;
}

export interface RefusedRouted {
  readonly kind: "refused";
  readonly match: string | null;
  readonly reason: string;
}

export interface Level {
  readonly kind: "text" | "name" | "any" | "rest";
  /** The text, or the placeholder's name. */
  readonly text: string;
}

/** Text and placeholders in turn: parts[0] {names[0]} parts[1] {names[1]} ... parts[n]. */
export interface Template {
  readonly parts: readonly string[];
  readonly names: readonly string[];
}

/** A route as it is matched. */
export interface Route {
  readonly match: string;
  readonly levels: readonly Level[];
  /** Null: MQTT only. */
  readonly topic: Template | null;
  readonly key: Template;
  readonly acks: -1 | 1 | 0;
}

const ackLevels = { all: -1, leader: 1, none: 0 } as const;
const clientName = "client";

/** The compiled table. */
export class TopicMap {
  readonly routes: readonly Route[];

  /** @throws RouteError for the first route that cannot be used. */
  constructor(configs: RouteTable = defaultRoutes) {
    if (configs.length > limits.mqttRoutesMax) {
      throw new RouteError(limits.mqttRoutesMax, "", `there are more than ${limits.mqttRoutesMax} routes`);
    }
    this.routes = configs.map(compile);
  }

  /** Where a PUBLISH goes: first match wins. Pure: the same arguments give the same answer. */
  route(mqttTopic: string, clientId: string): Routed {
    const problem = topicProblem(mqttTopic);
    if (problem !== null) return { kind: "refused", match: null, reason: problem };
    if (mqttTopic.charCodeAt(0) === 0x24) {
      return { kind: "mqtt-only", match: null, reason: "topics that begin with $ are never stored" };
    }
    const levels = mqttTopic.split("/");
    for (const route of this.routes) {
      if (!matches(route.levels, levels)) continue;
      if (route.topic === null)
        return { kind: "mqtt-only", match: route.match, reason: "the route says store = false" };
      return fill(route, route.topic, levels, clientId);
    }
    return { kind: "mqtt-only", match: null, reason: "no route matches" };
  }
}

/** Remembers which MQTT-side name came first for each hub topic, so that two that fall together are reported. */
export class CollisionWatch {
  readonly #first = new Map<string, string>();

  /** The other name that already goes to the same hub topic, or null. Holds at most `topicsMax` names. */
  note(routed: StoreRouted): string | null {
    const first = this.#first.get(routed.topic);
    if (first === undefined) {
      if (this.#first.size < limits.topicsMax) this.#first.set(routed.topic, routed.rawTopic);
      return null;
    }
    return first === routed.rawTopic ? null : first;
  }
}

/** Why a topic name cannot be published to, or null (MQTT 3.1.1 sections 1.5.3 and 4.7). */
export function topicProblem(topic: string): string | null {
  if (topic.length === 0) return "the topic is empty";
  if (topic.length > limits.mqttTopicLengthMax)
    return `the topic is longer than ${limits.mqttTopicLengthMax} characters`;
  let levels = 1;
  for (let at = 0; at < topic.length; at++) {
    const code = topic.charCodeAt(at);
    if (code === 0x2f) levels++;
    else if (code === 0x23 || code === 0x2b) return "a topic to publish to holds no # or +";
    else if (code === 0 || code === 0xfffd) return "the topic is not well-formed UTF-8";
  }
  return levels > limits.mqttTopicLevelsMax ? `the topic has more than ${limits.mqttTopicLevelsMax} levels` : null;
}

/** Why a filter cannot be subscribed to, or null (MQTT 3.1.1 section 4.7.1; shared subscriptions are not served). */
export function filterProblem(filter: string): string | null {
  if (filter.length === 0) return "the filter is empty";
  if (filter.length > limits.mqttTopicLengthMax)
    return `the filter is longer than ${limits.mqttTopicLengthMax} characters`;
  if (filter.includes("\0")) return "the filter is not well-formed UTF-8";
  const levels = filter.split("/");
  if (levels.length > limits.mqttTopicLevelsMax) return `the filter has more than ${limits.mqttTopicLevelsMax} levels`;
  if (levels[0] === "$share" || levels[0] === "$queue") return "shared subscriptions are not served";
  for (const [at, level] of levels.entries()) {
    if (level === "+" || (level === "#" && at === levels.length - 1)) continue;
    if (level.includes("#")) return "# stands alone, as the last level";
    if (level.includes("+")) return "+ fills a level alone";
  }
  return null;
}

function compile(config: RouteConfig, place: number): Route {
  const fail = (detail: string): never => {
    throw new RouteError(place, config.match, detail);
  };
  if (typeof config.match !== "string" || config.match === "") fail("match must be a topic that is not empty");
  if (config.match.startsWith("$")) fail("topics that begin with $ are never stored or routed");
  const names = new Set<string>([clientName]);
  const texts = config.match.split("/");
  const levels = texts.map((text, at) => compileLevel(text, at === texts.length - 1, names, fail));
  if (levels.length > limits.mqttTopicLevelsMax) fail(`match has more than ${limits.mqttTopicLevelsMax} levels`);
  const acks = config.acks ?? "all";
  if (!Object.hasOwn(ackLevels, acks)) fail(`acks = ${JSON.stringify(acks)} is not "all", "leader" or "none"`);
  const base = { match: config.match, levels, acks: ackLevels[acks] };
  const key = compileTemplate("key", config.key ?? `{${clientName}}`, names, fail);
  if (config.store === false) {
    if (config.topic !== undefined) fail("store = false and topic contradict each other");
    return { ...base, key, topic: null };
  }
  if (config.topic === undefined || config.topic === "") fail("topic is missing");
  const topic = compileTemplate("topic", config.topic!, names, fail);
  const problem = topic.names.length === 0 ? hubTopicProblem(legalTopic(topic.parts[0]!)) : null;
  if (problem !== null) fail(problem);
  return { ...base, key, topic };
}

function compileLevel(text: string, last: boolean, names: Set<string>, fail: (detail: string) => never): Level {
  if (text === "+") return { kind: "any", text };
  if (text === "#") return last ? { kind: "rest", text } : fail("# must be the last level");
  if (text.startsWith("{") && text.endsWith("}")) {
    const name = text.slice(1, -1);
    if (!isPlaceholder(name)) fail(`${text} is not a placeholder: use {name} with letters, digits or _`);
    if (names.has(name)) fail(name === clientName ? "{client} is the client id, not a level" : `${text} stands twice`);
    names.add(name);
    return { kind: "name", text: name };
  }
  for (const character of "{}#+") {
    if (text.includes(character)) fail(`in ${JSON.stringify(text)} the ${character} must fill the level alone`);
  }
  if (text.includes("\0")) fail("match holds a zero character");
  return { kind: "text", text };
}

function compileTemplate(
  what: string,
  text: string,
  known: ReadonlySet<string>,
  fail: (detail: string) => never,
): Template {
  const parts: string[] = [];
  const names: string[] = [];
  let from = 0;
  for (let open = text.indexOf("{"); open !== -1; open = text.indexOf("{", from)) {
    const close = text.indexOf("}", open);
    if (close === -1) fail(`${what} = ${JSON.stringify(text)} has { without }`);
    const name = text.slice(open + 1, close);
    if (!known.has(name)) fail(`${what} names {${name}}, which match does not have (it has ${listOf(known)})`);
    parts.push(text.slice(from, open));
    names.push(name);
    from = close + 1;
  }
  parts.push(text.slice(from));
  if (parts.some((part) => part.includes("}"))) fail(`${what} = ${JSON.stringify(text)} has } without {`);
  return { parts, names };
}

function listOf(names: ReadonlySet<string>): string {
  return [...names].map((name) => `{${name}}`).join(", ");
}

function isPlaceholder(name: string): boolean {
  if (name.length === 0) return false;
  for (const character of name) {
    const legal =
      (character >= "a" && character <= "z") ||
      (character >= "A" && character <= "Z") ||
      (character >= "0" && character <= "9") ||
      character === "_";
    if (!legal) return false;
  }
  return true;
}

function matches(pattern: readonly Level[], levels: readonly string[]): boolean {
  for (let at = 0; at < pattern.length; at++) {
    const level = pattern[at]!;
    // as in MQTT 4.7.1.2, # also matches its parent: a/# matches a
    if (level.kind === "rest") return true;
    const text = levels[at];
    if (text === undefined) return false;
    if (level.kind === "text" ? text !== level.text : level.kind === "name" && text === "") return false;
  }
  return levels.length === pattern.length;
}

function fill(route: Route, topic: Template, levels: readonly string[], clientId: string): Routed {
  const rawTopic = render(topic, route.levels, levels, clientId);
  const legal = legalTopic(rawTopic);
  const problem = hubTopicProblem(legal);
  if (problem !== null) return { kind: "refused", match: route.match, reason: problem };
  const key = render(route.key, route.levels, levels, clientId);
  return { kind: "store", match: route.match, topic: legal, key, acks: route.acks, rawTopic };
}

function render(template: Template, pattern: readonly Level[], levels: readonly string[], clientId: string): string {
  let text = template.parts[0]!;
  for (let at = 0; at < template.names.length; at++) {
    const name = template.names[at]!;
    const value =
      name === clientName ? clientId : levels[pattern.findIndex((l) => l.kind === "name" && l.text === name)];
    text += value + template.parts[at + 1]!;
  }
  return text;
}

/** Characters that Kafka topic names do not allow become `_`, one each. */
export function legalTopic(name: string): string {
  let legal = "";
  for (const character of name) {
    const keep =
      (character >= "a" && character <= "z") ||
      (character >= "A" && character <= "Z") ||
      (character >= "0" && character <= "9") ||
      character === "." ||
      character === "-";
    legal += keep ? character : "_";
  }
  return legal;
}

/** Why records cannot be stored in a hub topic of this name, or null. */
export function hubTopicProblem(name: string): string | null {
  if (name.length === 0) return "the hub topic would be empty";
  if (name === "." || name === "..") return `the hub topic would be ${JSON.stringify(name)}`;
  if (name.length > limits.topicNameLengthMax)
    return `the hub topic would be over ${limits.topicNameLengthMax} characters`;
  if (name.startsWith("__")) return `the hub topic ${JSON.stringify(name)} is internal (names that begin with __ are)`;
  return null;
}
