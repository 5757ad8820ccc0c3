// The lists of topics and groups: computed once for all browsers that look at them, and only while one does.
import {
  type Admin,
  type HubClient,
  limits,
  type PartitionOffset,
  type TopicDescription,
  type Trace,
} from "../hub/mod.ts";
import { LagClock } from "./lag_clock.ts";
import type { Screen } from "./protocol.ts";

const roundMs = 2000;
const configMs = 30_000;
/** Topics and groups in one list; the rest is counted. */
const rowsMax = 500;
const membersMax = 50;

/** Somebody who looks at a list. */
export interface Watcher {
  tellText(text: string): void;
}

interface PartitionRow {
  readonly partition: number;
  readonly leader: number;
  readonly replicas: number;
  readonly inSync: number;
  readonly start: number;
  readonly end: number;
}

interface TopicRow {
  readonly topic: string;
  readonly internal: boolean;
  readonly partitions: readonly PartitionRow[];
  /** Records that the log holds. */
  readonly records: number;
  /** null until two rounds were seen. */
  readonly perSecond: number | null;
  readonly bytes: number | null;
  readonly retentionMs: number | null;
  readonly cleanup: string | null;
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly committed: number;
  readonly end: number;
  readonly lag: number;
  /** Age of the first unread record; null when it is not known. */
  readonly seconds: number | null;
  readonly member: string | null;
}

export class Screens {
  #hub: Promise<{ readonly client: HubClient }>;
  #trace: Trace;
  #topicBytes: (topic: string) => number | null;
  #watchers: Record<Screen, Set<Watcher>> = { topics: new Set(), groups: new Set() };
  #last: Record<Screen, string | null> = { topics: null, groups: null };
  #running: Record<Screen, boolean> = { topics: false, groups: false };
  #ends = new Map<string, { at: number; records: number }>();
  #configs = new Map<string, { at: number; retentionMs: number | null; cleanup: string | null }>();
  #lags: LagClock | null = null;
  #wakes = new Set<() => void>();
  #closed = false;

  constructor(
    hub: Promise<{ readonly client: HubClient }>,
    trace: Trace,
    topicBytes: (topic: string) => number | null = () => null,
  ) {
    this.#hub = hub;
    this.#trace = trace;
    this.#topicBytes = topicBytes;
  }

