// Topic filters: what is one, what it matches, and the two parts of a shared one (MQTT5 sections 4.7 and 4.8). Pure.
import { limits } from "../../hub/mod.ts";
import { filterProblem, isShared, sharedParts, topicNameProblem } from "../wire/topics.ts";

export { isShared };

const dollar = 0x24;

export interface Shared {
  readonly group: string;
  readonly filter: string;
}

/** Whether the text is a topic filter, shared or not, within our bounds. */
export function isFilter(filter: string): boolean {
  return isWithin(filter) && filterProblem(filter, 5) === null;
}

/** Whether the text is a topic name within our bounds. */
export function isTopic(topic: string): boolean {
  return isWithin(topic) && topicNameProblem(topic, 5) === null;
}

function isWithin(text: string): boolean {
  if (text.length > limits.mqttTopicLengthMax) return false;
  let levels = 1;
  for (let at = text.indexOf("/"); at >= 0; at = text.indexOf("/", at + 1)) levels++;
  return levels <= limits.mqttTopicLevelsMax;
}

export function hasWildcard(text: string): boolean {
  return text.includes("+") || text.includes("#");
}

/** `$share/<group>/<filter>` in its parts; null when it is none ([MQTT-4.8.2-1], [MQTT-4.8.2-2]). */
export function parseShared(filter: string): Shared | null {
  return isShared(filter) && filterProblem(filter, 5) === null ? sharedParts(filter) : null;
}

/** Whether a topic that is cut into levels may be matched by a leading wildcard ([MQTT-4.7.2-1]). */
export function isPlain(topic: string): boolean {
  return topic.charCodeAt(0) !== dollar;
}

/** Whether the filter matches the topic; for the few filters of one session, where no tree is worth it. */
export function filterMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  const wanted = filter.split("/");
  if (!isPlain(topic) && (wanted[0] === "#" || wanted[0] === "+")) return false;
  const levels = topic.split("/");
  for (let at = 0; at < wanted.length; at++) {
    const level = wanted[at]!;
    if (level === "#") return true;
    if (at >= levels.length || (level !== "+" && level !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}
