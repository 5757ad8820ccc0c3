// Reads ahead for a consumer: one long poll per leader, positions that move only as records are handed out in order.
import { errorNameOf, HubError } from "../errors.ts";
import type { ErrorName } from "../errors.ts";
import type { Clock, Millis } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Connection, LocalReading } from "./connection.ts";
import type { ConsumerOptions, InBatch, StartAt, TopicPartition } from "./faces.ts";
import { openBatches } from "./opening.ts";
import { fetchTopics, findOffsets } from "./places.ts";
import { pause, retryPause } from "./routes.ts";
import type { Purpose, Routes } from "./routes.ts";

export interface FetcherOptions {
  readonly fetchWaitMs: Millis;
  readonly fetchBytesMax: number;
  /** Leaves out the records of open and aborted transactions (KIP-98). */
  readonly committedOnly: boolean;
  /** Where to go on when an offset is not in the log any more. */
  readonly reset: StartAt;
  /** As of ConsumerOptions. */
  readonly onMoved: ConsumerOptions["onMoved"];
  readonly onBroken: ConsumerOptions["onBroken"];
  /** Called when there is something to take, or a failure to see. */
  readonly onNews: () => void;
}

/** One partition being read. */
interface Position extends TopicPartition {
  /** Next offset to ask for. */
  next: number;
  /** True while a fetch, a lookup or a pause for it is under way. */
  busy: boolean;
  paused: boolean;
  /** Fetched and not yet taken; nothing more is fetched meanwhile. */
  ready: InBatch | null;
  /** Bytes of `ready`, as they were read. */
  readyBytes: number;
  failures: number;
  /** Set while the hub of this process is to wake it. */
  leave: (() => void) | null;
}

type PartitionData = Pick<
  ReplyOf<"fetch">["responses"][number]["partitions"][number],
  "errorCode" | "abortedTransactions" | "records" | "highWatermark"
