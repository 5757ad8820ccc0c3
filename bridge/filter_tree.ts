// Which filters are subscribed to, as a tree of levels: answers quickly whether anybody listens to a topic. Pure.

interface Node {
  readonly children: Map<string, Node>;
  /** Subscriptions that end here. */
  count: number;
}

/** Decisions remembered until the next change; bounded, because topics come from clients. */
const memoMax = 10_000;

/** A multiset of topic filters. */
export class FilterTree {
  readonly #root: Node = newNode();
  readonly #memo = new Map<string, boolean>();
  #size = 0;

  /** Subscriptions held. */
  get size(): number {
    return this.#size;
  }

  add(filter: string): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    node.count++;
    this.#size++;
    this.#memo.clear();
  }

  /** Removes one subscription of the filter; false when there is none. */
  remove(filter: string): boolean {
    const path: [Node, string][] = [];
    let node = this.#root;
    for (const level of filter.split("/")) {
      const child = node.children.get(level);
      if (child === undefined) return false;
      path.push([node, level]);
      node = child;
    }
    if (node.count === 0) return false;
    node.count--;
    this.#size--;
    this.#memo.clear();
    for (let at = path.length - 1; at >= 0 && node.count === 0 && node.children.size === 0; at--) {
      const [parent, level] = path[at]!;
      parent.children.delete(level);
      node = parent;
    }
    return true;
  }

  /** Whether any filter matches the topic (MQTT 3.1.1 section 4.7; wildcards do not match a leading `$`, 4.7.2). */
  matches(topic: string): boolean {
    if (this.#size === 0) return false;
    const known = this.#memo.get(topic);
    if (known !== undefined) return known;
    const answer = reaches(this.#root, topic.split("/"), 0);
    if (this.#memo.size >= memoMax) this.#memo.clear();
    this.#memo.set(topic, answer);
    return answer;
  }
}

function newNode(): Node {
  return { children: new Map(), count: 0 };
}

function reaches(node: Node, levels: readonly string[], at: number): boolean {
  const wild = at > 0 || levels[0]!.charCodeAt(0) !== 0x24;
  if (wild && ends(node.children.get("#"))) return true;
  if (at === levels.length) return node.count > 0;
  const exact = node.children.get(levels[at]!);
  if (exact !== undefined && reaches(exact, levels, at + 1)) return true;
  const any = wild ? node.children.get("+") : undefined;
  return any !== undefined && reaches(any, levels, at + 1);
}

function ends(node: Node | undefined): boolean {
  return node !== undefined && node.count > 0;
}
