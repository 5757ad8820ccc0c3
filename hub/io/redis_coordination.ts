// Coordination on a Redis server: state in one slot, changes by script, beats and hints over channels.
import type { Trace } from "../trace.ts";
import type {
  ChangeId,
  ChangeRefusal,
  ControllerSeat,
  Coordination,
  CoordinationImage,
  HubEntry,
  Incarnation,
  MetaEntry,
  MetaResult,
  PartitionEntry,
  PartitionResult,
  Poll,
} from "./coordination.ts";
import * as scripts from "./coordination_scripts.ts";
import type { Clock, Millis } from "./ports.ts";
import { newRedis, type RedisClient } from "./redis_connection.ts";
import { type RedisArgument, RedisLink } from "./redis_link.ts";

const { coordinationKeys, ...lua } = scripts;
type ScriptName = keyof typeof lua;

export interface RedisCoordinationOptions {
  readonly url: string;
  /** `[cluster] name`: two clusters on one Redis differ in it. */
  readonly clusterName: string;
  readonly clock: Clock;
  readonly trace: Trace;
  /** How connections are made; the library's when left out. */
  readonly connect?: typeof newRedis;
}

/**
 * Connects and goes on connecting for as long as it is open. Resolves once Redis answered, or did not within
 * `redisReconnectMsMax`: it is "down" then.
 * @throws HubError INVALID_CONFIG for a wrong URL, or when Redis may evict keys (maxmemory-policy)
 */
export async function openRedisCoordination(options: RedisCoordinationOptions): Promise<Coordination> {
  const coordination = new RedisCoordination(options);
  try {
    await coordination.firstAnswer();
    return coordination;
  } catch (error) {
    await coordination.close();
    throw error;
  }
}

class RedisCoordination implements Coordination {
  readonly #link: RedisLink;
  /** Redis lets a connection that listens do nothing else. */
  readonly #ear: RedisClient;
  readonly #clock: Clock;
  readonly #keys: readonly string[];
  readonly #beats: string;
  readonly #hints: string;
  readonly #beatListeners: ((beat: string) => void)[] = [];
  readonly #hintListeners: (() => void)[] = [];
  #pollMs = 0;

