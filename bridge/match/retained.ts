// Which topics have a retained message, as a tree of levels: filter -> messages; bounded by count and bytes. Pure.
import { limits } from "../../hub/mod.ts";
import { isPlain } from "./filter.ts";

interface Entry<V> {
  readonly topic: string;
  readonly value: V;
  readonly bytes: number;
  /** Milliseconds; null: never. */
  readonly expiresAt: number | null;
}

interface Node<V> {
  readonly children: Map<string, Node<V>>;
  entry: Entry<V> | null;
}

/** Bytes a message counts with: those of its value, its topic and its bookkeeping. */
export function weightOf(topic: string, bytes: number): number {
  return bytes + 2 * topic.length + entryBytes;
}

/** Bookkeeping of one entry that is counted besides its topic and value. */
const entryBytes = 200;

export class Retained<V> {
  readonly #root: Node<V> = newNode();
  readonly #countMax: number;
  readonly #bytesMax: number;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number = limits.mqttRetainedMax, bytesMax: number = limits.mqttRetainedBytesMax) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Sets a topic's message in place of the one before ([MQTT-3.3.1-5]). False when there is no room: the one before
   * stays then, and the publisher is to be refused (0x97).
   * @param bytes of the value.
   */
  set(topic: string, value: V, bytes: number, expiresAt: number | null): boolean {
    if (!this.hasRoom(topic, bytes)) return false;
    this.put(topic, value, bytes, expiresAt);
    return true;
  }

  /** @param coming messages that are on their way and not set yet, and their bytes as `weightOf` counts them. */
  hasRoom(topic: string, bytes: number, coming = { count: 0, bytes: 0 }): boolean {
    const before = find(this.#root, topic.split("/"))?.entry ?? null;
    const bytesAfter = this.#bytes + coming.bytes + weightOf(topic, bytes) - (before?.bytes ?? 0);
    return bytesAfter <= this.#bytesMax && (before !== null || this.#count + coming.count < this.#countMax);
  }

  /** As `set`, beyond the bounds too: what was acknowledged stays. */
  put(topic: string, value: V, bytes: number, expiresAt: number | null): void {
    const node = make(this.#root, topic.split("/"));
    const entry: Entry<V> = { topic, value, bytes: weightOf(topic, bytes), expiresAt };
    this.#bytes += entry.bytes - (node.entry?.bytes ?? 0);
    if (node.entry === null) this.#count++;
    node.entry = entry;
  }

  /** An empty retained message does this ([MQTT-3.3.1-6]); false when there was none. */
  delete(topic: string): boolean {
    const levels = topic.split("/");
    const path = [this.#root];
    for (const level of levels) {
      const child = path[path.length - 1]!.children.get(level);
      if (child === undefined) return false;
      path.push(child);
    }
    const node = path[path.length - 1]!;
    if (node.entry === null) return false;
    this.#count--;
    this.#bytes -= node.entry.bytes;
    node.entry = null;
    for (let at = path.length - 1; at > 0 && path[at]!.entry === null && path[at]!.children.size === 0; at--) {
      path[at - 1]!.children.delete(levels[at - 1]!);
    }
    return true;
  }

  /** The message of one topic, unless it expired. */
  get(topic: string, now: number): V | null {
    const entry = find(this.#root, topic.split("/"))?.entry ?? null;
    return entry === null || hasExpired(entry, now) ? null : entry.value;
  }

  /** Messages that a filter matches and that have not expired. A leading wildcard finds no `$` ([MQTT-4.7.2-1]). */
  match(filter: string, now: number): V[] {
    const found: V[] = [];
    collect(this.#root, filter.split("/"), 0, (entry) => {
      if (!hasExpired(entry, now)) found.push(entry.value);
    });
    return found;
  }

  /** Every topic and its message, expired ones too. */
  all(): [string, V][] {
    const all: [string, V][] = [];
    walk(this.#root, ({ topic, value }) => all.push([topic, value]));
    return all;
  }

  /** Forgets what has expired; the topics ([MQTT-3.3.2-5]). */
  expire(now: number): string[] {
    const gone: string[] = [];
    walk(this.#root, (entry) => {
      if (hasExpired(entry, now)) gone.push(entry.topic);
    });
    for (const topic of gone) this.delete(topic);
    return gone;
  }

  /** A topic's message, expired or not. */
  peek(topic: string): V | null {
    return find(this.#root, topic.split("/"))?.entry?.value ?? null;
  }
}

function newNode<V>(): Node<V> {
  return { children: new Map(), entry: null };
}

function hasExpired<V>(entry: Entry<V>, now: number): boolean {
  return entry.expiresAt !== null && entry.expiresAt <= now;
}

function find<V>(root: Node<V>, levels: readonly string[]): Node<V> | null {
  let node: Node<V> | undefined = root;
  for (const level of levels) {
    node = node.children.get(level);
    if (node === undefined) return null;
  }
  return node;
}

function make<V>(root: Node<V>, levels: readonly string[]): Node<V> {
  let node = root;
  for (const level of levels) {
    let child = node.children.get(level);
    if (child === undefined) {
      child = newNode();
      node.children.set(level, child);
    }
    node = child;
  }
  return node;
}

type Visit<V> = (entry: Entry<V>) => void;

function walk<V>(node: Node<V>, visit: Visit<V>): void {
  if (node.entry !== null) visit(node.entry);
  for (const child of node.children.values()) walk(child, visit);
}

function collect<V>(node: Node<V>, filter: readonly string[], at: number, visit: Visit<V>): void {
  const level = filter[at];
  if (level === undefined) {
    if (node.entry !== null) visit(node.entry);
  } else if (level === "#") {
    if (at > 0) return walk(node, visit); // `a/#` finds `a` as well
    for (const [name, child] of node.children) if (isPlain(name)) walk(child, visit);
  } else if (level === "+") {
    for (const [name, child] of node.children) if (at > 0 || isPlain(name)) collect(child, filter, at + 1, visit);
  } else {
    const child = node.children.get(level);
    if (child !== undefined) collect(child, filter, at + 1, visit);
  }
}
