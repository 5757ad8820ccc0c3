// What clients did and saw in a chaos run, and what may not be: the checkers (testing.md 4b).
import assert from "node:assert/strict";

/** One acknowledged write. */
export interface Acknowledged {
  readonly number: number;
  readonly partition: number;
  readonly offset: number;
}

/** Everything of one key: numbers go up by one with each attempt. */
interface KeyHistory {
  attempted: number;
  readonly acknowledged: Acknowledged[];
}

export interface Violation {
  readonly name: "lost" | "duplicate" | "reordered" | "divergent" | "never-sent" | "group-gap" | "pubacked-lost";
  readonly detail: string;
}

export class History {
  readonly #keys = new Map<string, KeyHistory>();
  /** What was seen at a place, by anybody, at any time: it may never be anything else (I2 OneRecordPerOffset). */
  readonly #seen = new Map<string, string>();
  readonly #pubacked = new Map<string, number[]>();
  readonly #published = new Map<string, number>();
  #heard = 0;
  readonly violations: Violation[] = [];
  /** Where doubled records lie: `<partition>@<offset>`. */
  readonly doubled: string[] = [];
  /** Times of acknowledged acks=all writes per partition, for the timeline: ms of the run. */
  readonly acknowledgedAt = new Map<number, number[]>();

  attempt(key: string): number {
    const known = this.#keys.get(key) ?? { attempted: 0, acknowledged: [] };
    this.#keys.set(key, known);
    return known.attempted++;
  }

  acknowledge(key: string, one: Acknowledged, at: number): void {
    this.#keys.get(key)!.acknowledged.push(one);
    this.saw(one.partition, one.offset, `${key}:${one.number}`, "an acknowledgement");
    const times = this.acknowledgedAt.get(one.partition) ?? [];
    this.acknowledgedAt.set(one.partition, times);
    times.push(at);
  }

  /** Acknowledged by a client that does not say where it lies. */
  stored(key: string, number: number): void {
    this.#keys.get(key)!.acknowledged.push({ number, partition: -1, offset: -1 });
  }

  /** What a device is about to publish: numbers from 0 up. */
  published(device: string, number: number): void {
    this.#published.set(device, number);
  }

  /** What a subscriber got of a device. */
  heard(device: string, number: number): void {
    if (!(number <= (this.#published.get(device) ?? -1))) this.#found("never-sent", `${device}:${number} was heard`);
    this.#heard += 1;
  }

  puback(device: string, number: number): void {
    const list = this.#pubacked.get(device) ?? [];
    this.#pubacked.set(device, list);
    list.push(number);
  }

  saw(partition: number, offset: number, value: string, who: string): void {
    const place = `${partition}@${offset}`;
    const before = this.#seen.get(place);
    if (before === undefined) this.#seen.set(place, value);
    else if (before !== value) this.#found("divergent", `${place}: ${before} before, ${value} now (${who})`);
  }

  /** Two replicas hold something else at one place. */
  differ(log: string, detail: string): void {
    this.#found("divergent", `${log}: ${detail}`);
  }

  #found(name: Violation["name"], detail: string): void {
    if (this.violations.length < 200) this.violations.push({ name, detail });
  }

  get counts(): { acknowledged: number; attempted: number; pubacked: number; heard: number } {
    const keys = [...this.#keys.values()];
    return {
      acknowledged: keys.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0),
      attempted: keys.reduce((sum, { attempted }) => sum + attempted, 0),
      heard: this.#heard,
      pubacked: [...this.#pubacked.values()].reduce((sum, list) => sum + list.length, 0),
    };
  }

  /**
   * The end of the run: the log of produced keys, in order of partition and offset.
   * Numbers of one key rise by one; an unacknowledged one may be there or not.
   */
  checkLog(
    records: readonly {
      readonly key: string;
      readonly number: number;
      readonly partition: number;
      readonly offset: number;
    }[],
  ): void {
    const byKey = new Map<string, number[]>();
    const places = new Map<string, string>();
    for (const { key, number, partition, offset } of records) {
      const before = places.get(`${key}:${number}`);
      places.set(`${key}:${number}`, `${partition}@${offset}`);
      if (before !== undefined) this.doubled.push(before, `${partition}@${offset}`);
      this.saw(partition, offset, `${key}:${number}`, "the final read");
      const list = byKey.get(key) ?? [];
      byKey.set(key, list);
      list.push(number);
    }
    for (const [key, { attempted, acknowledged }] of this.#keys) {
      const stored = byKey.get(key) ?? [];
      const there = new Set(stored);
      for (const { number, partition, offset } of acknowledged) {
        if (!there.has(number)) this.#found("lost", `${key}:${number}, acknowledged at ${partition}@${offset}`);
      }
      if (there.size !== stored.length) this.#found("duplicate", `${key}: ${doubles(stored)}`);
      if (stored.some((number, i) => i > 0 && number < stored[i - 1]!)) this.#found("reordered", `${key}`);
      for (const number of there) if (number >= attempted) this.#found("never-sent", `${key}:${number}`);
    }
  }

  /** What devices published with QoS 1: at least once each, and first arrivals in order. */
  checkDevices(records: readonly { readonly key: string; readonly number: number }[]): void {
    const byDevice = new Map<string, number[]>();
    for (const { key, number } of records) byDevice.set(key, [...(byDevice.get(key) ?? []), number]);
    for (const [device, numbers] of this.#pubacked) {
      const stored = byDevice.get(device) ?? [];
      const there = new Set(stored);
      for (const number of numbers) if (!there.has(number)) this.#found("pubacked-lost", `${device}:${number}`);
    }
  }

  /** A group: every offset below the committed one was handed to a member at least once (I13 OffsetsNeverSkip). */
  checkGroup(
    committed: ReadonlyMap<number, number>,
    first: ReadonlyMap<number, number>,
    handled: ReadonlyMap<number, Ranges>,
  ): void {
    for (const [partition, offset] of committed) {
      const gap = (handled.get(partition) ?? new Ranges()).firstGap(first.get(partition) ?? 0, offset);
      if (gap !== null) this.#found("group-gap", `partition ${partition}: committed ${offset}, never handled ${gap}`);
    }
  }

  assertClean(seed: number): void {
    const lines = this.violations.slice(0, 20).map(({ name, detail }) => `${name}: ${detail}`);
    assert.equal(this.violations.length, 0, `seed ${seed}:\n${lines.join("\n")}`);
  }
}

function doubles(numbers: readonly number[]): string {
  const seen = new Set<number>();
  return numbers
    .filter((number) => (seen.has(number) ? true : (seen.add(number), false)))
    .slice(0, 5)
    .join(", ");
}

/** A set of offsets as merged ranges [from, to). */
export class Ranges {
  #ranges: [number, number][] = [];

  add(from: number, to: number): void {
    if (to <= from) return;
    const last = this.#ranges.at(-1);
    if (last && from >= last[0] && from <= last[1]) {
      last[1] = Math.max(last[1], to);
      return;
    }
    this.#ranges.push([from, to]);
    this.#ranges.sort((a, b) => a[0] - b[0]);
    const merged: [number, number][] = [];
    for (const range of this.#ranges) {
      const before = merged.at(-1);
      if (before && range[0] <= before[1]) before[1] = Math.max(before[1], range[1]);
      else merged.push(range);
    }
    this.#ranges = merged;
  }

  /** The first offset in [from, to) that is not in the set. */
  firstGap(from: number, to: number): number | null {
    let at = from;
    for (const [begin, end] of this.#ranges) {
      if (begin > at) break;
      at = Math.max(at, end);
    }
    return at < to ? at : null;
  }
}