>;

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}\n${partition}`;
const graceMs = 10_000;

/** Errors after which the leader is looked up again. */
const moved: ReadonlySet<ErrorName> = new Set([
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "UNKNOWN_TOPIC_ID",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "REPLICA_NOT_AVAILABLE",
  "KAFKA_STORAGE_ERROR",
  "OFFSET_NOT_AVAILABLE",
  "NETWORK_EXCEPTION",
  "REQUEST_TIMED_OUT",
]);

export class Fetcher {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #options: FetcherOptions;
  /** A position that was replaced or removed is another object: what comes for the old one is dropped. */
  readonly #positions = new Map<string, Position>();
  readonly #polling = new Set<Connection>();
  /** Bytes that may still be read without a request in this pump. */
  #room = 0;
  #isPumping = false;
  #closed = false;
  /** An error that no retry can heal; poll rejects with it. */
  failure: Error | null = null;

  constructor(routes: Routes, options: FetcherOptions) {
    this.#routes = routes;
    this.#clock = routes.clock;
    this.#options = options;
  }

  /** Sets what is read and from where; what is not named is no longer read. */
  assign(places: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.#clear();
    for (const place of places) this.#put(place, place.offset, false);
    this.pump();
  }

  /** Reads these, too. */
  add(places: readonly (TopicPartition & { readonly offset: number })[]): void {
    for (const place of places) this.#put(place, place.offset, false);
    this.pump();
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const at of partitions) this.#drop(keyOf(at));
    this.#pumpSoon(); // what it held of the room is for others
  }

  assignment(): TopicPartition[] {
    return [...this.#positions.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** Goes on from another offset; throws for a partition that is not assigned. */
  seek(at: TopicPartition, offset: number): void {
    const position = this.#positions.get(keyOf(at));
    if (position === undefined) {
      throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `${at.topic}-${at.partition} is not assigned to this consumer`);
    }
    this.#put(at, offset, position.paused);
    this.pump();
  }

  setPaused(partitions: readonly TopicPartition[], paused: boolean): void {
    for (const at of partitions) {
      const position = this.#positions.get(keyOf(at));
      if (position !== undefined) position.paused = paused;
    }
    if (paused) return;
    this.pump();
    this.#options.onNews();
  }

  #put({ topic, partition }: TopicPartition, next: number, paused: boolean): void {
    const fresh = { busy: false, ready: null, readyBytes: 0, failures: 0, leave: null };
    const position = { topic, partition, next, paused, ...fresh };
    this.#drop(keyOf(position));
    this.#positions.set(keyOf(position), position);
  }

  #drop(key: string): void {
    const position = this.#positions.get(key);
    if (position === undefined) return;
    position.leave?.();
    this.#positions.delete(key);
  }

  #clear(): void {
    for (const key of [...this.#positions.keys()]) this.#drop(key);
  }

  /** Everything that is ready, a batch per partition; what was taken is read on from. */
  take(): InBatch[] {
    const taken: InBatch[] = [];
    for (const position of this.#positions.values()) {
      if (position.ready === null || position.paused) continue;
      taken.push(position.ready);
      position.ready = null;
    }
    if (taken.length > 0) this.pump();
    return taken;
  }

  close(): void {
    this.#closed = true;
    this.#clear();
  }

  #isCurrent(position: Position): boolean {
    return this.#positions.get(keyOf(position)) === position;
  }

  /**
   * Sends the fetches that are due. Over a socket all partitions of a leader go in one, and only once everything that
   * came from it is taken: else a long poll for the quiet ones would make the busy ones wait for its end.
   */
  pump(): void {
    if (this.#closed) return;
    const due = new Map<Connection, Position[]>();
    const untaken = this.#untaken();
    for (const position of this.#positions.values()) {
      if (position.busy || position.paused || position.ready !== null) continue;
      const connection = this.#wayFor(position, untaken);
      if (connection === null || this.#readAtOnce(connection, position)) continue;
      const positions = due.get(connection);
      if (positions === undefined) due.set(connection, [position]);
      else positions.push(position);
    }
    for (const [connection, positions] of due) void this.#fetch(connection, positions);
  }

  /** Without a request, where the hub of this process lets us; false: it is to be asked. */
  #readAtOnce(connection: Connection, position: Position): boolean {
    const { fetchBytesMax, committedOnly } = this.#options;
    if (connection.read === undefined) return false;
    if (this.#room <= 0) return true; // its turn comes when something of the others is taken
    const { topic, partition, next: offset } = position;
    const bytesMax = Math.min(fetchBytesMax, limits.clientFetchPartitionBytes);
    const place = { topic, partition, offset, bytesMax, committedOnly };
    const found = connection.read(place, () => this.#woken(position));
    if (found === null) return false;
    position.busy = true;
    if ("leave" in found) position.leave = found.leave;
    else {
      this.#room -= found.bytes instanceof Promise ? bytesMax : found.bytes.length;
      void this.#takeAtOnce(connection, position, found);
    }
    return true;
  }

  async #takeAtOnce(
    connection: Connection,
    position: Position,
    { bytes, highWatermark }: Extract<LocalReading, { readonly bytes: unknown }>,
  ): Promise<void> {
    let records: Uint8Array;
    try {
      records = bytes instanceof Promise ? await bytes : bytes;
      if (records.length === 0) throw new HubError("OFFSET_NOT_AVAILABLE");
    } catch {
      return void (await this.#fetch(connection, [position])); // which says what is wrong
    }
    await this.#received(position, { errorCode: 0, abortedTransactions: null, records, highWatermark }, false);
    this.#pumpSoon();
  }

  /** Many are woken at once: one pump serves them all. */
  #woken(position: Position): void {
    position.leave = null;
    position.busy = false;
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    void Promise.resolve().then(() => {
      this.#isPumping = false;
      this.pump();
    });
  }

  /** Connections from which something came that nobody took yet; what it leaves of the room is noted. */
  #untaken(): Set<Connection | undefined> {
    const untaken = new Set<Connection | undefined>();
    this.#room = this.#options.fetchBytesMax;
    for (const { topic, partition, ready, readyBytes, paused } of this.#positions.values()) {
      if (ready === null || paused) continue;
      untaken.add(this.#routes.leaderNow(topic, partition, "fetch"));
      this.#room -= readyBytes;
    }
    return untaken;
  }

  /** The connection for the next fetch: a spare one when a poll is under way, as after a seek; null to wait. */
  #wayFor(position: Position, untaken: ReadonlySet<Connection | undefined>): Connection | null {
    const { topic, partition } = position;
    const usual = this.#routes.leaderNow(topic, partition, "fetch");
    if (usual?.direct === true) return usual;
    if (usual !== undefined && untaken.has(usual)) return null;
    const isPolling = usual !== undefined && this.#polling.has(usual);
    const connection = isPolling ? this.#routes.leaderNow(topic, partition, "spare") : usual;
    if (connection === undefined) {
      this.#hold(position, () => this.#locate(position, isPolling ? "spare" : "fetch"));
      return null;
    }
    return this.#polling.has(connection) ? null : connection;
  }

  /** Keeps a position out of the fetches until the work is done; a failure of it is tried again after a pause. */
  #hold(position: Position, work: () => Promise<void>): void {
    position.busy = true;
    work()
      .catch(async (error: unknown) => {
        if (error instanceof HubError && error.retriable) await pause(this.#clock, retryPause(position.failures++));
        else this.#fail(position, error as Error);
      })
      .then(() => {
        position.busy = false;
        if (this.#isCurrent(position)) this.pump();
      });
  }

  #fail(position: Position, error: Error): void {
    if (this.#closed || !this.#isCurrent(position)) return;
    this.failure = error;
    position.paused = true;
    this.#options.onNews();
  }

  async #locate(position: Position, purpose: Purpose): Promise<void> {
    const { topic, partition } = position;
    if (position.failures > 0 || this.#routes.topic(topic) === undefined) await this.#routes.refresh([topic]);
    await this.#routes.leader(topic, partition, purpose);
  }

  async #fetch(connection: Connection, positions: readonly Position[]): Promise<void> {
    const { fetchWaitMs, fetchBytesMax, committedOnly } = this.#options;
    for (const position of positions) position.busy = true;
    if (!connection.direct) this.#polling.add(connection);
    const asked = new Map(positions.map((position) => [keyOf(position), position]));
    try {
      const reply = await connection.call(
        "fetch",
        {
          maxWaitMs: fetchWaitMs,
          minBytes: 1,
          maxBytes: fetchBytesMax,
          isolationLevel: committedOnly ? 1 : 0,
          topics: fetchTopics(positions, Math.min(fetchBytesMax, limits.clientFetchPartitionBytes)),
        },
        fetchWaitMs + graceMs,
      );
      const code = errorNameOf(reply.errorCode);
      if (code !== "NONE") throw new HubError(code, `fetch: ${code}`);
      for (const { topic, partitions } of reply.responses) {
        for (const data of partitions) {
          const position = asked.get(keyOf({ topic, partition: data.partitionIndex }));
          if (position === undefined) continue;
          asked.delete(keyOf(position));
          await this.#received(position, data, !connection.direct);
        }
      }
    } catch (error) {
      for (const position of asked.values()) this.#troubled(position, error as Error);
      asked.clear();
    }
    // A hub may leave out what has no news.
    for (const position of asked.values()) position.busy = false;
    this.#polling.delete(connection);
    this.pump();
  }

  /** @param check whether the bytes' CRC is to be checked: they came over a socket */
  async #received(position: Position, data: PartitionData, check: boolean): Promise<void> {
    if (!this.#isCurrent(position)) return;
    try {
      const kind = errorNameOf(data.errorCode);
      const where = `${position.topic}-${position.partition}`;
      if (kind !== "NONE") throw new HubError(kind, `fetch of ${where}: ${kind}`);
      const aborted = this.#options.committedOnly ? (data.abortedTransactions ?? []) : [];
      const { onBroken } = this.#options;
      const told = onBroken && ((offset: number, error: HubError) => onBroken(position, offset, error));
      const opened = await openBatches(position, position.next, data.records, check, aborted, told);
      if (!this.#isCurrent(position)) return;
      const isOn = opened.nextOffset > position.next;
      if (!isOn && (data.records?.length ?? 0) > 0) {
        throw new HubError("CORRUPT_MESSAGE", `fetch of ${where}: bytes without a whole batch at ${position.next}`);
      }
      position.failures = 0;
      position.next = opened.nextOffset;
      position.busy = false;
      if (!isOn) return; // else told even without records: whoever commits or waits for the end goes by nextOffset
      const { topic, partition } = position;
      position.ready = { topic, partition, ...opened, highWatermark: data.highWatermark };
      position.readyBytes = data.records?.length ?? 0;
      this.#options.onNews();
    } catch (error) {
      this.#troubled(position, error as Error);
    }
  }

  #troubled(position: Position, error: Error): void {
    if (!this.#isCurrent(position)) return;
    const kind: ErrorName = error instanceof HubError ? error.kind : "UNKNOWN_SERVER_ERROR";
    if (kind === "OFFSET_OUT_OF_RANGE") {
      this.#hold(position, () => this.#reset(position));
    } else if (moved.has(kind) || (error instanceof HubError && error.retriable)) {
      this.#hold(position, async () => {
        await pause(this.#clock, retryPause(position.failures++));
        await this.#routes.refresh([position.topic]);
      });
    } else {
      position.busy = false;
      this.#fail(position, error);
    }
  }

  /** The offset is gone (retention) or not there yet (the log was cut). */
  async #reset(position: Position): Promise<void> {
    const { reset, onMoved } = this.#options;
    if (onMoved === undefined) {
      position.next = await this.#end(position, reset === "latest" ? "latest" : "earliest");
      return;
    }
    const wanted = position.next;
    const earliest = await this.#end(position, "earliest");
    const next = wanted < earliest ? earliest : Math.min(wanted, await this.#end(position, "latest"));
    if (!this.#isCurrent(position) || next === wanted) return;
    position.next = next;
    onMoved({ topic: position.topic, partition: position.partition }, wanted, next);
  }

  async #end(position: Position, at: "earliest" | "latest"): Promise<number> {
    const [found] = await findOffsets(this.#routes, [{ ...position, at }], this.#options.committedOnly);
    return found?.offset ?? position.next;
  }
}