  watch(what: Screen, watcher: Watcher, on: boolean): void {
    if (!on) {
      this.#watchers[what].delete(watcher);
      return;
    }
    this.#watchers[what].add(watcher);
    const last = this.#last[what];
    if (last !== null) watcher.tellText(last);
    if (!this.#running[what]) void this.#rounds(what);
  }

  close(): void {
    this.#closed = true;
    for (const wake of this.#wakes) wake();
  }

  /** Round after round while somebody watches. */
  async #rounds(what: Screen): Promise<void> {
    this.#running[what] = true;
    const { client } = await this.#hub;
    const admin = client.admin();
    while (!this.#closed && this.#watchers[what].size > 0) {
      const began = performance.now();
      try {
        const list = what === "topics" ? await this.#topics(admin) : await this.#groups(admin, client);
        const text = JSON.stringify({ type: what, time: Date.now(), ...list });
        this.#last[what] = text;
        for (const watcher of this.#watchers[what]) watcher.tellText(text);
      } catch (error) {
        this.#trace.event("warn", "dashboard_round_failed", { what, error: String(error) });
      }
      await this.#pause(Math.max(200, roundMs - (performance.now() - began)));
    }
    this.#running[what] = false;
    this.#last[what] = null; // the next to look must not see an old list
    if (what === "topics") this.#ends.clear();
    if (what === "groups") {
      await this.#lags?.close();
      this.#lags = null;
    }
    await admin.close().catch(() => {});
    if (!this.#closed && this.#watchers[what].size > 0 && !this.#running[what]) void this.#rounds(what);
  }

  async #topics(admin: Admin): Promise<{ topics: TopicRow[]; more: number }> {
    const all = (await admin.topics()).sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown = all.slice(0, rowsMax);
    const places = shown.flatMap((topic) =>
      topic.partitions.map(({ partition }) => ({ topic: topic.name, partition })),
    );
    const [starts, ends] = await Promise.all([admin.offsets(places, "earliest"), admin.offsets(places, "latest")]);
    const at = performance.now();
    const startOf = offsetsByPlace(starts);
    const endOf = offsetsByPlace(ends);
    const topics: TopicRow[] = [];
    for (const topic of shown) topics.push(await this.#topicRow(admin, topic, startOf, endOf, at));
    return { topics, more: all.length - shown.length };
  }

  async #topicRow(
    admin: Admin,
    topic: TopicDescription,
    startOf: ReadonlyMap<string, number>,
    endOf: ReadonlyMap<string, number>,
    at: number,
  ): Promise<TopicRow> {
    const partitions = topic.partitions.map(({ partition, leader, replicas, inSync }) => {
      const place = `${topic.name}\n${partition}`;
      const start = Math.max(0, startOf.get(place) ?? 0);
      const end = Math.max(start, endOf.get(place) ?? 0);
      return { partition, leader, replicas: replicas.length, inSync: inSync.length, start, end };
    });
    const records = partitions.reduce((sum, { end }) => sum + end, 0);
    const before = this.#ends.get(topic.topicId);
    this.#ends.set(topic.topicId, { at, records });
    const seconds = before === undefined ? 0 : (at - before.at) / 1000;
    const perSecond = before === undefined || seconds <= 0 ? null : Math.max(0, (records - before.records) / seconds);
    const { retentionMs, cleanup } = await this.#config(admin, topic.name);
    return {
      topic: topic.name,
      internal: topic.internal,
      partitions,
      records: partitions.reduce((sum, { start, end }) => sum + end - start, 0),
      perSecond,
      bytes: this.#topicBytes(topic.name),
      retentionMs,
      cleanup,
    };
  }

  async #config(admin: Admin, topic: string): Promise<{ retentionMs: number | null; cleanup: string | null }> {
    const known = this.#configs.get(topic);
    if (known !== undefined && performance.now() - known.at < configMs) return known;
    if (this.#configs.size > limits.topicsMax) this.#configs.clear();
    let retentionMs: number | null = null;
    let cleanup: string | null = null;
    try {
      for (const { name, value } of await admin.topicConfigs(topic)) {
        if (name === "retention.ms" && value !== null) retentionMs = Number(value);
        if (name === "cleanup.policy") cleanup = value;
      }
    } catch {
      // shown as unknown until the next look
    }
    const entry = { at: performance.now(), retentionMs, cleanup };
    this.#configs.set(topic, entry);
    return entry;
  }

  async #groups(admin: Admin, client: HubClient): Promise<{ groups: object[]; more: number }> {
    const all = (await admin.groups()).sort((a, b) => (a.group < b.group ? -1 : 1));
    const shown = all.slice(0, rowsMax);
    const details = await Promise.all(
      shown.map(async ({ group }) => {
        // a group may go while it is looked at
        const [description, offsets] = await Promise.all([
          admin.describeGroup(group).catch(() => null),
          admin.groupOffsets(group).catch(() => []),
        ]);
        return { group, description, offsets };
      }),
    );
    const places = new Map<string, PartitionOffset>();
    for (const { offsets } of details) for (const each of offsets) places.set(`${each.topic}\n${each.partition}`, each);
    const ends = offsetsByPlace(await admin.offsets([...places.values()], "latest").catch(() => []));
    this.#lags ??= new LagClock(client);
    const unread = details.flatMap(({ offsets }) =>
      offsets.filter(({ topic, partition, offset }) => (ends.get(`${topic}\n${partition}`) ?? 0) > offset),
    );
    await this.#lags.look(unread);
    const now = Date.now();
    const groups = details.map(({ group, description, offsets }) => {
      const owners = new Map<string, string>();
      for (const member of description?.members ?? []) {
        for (const { topic, partition } of member.assignment) owners.set(`${topic}\n${partition}`, member.clientId);
      }
      const partitions = offsets.map((each): PartitionLag => {
        const place = `${each.topic}\n${each.partition}`;
        const end = ends.get(place) ?? each.offset;
        const lag = Math.max(0, end - each.offset);
        const seconds = lag === 0 ? 0 : (this.#lags?.seconds(each, now) ?? null);
        const { topic, partition, offset } = each;
        return { topic, partition, committed: offset, end, lag, seconds, member: owners.get(place) ?? null };
      });
      return groupRow(group, description, partitions);
    });
    return { groups, more: all.length - shown.length };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakes.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wakes.add(wake);
    });
  }
}

function offsetsByPlace(list: readonly PartitionOffset[]): Map<string, number> {
  return new Map(list.map(({ topic, partition, offset }) => [`${topic}\n${partition}`, offset]));
}

function groupRow(
  group: string,
  description: Awaited<ReturnType<Admin["describeGroup"]>> | null,
  partitions: readonly PartitionLag[],
): object {
  const known = partitions.filter(({ seconds }) => seconds !== null);
  return {
    group,
    state: description?.state ?? "Dead",
    protocol: description?.protocol ?? "",
    members: (description?.members ?? []).slice(0, membersMax).map((member) => ({
      memberId: member.memberId,
      clientId: member.clientId,
      host: member.clientHost,
      partitions: member.assignment.length,
    })),
    memberCount: description?.members.length ?? 0,
    topics: [...new Set(partitions.map(({ topic }) => topic))],
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
    /** The partition that is furthest behind. */
    seconds: known.length === 0 ? null : Math.max(...known.map(({ seconds }) => seconds!)),
    partitions,
  };
}
