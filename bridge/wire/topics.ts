// Topic names and topic filters: what MQTT allows in them (MQTT5 sections 4.7 and 4.8.2). Pure.
import { type Statement, fault } from "./faults.ts";
import { type MqttProblem, Reason, type Version } from "./packet.ts";

const slash = 0x2f;
const hash = 0x23;
const plus = 0x2b;
const sharePrefix = "$share/";

interface Broken {
  readonly statement: Statement;
  readonly detail: string;
}

/** The filter names a shared subscription: `$share/<group>/<filter>`. */
export function isShared(filter: string): boolean {
  return filter.startsWith(sharePrefix);
}

/** Group and filter of a legal shared subscription; null for one that is not shared. */
export function sharedParts(filter: string): { readonly group: string; readonly filter: string } | null {
  if (!isShared(filter)) return null;
  const end = filter.indexOf("/", sharePrefix.length);
  return { group: filter.slice(sharePrefix.length, end), filter: filter.slice(end + 1) };
}

/** Why a topic name cannot be published to, or null. Whether it is UTF-8 was seen where it was bytes. */
export function topicNameProblem(topic: string, version: Version): MqttProblem | null {
  const broken = nameFault(topic);
  return broken && fault(version, Reason.topicNameInvalid, broken.statement, broken.detail);
}

function nameFault(topic: string): Broken | null {
  if (topic.length === 0) return { statement: "4.7.3-1", detail: "the topic name is empty" };
  for (let index = 0; index < topic.length; index++) {
    const code = topic.charCodeAt(index);
    if (code === hash || code === plus) return { statement: "3.3.2-2", detail: "the topic name holds a wildcard" };
    if (code === 0) return { statement: "4.7.3-2", detail: "the topic name holds U+0000" };
  }
  return null;
}

/** Why a filter cannot be subscribed to, or null. */
export function filterProblem(filter: string, version: Version): MqttProblem | null {
  const broken = filterFault(filter);
  return broken && fault(version, Reason.topicFilterInvalid, broken.statement, broken.detail);
}

function filterFault(filter: string): Broken | null {
  if (!isShared(filter)) return levelsFault(filter, 0);
  const end = filter.indexOf("/", sharePrefix.length);
  const group = filter.slice(sharePrefix.length, end === -1 ? filter.length : end);
  // 3.1.1 knows no shared subscriptions; where it has them, it has them as 5
  if (group === "") return { statement: ["4.7.3-1", "4.8.2-1"], detail: "the share name is empty" };
  if (/[+#]/.test(group)) return { statement: ["4.7.1-3", "4.8.2-2"], detail: "the share name holds a wildcard" };
  if (end === -1 || end === filter.length - 1) {
    return { statement: ["4.7.3-1", "4.8.2-2"], detail: "no filter stands after the share name" };
  }
  return levelsFault(filter, end + 1);
}

function levelsFault(filter: string, from: number): Broken | null {
  if (from === filter.length) return { statement: "4.7.3-1", detail: "the filter is empty" };
  for (let at = from; at < filter.length; at++) {
    const code = filter.charCodeAt(at);
    if (code === 0) return { statement: "4.7.3-2", detail: "the filter holds U+0000" };
    if (code !== hash && code !== plus) continue;
    const opens = at === from || filter.charCodeAt(at - 1) === slash;
    const last = at === filter.length - 1;
    if (code === hash && !(opens && last)) {
      return { statement: ["4.7.1-2", "4.7.1-1"], detail: "# does not stand alone as the last level" };
    }
    if (code === plus && !(opens && (last || filter.charCodeAt(at + 1) === slash))) {
      return { statement: ["4.7.1-3", "4.7.1-2"], detail: "+ does not fill its level" };
    }
  }
  return null;
}
