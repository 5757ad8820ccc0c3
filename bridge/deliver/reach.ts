// In which hub topics, and under which key, a filter can match: the routes the other way round. Pure.
import { hubTopicProblem, legalTopic, type Level, type Route, type Template } from "../topic_map.ts";
import type { Downlink } from "./downlink.ts";

/** A part of the logs. It may be wider than need be, never narrower. */
export interface Reach {
  /** A hub topic, or how its name begins. */
  readonly topic: string;
  readonly isPrefix: boolean;
  /** Records of this key alone, as the route writes it; null: any. */
  readonly key: string | null;
}

/** @param filter a legal one that is not shared */
export function reachOf(filter: string, routes: readonly Route[], downlinks: readonly Downlink[]): readonly Reach[] {
  const levels = filter.split("/");
  if (levels[0]!.startsWith("$")) return []; // never stored
  const found: Reach[] = [];
  for (const route of routes) {
    const reach = reachOfRoute(levels, route);
    if (reach !== null && !found.some((wider) => covers(wider, reach))) found.push(reach);
  }
  for (const downlink of downlinks) {
    // whoever writes them chooses the partition as he likes
    const reach = { topic: downlink.topic, isPrefix: false, key: null };
    if (mayMatch(levels, downlink) && !found.some((wider) => covers(wider, reach))) found.push(reach);
  }
  return found.filter((reach) => !found.some((wider) => wider !== reach && covers(wider, reach)));
}

/** Whether the reach has the topic in it. */
export function reachesTopic({ topic, isPrefix }: Reach, name: string): boolean {
  return isPrefix ? name.startsWith(topic) : name === topic;
}

/** Whether one holds all that the other does. */
function covers(wider: Reach, reach: Reach): boolean {
  const isTopic = wider.isPrefix ? reach.topic.startsWith(wider.topic) : !reach.isPrefix && reach.topic === wider.topic;
  return isTopic && (wider.key === null || wider.key === reach.key);
}

function reachOfRoute(filter: readonly string[], route: Route): Reach | null {
  if (route.topic === null) return null;
  const known = bind(filter, route.levels);
  if (known === null) return null;
  const key = render(route.key, known);
  const topic = render(route.topic, known);
  const name = legalTopic(topic.text);
  if (topic.isWhole && hubTopicProblem(name) !== null) return null;
  return { topic: name, isPrefix: !topic.isWhole, key: key.isWhole ? key.text : null };
}

/** What the filter says of the route's placeholders; null: no topic fits both. */
function bind(filter: readonly string[], route: readonly Level[]): ReadonlyMap<string, string> | null {
  const known = new Map<string, string>();
  for (let at = 0; ; at++) {
    const level = route[at];
    const wanted = filter[at];
    // both `#` also match the level above them
    if (wanted === "#" || level?.kind === "rest") return known;
    if (wanted === undefined || level === undefined) return wanted === level ? known : null;
    if (wanted === "+") continue;
    if (level.kind === "text" && level.text !== wanted) return null;
    if (level.kind === "name") {
      if (wanted === "") return null;
      known.set(level.text, wanted);
    }
  }
}

/** The template as far as it is known. */
function render({ parts, names }: Template, known: ReadonlyMap<string, string>): { text: string; isWhole: boolean } {
  let text = parts[0]!;
  for (const [at, name] of names.entries()) {
    const value = known.get(name);
    if (value === undefined) return { text, isWhole: false }; // a client id, or a level that a wildcard stands for
    text += value + parts[at + 1]!;
  }
  return { text, isWhole: true };
}

/** Whether the filter may match what the downlink publishes; a key may have several levels. */
function mayMatch(filter: readonly string[], { parts }: Downlink): boolean {
  const first = parts[0]!.split("/");
  if (parts.length === 1) return fits(filter, first);
  const last = parts.at(-1)!.split("/");
  // the levels that stand beside a key are not whole
  const front = first.slice(0, -1);
  const back = last.slice(1);
  const rest = filter.indexOf("#");
  const open = rest === -1 ? filter : filter.slice(0, rest);
  if (!front.every((text, at) => at >= open.length || fitsLevel(open[at]!, text))) return false;
  if (rest !== -1) return true;
  if (filter.length < front.length + 1 + back.length) return false;
  return back.every((text, at) => fitsLevel(filter[filter.length - back.length + at]!, text));
}

function fits(filter: readonly string[], topic: readonly string[]): boolean {
  for (const [at, wanted] of filter.entries()) {
    if (wanted === "#") return true;
    if (at >= topic.length || !fitsLevel(wanted, topic[at]!)) return false;
  }
  return filter.length === topic.length;
}

function fitsLevel(wanted: string, text: string): boolean {
  return wanted === "+" || wanted === text;
}
