// Topic filters: what is one, what it matches, and the two parts of a shared one (MQTT5 sections 4.7 and 4.8). Pure.
import { limits } from "../../hub/mod.ts";

const dollar = 0x24;
const sharePrefix = "$share/";

export interface Shared {
  readonly group: string;
  readonly filter: string;
}

/** Whether the text is a topic filter within our bounds; of a shared subscription only its filter part goes in here. */
export function isFilter(filter: string): boolean {
  if (filter.length === 0 || filter.length > limits.mqttTopicLengthMax) return false;
  if (filter.includes("\u0000")) return false; // [MQTT-4.7.3-2]
  const levels = filter.split("/");
  if (levels.length > limits.mqttTopicLevelsMax) return false;
  return levels.every((level, at) => {
    if (level === "+") return true;
    if (level === "#") return at === levels.length - 1; // [MQTT-4.7.1-1]
    return !level.includes("+") && !level.includes("#"); // [MQTT-4.7.1-2]
  });
}

/** Whether the text is a topic name within our bounds: no wildcards ([MQTT-3.3.2-2], [MQTT-4.7.0-1]). */
export function isTopic(topic: string): boolean {
  if (topic.length === 0 || topic.length > limits.mqttTopicLengthMax) return false;
  if (hasWildcard(topic) || topic.includes("\u0000")) return false;
  let levels = 1;
  for (let at = topic.indexOf("/"); at >= 0; at = topic.indexOf("/", at + 1)) levels++;
  return levels <= limits.mqttTopicLevelsMax;
}

export function hasWildcard(text: string): boolean {
  return text.includes("+") || text.includes("#");
}

/** Whether the filter asks for a shared subscription, well formed or not. */
export function isShared(filter: string): boolean {
  return filter.startsWith(sharePrefix);
}

/** `$share/<group>/<filter>` in its parts; null when it is none ([MQTT-4.8.2-1], [MQTT-4.8.2-2]). */
export function parseShared(filter: string): Shared | null {
  if (!isShared(filter)) return null;
  const end = filter.indexOf("/", sharePrefix.length);
  if (end < 0) return null;
  const group = filter.slice(sharePrefix.length, end);
  const rest = filter.slice(end + 1);
  return group.length > 0 && !hasWildcard(group) && isFilter(rest) ? { group, filter: rest } : null;
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
