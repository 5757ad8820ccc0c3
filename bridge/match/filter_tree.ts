// All subscriptions of a hub as a tree of filter levels: topic -> who gets it and how. Pure.
import { limits } from "../../hub/mod.ts";
import { hasWildcard, isPlain, parseShared } from "./filter.ts";
import { type Both, join, type Options, single } from "./merged.ts";
import { Memo } from "./memo.ts";

/** One subscriber that gets a message. */
export interface Match<S> extends Both {
  readonly subscriber: S;
}

/** A shared subscription that gets a message: one of its members does. Group name and filter are its identity. */
export interface GroupMatch<S> {
  readonly group: string;
  readonly filter: string;
  readonly members: readonly Match<S>[];
}

export interface Matches<S> {
  readonly subscribers: readonly Match<S>[];
  readonly groups: readonly GroupMatch<S>[];
}

interface Group<S> {
  readonly name: string;
  readonly filter: string;
  readonly members: Map<S, Match<S>>;
  /** Made when it is asked for; null after a change. */
  match: GroupMatch<S> | null;
}

interface Node<S> {
  readonly children: Map<string, Node<S>>;
  /** Subscriptions that end here. Most nodes have none, and no map. */
  subscriptions: Map<S, Match<S>> | null;
  groups: Map<string, Group<S>> | null;
  /** The subscriptions as a list, made when it is asked for; null after a change. */
  matches: readonly Match<S>[] | null;
}

/** Up to so many a list is searched; beyond, a map is made. */
const fewMax = 12;

const nobody: Matches<never> = { subscribers: [], groups: [] };

/** Subscribers are compared by identity: one object per session. */
export class FilterTree<S> {
  readonly #root: Node<S> = newNode();
  readonly #memo: Memo<Matches<S>>;
  #size = 0;

  /** @param memoMax topics and subscribers of remembered matches, together. */
  constructor(memoMax: number = limits.mqttMatchMemoMax) {
    this.#memo = new Memo(memoMax);
  }

  /** Subscriptions held. */
  get size(): number {
    return this.#size;
  }

  /** Adds or replaces ([MQTT-3.8.4-3]) a valid filter's subscription, shared or not; true when it is new. */
  set(filter: string, subscriber: S, options: Options): boolean {
    const shared = parseShared(filter);
    const plain = shared?.filter ?? filter;
    const node = this.#make(plain);
    const held = shared === null ? (node.subscriptions ??= new Map()) : groupOf(node, shared.group, plain).members;
    const isNew = !held.has(subscriber);
    held.set(subscriber, { subscriber, ...single(options) });
    if (isNew) this.#size++;
    this.#changed(plain, node);
    return isNew;
  }

  /** False when there is no such subscription. */
  remove(filter: string, subscriber: S): boolean {
    const shared = parseShared(filter);
    const plain = shared?.filter ?? filter;
    const path = this.#path(plain);
    if (path === null) return false;
    const node = path[path.length - 1]!;
    if (!takeOut(node, shared?.group ?? null, subscriber)) return false;
    this.#size--;
    this.#changed(plain, node);
    const levels = plain.split("/");
    for (let at = path.length - 1; at > 0 && isEmpty(path[at]!); at--) {
      path[at - 1]!.children.delete(levels[at - 1]!);
    }
    return true;
  }

  /** Who gets a message of this topic. The answer is shared: it must not be changed. */
  match(topic: string): Matches<S> {
    if (this.#size === 0) return nobody;
    const known = this.#memo.get(topic);
    if (known !== undefined) return known;
    const nodes: Node<S>[] = [];
    collect(this.#root, topic.split("/"), 0, isPlain(topic), nodes);
    const answer = nodes.length === 0 ? nobody : combine(nodes);
    let cost = 1 + answer.subscribers.length;
    for (const { members } of answer.groups) cost += 1 + members.length;
    this.#memo.set(topic, answer, cost);
    return answer;
  }

  /** A filter without wildcards matches one topic; what another one matched is not known, so all is forgotten. */
  #changed(filter: string, node: Node<S>): void {
    node.matches = null;
    if (hasWildcard(filter)) this.#memo.clear();
    else this.#memo.delete(filter);
  }

  #make(filter: string): Node<S> {
    let node = this.#root;
    for (const level of filter.split("/")) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    return node;
  }

