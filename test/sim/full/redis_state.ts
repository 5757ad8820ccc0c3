// What a simulated Redis holds: keys of the few types that the scripts use, copied when an earlier state is kept.

export type Text = string | Buffer;

/** A sorted set: member -> score. */
export type Scores = Map<string, number>;

/** The keys of one server; a key that is empty is not there, as in Redis. */
export class RedisState {
  readonly hashes = new Map<string, Map<string, Text>>();
  readonly texts = new Map<string, string>();
  readonly lists = new Map<string, string[]>();
  readonly sorted = new Map<string, Scores>();
  readonly sets = new Map<string, Set<string>>();

  copy(): RedisState {
    const copy = new RedisState();
    for (const [key, value] of this.hashes) copy.hashes.set(key, new Map(value));
    for (const [key, value] of this.texts) copy.texts.set(key, value);
    for (const [key, value] of this.lists) copy.lists.set(key, [...value]);
    for (const [key, value] of this.sorted) copy.sorted.set(key, new Map(value));
    for (const [key, value] of this.sets) copy.sets.set(key, new Set(value));
    return copy;
  }

  exists(key: string): boolean {
    return [this.hashes, this.texts, this.lists, this.sorted, this.sets].some((keys) => keys.has(key));
  }

  del(...keys: readonly string[]): void {
    for (const key of keys) {
      for (const kind of [this.hashes, this.texts, this.lists, this.sorted, this.sets]) kind.delete(key);
    }
  }

  hget(key: string, field: string): string | null {
    const value = this.hashes.get(key)?.get(field);
    return value === undefined ? null : String(value);
  }

  hset(key: string, ...pairs: readonly (Text | number)[]): void {
    let hash = this.hashes.get(key);
    if (!hash) this.hashes.set(key, (hash = new Map()));
    for (let i = 0; i < pairs.length; i += 2) {
      const value = pairs[i + 1]!;
      hash.set(String(pairs[i]), typeof value === "number" ? String(value) : value);
    }
  }

  hsetnx(key: string, field: string, value: Text): void {
    if (this.hget(key, field) === null) this.hset(key, field, value);
  }

  hdel(key: string, ...fields: readonly string[]): void {
    const hash = this.hashes.get(key);
    for (const field of fields) hash?.delete(field);
    if (hash?.size === 0) this.hashes.delete(key);
  }

  hgetall(key: string): [string, Text][] {
    return [...(this.hashes.get(key) ?? [])];
  }

  hlen(key: string): number {
    return this.hashes.get(key)?.size ?? 0;
  }

  get(key: string): string | null {
    return this.texts.get(key) ?? null;
  }

  set(key: string, value: string): void {
    this.texts.set(key, value);
  }

  incr(key: string): number {
    const value = Number(this.texts.get(key) ?? "0") + 1;
    this.texts.set(key, String(value));
    return value;
  }

  zadd(key: string, score: number, member: string): void {
    let scores = this.sorted.get(key);
    if (!scores) this.sorted.set(key, (scores = new Map()));
    scores.set(member, score);
  }

  /** Members above a score, by score and then by their bytes. */
  zabove(key: string, score: number): string[] {
    const found = [...(this.sorted.get(key) ?? [])].filter(([, at]) => at > score);
    found.sort((a, b) => a[1] - b[1] || Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])));
    return found.map(([member]) => member);
  }

  rpush(key: string, value: string): number {
    let list = this.lists.get(key);
    if (!list) this.lists.set(key, (list = []));
    return list.push(value);
  }

  llast(key: string): string | null {
    return this.lists.get(key)?.at(-1) ?? null;
  }

  lpop(key: string): string | null {
    const list = this.lists.get(key);
    const first = list?.shift() ?? null;
    if (list?.length === 0) this.lists.delete(key);
    return first;
  }

  sadd(key: string, member: string): void {
    let set = this.sets.get(key);
    if (!set) this.sets.set(key, (set = new Set()));
    set.add(member);
  }

  srem(key: string, member: string): void {
    const set = this.sets.get(key);
    set?.delete(member);
    if (set?.size === 0) this.sets.delete(key);
  }
}