  constructor({ url, clusterName, clock, trace, connect = newRedis }: RedisCoordinationOptions) {
    this.#clock = clock;
    const stem = `hub:{${clusterName}}`;
    this.#keys = coordinationKeys.map((key) => `${stem}:${key}`);
    this.#beats = `${stem}:beat`;
    this.#hints = this.#keys.at(-1)!;
    this.#link = new RedisLink({ url, scripts: lua, name: "coordination", clock, trace, connect });
    this.#link.watch((up) => {
      if (up && !this.#link.server!.appendOnly) {
        trace.event("warn", "redis_without_aof", { remedy: "set appendonly yes" });
      }
    });
    this.#ear = connect(url);
    this.#ear.on("error", () => {}); // the other connection tells
    this.#ear.on("ready", () => void this.#ear.subscribe(this.#beats, this.#hints).catch(() => {}));
    this.#ear.on("message", (channel: string, text: string) => {
      if (channel === this.#beats) for (const listener of this.#beatListeners) listener(text);
      else for (const listener of this.#hintListeners) listener();
    });
  }

  firstAnswer(): Promise<void> {
    this.#ear.connect().catch(() => {});
    return this.#link.firstAnswer();
  }

  state(): "up" | "down" {
    return this.#link.state();
  }

  watch(listener: (up: boolean) => void): void {
    this.#link.watch(listener);
  }

  onBeat(listener: (beat: string) => void): void {
    this.#beatListeners.push(listener);
  }

  onHint(listener: () => void): void {
    this.#hintListeners.push(listener);
  }

  lastPollMs(): Millis {
    return this.#pollMs;
  }

  async publish(beat: string): Promise<void> {
    await this.#link.call((redis) => redis.publish(this.#beats, beat));
  }

  async poll(since: number, mark = ""): Promise<Poll> {
    const began = this.#clock.now();
    const reply = (await this.#run("pollCluster", [since, mark])) as PollReply;
    this.#pollMs = this.#clock.now() - began;
    const [inc, seq, ctl, hubs, meta, partitions, last, remembered] = reply;
    const changes = { hubs: hubsOf(hubs), meta: metaOf(meta), partitions: partitionsOf(partitions) };
    const known = mark === "" || remembered === 1;
    return {
      inc: incarnationOf(inc),
      seq: Number(seq),
      ctl: seatOf(ctl),
      changes,
      runId: this.#runId(),
      mark: last,
      known,
    };
  }

  async image(): Promise<CoordinationImage> {
    const { inc, seq, ctl, changes } = await this.poll(-1);
    return { inc, seq, ctl, ...changes! };
  }

  async createCluster(clusterId: string, opId: string): Promise<Incarnation> {
    return incarnationOf(parse(await this.#run("createCluster", [opId, clusterId, this.#runId()])))!;
  }

  async restore(image: CoordinationImage, lookedAt: number, opId: string): Promise<Incarnation | "conflict"> {
    const { inc, ctl, seq, hubs, meta, partitions } = image;
    const rows: RedisArgument[] = [];
    for (const hub of hubs) rows.push("h", hub.hubId, JSON.stringify(hub));
    for (const entry of meta) rows.push("m", entry.key, metaText(entry));
    for (const entry of partitions) rows.push("p", fieldOf(entry), partitionText(entry));
    const head = [opId, inc!.clusterId, inc!.incarnation, this.#runId(), seq, ctl.hubId, ctl.ctlEpoch, lookedAt];
    const answer = await this.#run("restoreCluster", [...head, ...rows]);
    return answer === "conflict" ? answer : incarnationOf(parse(answer))!;
  }

  async raiseIncarnation(expected: number, ctlEpoch: number, opId: string): Promise<Incarnation | "conflict"> {
    const answer = await this.#run("raiseIncarnation", [opId, expected, ctlEpoch, this.#runId()]);
    return answer === "conflict" ? answer : incarnationOf(parse(answer))!;
  }

  async acquireController(
    { opId, incarnation }: ChangeId,
    hubId: number,
    expectedEpoch: number,
  ): Promise<ControllerSeat | ChangeRefusal> {
    const answer = await this.#run("acquireController", [opId, incarnation, hubId, expectedEpoch]);
    return isRefusal(answer) ? answer : seatOf(parse(answer));
  }

  async registerHub({ opId, incarnation }: ChangeId, hub: HubEntry): Promise<"stored" | ChangeRefusal> {
    return (await this.#run("registerHub", [opId, incarnation, hub.hubId, JSON.stringify(hub)])) as "stored";
  }

  async removeHub({ opId, incarnation }: ChangeId, ctlEpoch: number, hubId: number): Promise<"stored" | ChangeRefusal> {
    return (await this.#run("removeHub", [opId, incarnation, ctlEpoch, hubId])) as "stored";
  }

  async putMeta(
    { opId, incarnation }: ChangeId,
    ctlEpoch: number,
    entries: readonly { readonly key: string; readonly expectedVersion: number; readonly value: string | null }[],
  ): Promise<MetaResult> {
    const rows = entries.flatMap(({ key, expectedVersion, value }) => [key, expectedVersion, valueText(value)]);
    const answer = await this.#run("putMeta", [opId, incarnation, ctlEpoch, ...rows]);
    if (isRefusal(answer)) return { kind: answer };
    const [seq, versions] = JSON.parse(answer as string) as [number, number[]];
    const stored = entries.map(({ key, value }, i) => ({ key, version: versions[i]!, value, committed: false, seq }));
    return { kind: "stored", entries: stored, seq };
  }

  async commitMeta(
    { opId, incarnation }: ChangeId,
    ctlEpoch: number,
    entries: readonly { readonly key: string; readonly version: number }[],
  ): Promise<"stored" | ChangeRefusal> {
    const rows = entries.flatMap(({ key, version }) => [key, version]);
    return (await this.#run("commitMeta", [opId, incarnation, ctlEpoch, ...rows])) as "stored";
  }

  async casPartitions(
    change: ChangeId,
    entries: Parameters<Coordination["casPartitions"]>[1],
  ): Promise<readonly PartitionResult[] | ChangeRefusal> {
    const rows = entries.flatMap((entry) => [fieldOf(entry), entry.expectedVer, entry.leaderEpoch, entry.state, ""]);
    const answer = await this.#putPartitions(change, "cas", rows);
    if (typeof answer === "string") return answer;
    return answer.map(([stored, entry]) => {
      return stored ? { kind: "stored", entry: entry! } : { kind: "conflict", entry };
    });
  }

  async assertPartitions(
    change: ChangeId,
    entries: readonly Omit<PartitionEntry, "seq">[],
  ): Promise<readonly PartitionEntry[] | ChangeRefusal> {
    const rows = entries.flatMap((entry) => [fieldOf(entry), entry.ver, entry.leaderEpoch, entry.state, ""]);
    const answer = await this.#putPartitions(change, "assert", rows);
    return typeof answer === "string" ? answer : answer.flatMap(([, entry]) => entry ?? []);
  }

  async #putPartitions(
    { opId, incarnation }: ChangeId,
    mode: string,
    rows: readonly RedisArgument[],
  ): Promise<[boolean, PartitionEntry | null][] | ChangeRefusal> {
    const answer = await this.#run("putPartitions", [opId, incarnation, mode, ...rows]);
    if (isRefusal(answer)) return answer;
    const list = JSON.parse(answer as string) as (string | number)[];
    return Array.from({ length: list.length / 2 }, (_, i) => {
      const text = String(list[2 * i + 1]);
      return [list[2 * i] === 1, text === "" ? null : partitionOf(String(rows[5 * i]), text)];
    });
  }

  #runId(): string {
    return this.#link.server?.runId ?? "";
  }

  #run(name: ScriptName, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#link.run(name, this.#keys, args);
  }

  async close(): Promise<void> {
    this.#link.close();
    this.#ear.disconnect();
  }
}

type PollReply = [string[], string, string[], string[], string[], string[], string, number];

const parse = (text: unknown): string[] => JSON.parse(text as string) as string[];

function isRefusal(answer: unknown): answer is ChangeRefusal {
  return answer === "wrong-incarnation" || answer === "stale-controller" || answer === "conflict";
}

function pairs(list: readonly string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i]!, list[2 * i + 1]!]);
}

