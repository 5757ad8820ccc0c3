// A shared subscription as a consumer group: its id, and what a member hands over beside an offset. Pure.
import { limits } from "../../hub/mod.ts";
import type { Shared } from "../match/filter.ts";
import type { Level, Route } from "../topic_map.ts";
import type { Downlink } from "./downlink.ts";
import { reachesTopic, reachOf } from "./reach.ts";

/**
 * The id of the consumer group: the share name where the filter holds whole hub topics, so that Kafka clients can join
 * it; else with the filter, as two filters on one set of offsets would skip records (MQTT5 section 4.8.2).
 */
export function groupIdOf({ group, filter }: Shared, routes: readonly Route[], downlinks: readonly Downlink[]): string {
  return holdsWholeTopics(filter, routes, downlinks) ? group : `${group}:${filter}`;
}

/**
 * Whether all that the routes and downlinks put into the hub topics a filter reaches matches it. False when in doubt,
 * and for filters with `+` or that begin with `#`: two of those easily have a topic in common.
 */
export function holdsWholeTopics(filter: string, routes: readonly Route[], downlinks: readonly Downlink[]): boolean {
  const levels = filter.split("/");
  const reach = reachOf(filter, routes, downlinks);
  if (reach.length === 0 || levels.includes("+") || levels[0] === "#") return false;
  return reach.every((one) => {
    if (one.isPrefix || one.key !== null) return false;
    const { topic } = one;
    const isIn = (name: string): boolean => reachesTopic(one, name);
    return (
      routes.every((route) => isMatched(levels, route, topic)) &&
      downlinks.every((downlink) => !isIn(downlink.topic) || holds(levels, patternOf(downlink)))
    );
  });
}

/** Whether all that a route puts into the hub topic matches. */
function isMatched(filter: readonly string[], route: Route, topic: string): boolean {
  if (route.topic === null) return true;
  const { parts, names } = route.topic;
  const begin = parts[0]!.replace(/[^a-zA-Z0-9.-]/gu, "_");
  if (!topic.startsWith(begin)) return true;
  if (names.length === 0) return topic !== begin || holds(filter, route.levels);
  // `_` stands for any character, so that the level is not known by the name
  const isKnown = names.length === 1 && parts.every((part) => part === "") && !topic.includes("_");
  if (!isKnown) return false;
  const [name] = names;
  return holds(
    filter,
    route.levels.map((level) => (level.kind === "name" && level.text === name ? { kind: "text", text: topic } : level)),
  );
}

/** Whether the filter, which has no `+`, matches every topic of the pattern. */
function holds(filter: readonly string[], pattern: readonly Level[]): boolean {
  for (const [at, wanted] of filter.entries()) {
    if (wanted === "#") return true;
    const level = pattern[at];
    if (level === undefined || level.kind !== "text" || level.text !== wanted) return false;
  }
  return pattern.length === filter.length;
}

/** What a downlink publishes; a key may have several levels. */
function patternOf({ parts }: Downlink): Level[] {
  if (parts.length === 1) return parts[0]!.split("/").map((text) => ({ kind: "text", text }));
  const known = parts[0]!.split("/").slice(0, -1);
  return [...known.map((text): Level => ({ kind: "text", text })), { kind: "rest", text: "#" }];
}

/** As the metadata of a committed offset. */
const takenPrefix = "mqtt-taken:";

/** Offsets that a client has at QoS 2 and nobody else is to get ([MQTT-4.8.2-5]); what does not fit may come twice. */
export function encodeTaken(next: number, taken: readonly number[]): string {
  if (taken.length === 0) return "";
  let text = takenPrefix;
  for (const [at, offset] of taken.entries()) {
    const more = `${at === 0 ? "" : ","}${(offset - next).toString(36)}`;
    if (text.length + more.length > limits.offsetMetadataBytesMax) break;
    text += more;
  }
  return text;
}

/** Of metadata that are not ours: none. */
export function decodeTaken(next: number, metadata: string): number[] {
  if (!metadata.startsWith(takenPrefix)) return [];
  return metadata
    .slice(takenPrefix.length)
    .split(",")
    .map((text) => next + Number.parseInt(text, 36))
    .filter((offset) => offset >= next);
}