  /** The nodes from the root to the filter's. */
  #path(filter: string): Node<S>[] | null {
    const path = [this.#root];
    for (const level of filter.split("/")) {
      const child = path[path.length - 1]!.children.get(level);
      if (child === undefined) return null;
      path.push(child);
    }
    return path;
  }
}

function newNode<S>(): Node<S> {
  return { children: new Map(), subscriptions: null, groups: null, matches: null };
}

function isEmpty<S>(node: Node<S>): boolean {
  return node.children.size === 0 && node.subscriptions === null && node.groups === null;
}

function groupOf<S>(node: Node<S>, name: string, filter: string): Group<S> {
  node.groups ??= new Map();
  let group = node.groups.get(name);
  if (group === undefined) {
    group = { name, filter, members: new Map(), match: null };
    node.groups.set(name, group);
  }
  group.match = null;
  return group;
}

function takeOut<S>(node: Node<S>, name: string | null, subscriber: S): boolean {
  if (name === null) {
    if (!node.subscriptions?.delete(subscriber)) return false;
    if (node.subscriptions.size === 0) node.subscriptions = null;
    return true;
  }
  const group = node.groups?.get(name);
  if (!group?.members.delete(subscriber)) return false;
  group.match = null;
  if (group.members.size === 0) {
    node.groups!.delete(name);
    if (node.groups!.size === 0) node.groups = null;
  }
  return true;
}

/** Nodes whose filters match. `plain`: a leading wildcard may match, too ([MQTT-4.7.2-1]). */
function collect<S>(node: Node<S>, levels: readonly string[], at: number, plain: boolean, found: Node<S>[]): void {
  const wild = plain || at > 0;
  if (wild) keep(node.children.get("#"), found); // `a/#` matches `a` as well (4.7.1.2)
  if (at === levels.length) return keep(node, found);
  const exact = node.children.get(levels[at]!);
  if (exact !== undefined) collect(exact, levels, at + 1, plain, found);
  const any = wild ? node.children.get("+") : undefined;
  if (any !== undefined) collect(any, levels, at + 1, plain, found);
}

function keep<S>(node: Node<S> | undefined, found: Node<S>[]): void {
  if (node !== undefined && (node.subscriptions !== null || node.groups !== null)) found.push(node);
}

function combine<S>(nodes: readonly Node<S>[]): Matches<S> {
  const groups: GroupMatch<S>[] = [];
  const plain: Node<S>[] = [];
  for (const node of nodes) {
    if (node.subscriptions !== null) plain.push(node);
    if (node.groups !== null) for (const group of node.groups.values()) groups.push(groupMatch(group));
  }
  if (plain.length === 0) return { subscribers: nobody.subscribers, groups };
  if (plain.length === 1) return { subscribers: listOf(plain[0]!), groups };
  return { subscribers: joined(plain), groups };
}

/** Subscriptions of several nodes, each subscriber once. */
function joined<S>(nodes: readonly Node<S>[]): Match<S>[] {
  const found = [...listOf(nodes[0]!)];
  let places: Map<S, number> | null = null;
  for (const node of nodes.slice(1)) {
    for (const match of listOf(node)) {
      if (places === null && found.length > fewMax)
        places = new Map(found.map(({ subscriber }, at) => [subscriber, at]));
      const at = places === null ? placeOf(found, match.subscriber) : places.get(match.subscriber);
      if (at === undefined) {
        places?.set(match.subscriber, found.length);
        found.push(match);
      } else found[at] = { subscriber: match.subscriber, ...join(found[at]!, match) };
    }
  }
  return found;
}

function placeOf<S>(matches: readonly Match<S>[], subscriber: S): number | undefined {
  for (let at = 0; at < matches.length; at++) if (matches[at]!.subscriber === subscriber) return at;
  return undefined;
}

function listOf<S>(node: Node<S>): readonly Match<S>[] {
  return (node.matches ??= [...node.subscriptions!.values()]);
}

function groupMatch<S>(group: Group<S>): GroupMatch<S> {
  return (group.match ??= { group: group.name, filter: group.filter, members: [...group.members.values()] });
}