function incarnationOf(list: readonly string[]): Incarnation | null {
  const fields = new Map(pairs(list));
  if (!fields.has("clusterId")) return null;
  return {
    clusterId: fields.get("clusterId")!,
    incarnation: Number(fields.get("incarnation")),
    runId: fields.get("runId") ?? "",
    formatVersion: Number(fields.get("formatVersion")),
    state: fields.get("state") as Incarnation["state"],
  };
}

function seatOf(list: readonly string[]): ControllerSeat {
  const fields = new Map(pairs(list));
  return { hubId: Number(fields.get("hubId") ?? -1), ctlEpoch: Number(fields.get("ctlEpoch") ?? 0) };
}

/** One that was removed is not there. */
function hubsOf(list: readonly string[]): HubEntry[] {
  return pairs(list).flatMap(([, text]) => (text === "" ? [] : [JSON.parse(text) as HubEntry]));
}

function metaOf(list: readonly string[]): MetaEntry[] {
  return pairs(list).map(([key, text]) => {
    const [, version, committed, seq, value] = /^(\d+) ([01]) (\d+) (.*)$/s.exec(text)!;
    const read = value!.startsWith("=") ? value!.slice(1) : null;
    return { key, version: Number(version), committed: committed === "1", seq: Number(seq), value: read };
  });
}

function partitionsOf(list: readonly string[]): PartitionEntry[] {
  return pairs(list).map(([field, text]) => partitionOf(field, text));
}

function partitionOf(field: string, text: string): PartitionEntry {
  const [, ver, epoch, seq, state] = /^(\d+) (-?\d+) (\d+) (.*)$/s.exec(text)!;
  const at = field.lastIndexOf("/");
  const place = { topicId: field.slice(0, at), partition: Number(field.slice(at + 1)) };
  return { ...place, ver: Number(ver), leaderEpoch: Number(epoch), seq: Number(seq), state: state! };
}

const fieldOf = (entry: { readonly topicId: string; readonly partition: number }): string =>
  `${entry.topicId}/${entry.partition}`;
const valueText = (value: string | null): string => (value === null ? "-" : `=${value}`);
const metaText = ({ version, committed, seq, value }: MetaEntry): string =>
  `${version} ${committed ? 1 : 0} ${seq} ${valueText(value)}`;
const partitionText = ({ ver, leaderEpoch, seq, state }: PartitionEntry): string =>
  `${ver} ${leaderEpoch} ${seq} ${state}`;
