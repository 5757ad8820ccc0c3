// Handle, emit, commit: reads topics as one member of a group and writes what comes of it, at least once.
//
// DESIGN. A partition is worked on by one task. For each poll: records go to the task in order, what it emits is
// produced with acks=all, and only when all of it is acknowledged the position is committed. The committed offset is
// the task's `resumeFrom`: where the next owner reads from to rebuild the task's memory. When that lies before the
// position that is done, the commit's metadata says `emitted=<offset>`: what is emitted for records below it was
// acknowledged already and is not written again. A task with a long memory warms up instead: the reader goes back
// `warmupRecords` and emits nothing for them.
import {
  type Admin,
  type Consumer,
  type HubClient,
  HubError,
  type InBatch,
  type InRecord,
  type Producer,
  type TopicPartition,
  type Trace,
} from "../hub/mod.ts";

/** What a task wants written. */
export interface Emit {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly timestamp: number;
}

/** The work on one partition. Both are synchronous; a throw is counted as a poison record. */
export interface Task {
  /** What to write for this record, or in one clause why it cannot be read. */
  onRecord(record: InRecord): readonly Emit[] | string;
  /** Where to read again from, when all records below `next` are done: <= next. */
  resumeFrom(next: number): number;
}

export interface SubscriberOptions {
  readonly client: HubClient;
  readonly trace: Trace;
  readonly group: string;
  readonly topics: readonly string[];
  /** Topics written to; made with the hub's defaults when missing. */
  readonly outTopics: readonly string[];
  readonly task: (topic: string, partition: number) => Task;
  /** Records re-read before the committed position to warm a task up; 0 when left out. */
  readonly warmupRecords?: number;
  /** Least time between two commits in ms; 1000 when left out. */
  readonly commitMs?: number;
  /** Longest wait for records in one poll, in ms; 500 when left out. */
  readonly pollMs?: number;
}

export interface SubscriberCounts {
  readonly records: number;
  readonly poison: number;
  readonly emitted: number;
  readonly commits: number;
  readonly restarts: number;
}

/** Emits awaited together: bounds what waits in memory. */
const recordsPerTurn = 1_000;
const retryMsMin = 100;
const retryMsMax = 5_000;
/** How long a revocation waits for the turn under way; then the rebalance goes on and the turn may be done twice. */
const revokeMsMax = 5_000;
/** A member that is gone without a word is replaced after this. */
const sessionTimeoutMs = 10_000;
/** At most one log line about poison records in this time. */
const poisonLogMs = 10_000;
/** A message refused for one of these will be refused for ever. */
const hopeless: ReadonlySet<string> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"]);

interface Share extends TopicPartition {
  readonly task: Task;
  /** Emits for records below this were acknowledged before. */
  emitted: number;
  /** All records below this are handled and what they emit is acknowledged; -1 before the first. */
  done: number;
  committed: number;
  revoked: boolean;
}

class Stopped extends Error {}

/** One running member. `stop` finishes the turn, commits and leaves the group. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #shares = new Map<string, Share>();
  readonly #counts = { records: 0, poison: 0, emitted: 0, commits: 0, restarts: 0 };
  readonly #running: Promise<void>;
  #consumer: Consumer | null = null;
  #producer: Producer | null = null;
  #turn: Promise<void> = Promise.resolve();
  #stopping = false;
  #wake: () => void = () => {};
  /** Grows with each revocation. */
  #generation = 0;
  #committedAt = 0;
  #poisonLoggedAt = -Infinity;
  #poisonUnlogged = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  counts(): SubscriberCounts {
    return { ...this.#counts };
  }

  /** Partitions worked on at this moment. */
  assignment(): readonly TopicPartition[] {
    return this.#consumer?.assignment() ?? [];
  }

  /** Idempotent; resolves when the group is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    let retryMs = retryMsMin;
    while (!this.#stopping) {
      const before = this.#counts.records;
      try {
        await this.#serve();
      } catch (thrown) {
        if (thrown instanceof Stopped) break;
        this.#counts.restarts += 1;
        if (this.#counts.records > before) retryMs = retryMsMin;
        this.#event("warn", "subscriber_restart", { why: messageOf(thrown), retryMs });
        await this.#sleep(retryMs);
        retryMs = Math.min(retryMs * 2, retryMsMax);
      }
    }
    this.#event("info", "subscriber_stopped", { ...this.#counts });
  }

  async #serve(): Promise<void> {
    const { client, group, topics, pollMs = 500 } = this.#options;
    this.#shares.clear();
    this.#producer = client.producer({ acks: -1 });
    this.#consumer = client.consumer({
      group,
      clientId: `partidor-${group}`,
      from: "earliest",
      sessionTimeoutMs,
      onRevoked: (partitions) => this.#onRevoked(partitions),
    });
    const consumer = this.#consumer;
    try {
      await this.#makeTopics();
      await consumer.subscribe(topics);
      while (!this.#stopping) {
        const batches = await consumer.poll(pollMs);
        this.#turn = this.#onBatches(batches);
        await this.#turn;
      }
    } finally {
      await this.#turn.catch(() => {});
      await this.#commit([...this.#shares.values()]);
      this.#shares.clear();
      await consumer.close().catch(() => {});
      await this.#producer.close().catch(() => {});
    }
  }

  async #makeTopics(): Promise<void> {
    const admin = this.#options.client.admin();
    try {
      for (const topic of this.#options.outTopics) {
        await admin.createTopic(topic).catch((thrown: unknown) => {
          if (!(thrown instanceof HubError)) throw thrown;
          if (thrown.kind === "TOPIC_ALREADY_EXISTS") return;
          // Not allowed to create it: it may be there all the same, and if it is not, the first emit says so.
          this.#event("warn", "subscriber_topic", { topic, why: thrown.message });
        });
      }
    } finally {
      await admin.close();
    }
  }

  async #onBatches(batches: readonly InBatch[]): Promise<void> {
    const generation = this.#generation;
    for (const batch of batches) {
      const share = await this.#shareOf(batch, generation);
      if (share === null) continue;
      for (let from = 0; from < batch.records.length; from += recordsPerTurn) {
        if (share.revoked) break;
        const records = batch.records.slice(from, from + recordsPerTurn);
        await this.#emit(share, this.#handle(share, records));
        const last = records.at(-1);
        if (last !== undefined && !share.revoked) share.done = last.offset + 1;
      }
      if (!share.revoked) share.done = batch.nextOffset;
    }
    const now = Date.now();
    const { commitMs = 1_000 } = this.#options;
    if (now - this.#committedAt < commitMs && now >= this.#committedAt) return;
    this.#committedAt = now;
    await this.#commit([...this.#shares.values()]);
  }

  /** The share this batch belongs to; null when the batch must be left. */
  async #shareOf(batch: InBatch, generation: number): Promise<Share | null> {
    const share = this.#shares.get(keyOf(batch));
    // Partitions were taken away since the poll: what is not held any more, or again, comes from its commit.
    if (share === undefined) return generation === this.#generation ? this.#take(batch) : null;
    if ((batch.records[0]?.offset ?? share.done) >= share.done) return share;
    // The position was set back: the task's memory is of other records.
    this.#shares.delete(keyOf(batch));
    return this.#take(batch);
  }

  /** Begins with a partition at its first batch; null when the reader went back to warm up: the batch comes again. */
  async #take(batch: InBatch): Promise<Share | null> {
    const { topic, partition, records } = batch;
    const { client, group, task, warmupRecords = 0 } = this.#options;
    const first = records[0]?.offset ?? batch.nextOffset;
    const share: Share = {
      topic,
      partition,
      task: task(topic, partition),
      emitted: first,
      done: -1,
      committed: -1,
      revoked: false,
    };
    const admin = client.admin();
    try {
      const stored = (await offsetsOf(admin, group)).find((entry) => keyOf(entry) === keyOf(share));
      if (stored !== undefined) share.emitted = Math.max(stored.offset, emittedOf(stored.metadata ?? ""));
      // The topic was made anew, or its end was lost: what was emitted was emitted for other records.
      if (share.emitted > batch.highWatermark) share.emitted = first;
      this.#shares.set(keyOf(share), share);
      if (warmupRecords === 0 || first === 0) return share;
      const [start] = await admin.offsets([share], "earliest");
      const back = Math.max(start?.offset ?? first, first - warmupRecords);
      if (back >= first) return share;
      await this.#consumer?.seek(share, { offset: back });
      return null;
    } finally {
      await admin.close();
    }
  }

  #handle(share: Share, records: readonly InRecord[]): Emit[] {
    const emits: Emit[] = [];
    for (const record of records) {
      let result: readonly Emit[] | string;
      try {
        result = share.task.onRecord(record);
      } catch (thrown) {
        result = messageOf(thrown);
      }
      if (record.offset < share.emitted) continue;
      this.#counts.records += 1;
      if (typeof result === "string") this.#poison(record, result);
      else emits.push(...result);
    }
    return emits;
  }

  /** Resolves when all are acknowledged; goes on trying until then, or until the partition is taken away. */
  async #emit(share: Share, emits: readonly Emit[]): Promise<void> {
    let left = emits;
    for (let retryMs = retryMsMin; left.length > 0; retryMs = Math.min(retryMs * 2, retryMsMax)) {
      const failed: Emit[] = [];
      let why = "";
      const sent = left.map(async (emit) => {
        try {
          await this.#publish(emit);
          this.#counts.emitted += 1;
        } catch (thrown) {
          why = messageOf(thrown);
          const lost = thrown instanceof HubError && hopeless.has(thrown.kind);
          if (lost) this.#event("error", "subscriber_emit_refused", { topic: emit.topic, why });
          else failed.push(emit);
        }
      });
      await Promise.all(sent);
      left = failed;
      if (left.length === 0) return;
      this.#event("warn", "subscriber_emit_failed", { messages: left.length, why, retryMs });
      if (this.#stopping) throw new Stopped();
      if (share.revoked) return;
      await this.#sleep(retryMs);
    }
  }

  async #publish(emit: Emit): Promise<void> {
    const { topic, key, value, timestamp } = emit;
    await this.#producer?.publish(topic, { key: new TextEncoder().encode(key), value, timestamp });
  }

  /** Commits what is done; a refusal is logged and not thrown: the next owner does the rest again. */
  async #commit(shares: readonly Share[]): Promise<void> {
    const moved = shares.filter((share) => share.done >= share.emitted && share.done > share.committed);
    if (moved.length === 0) return;
    const offsets = moved.map((share) => {
      const { topic, partition, done } = share;
      const offset = share.task.resumeFrom(done);
      return offset === done ? { topic, partition, offset } : { topic, partition, offset, metadata: `emitted=${done}` };
    });
    const marks = moved.map((share) => share.done);
    try {
      await this.#consumer?.commit(offsets);
      this.#counts.commits += 1;
      moved.forEach((share, i) => {
        share.committed = marks[i]!;
      });
    } catch (thrown) {
      this.#event("warn", "subscriber_commit_refused", { why: messageOf(thrown) });
    }
  }

  async #onRevoked(partitions: readonly TopicPartition[]): Promise<void> {
    const taken = partitions.flatMap((partition) => this.#shares.get(keyOf(partition)) ?? []);
    this.#generation += 1;
    if (taken.length === 0) return;
    const turn = this.#turn.catch(() => {});
    await Promise.race([turn, new Promise((resolve) => setTimeout(resolve, revokeMsMax).unref())]);
    for (const share of taken) {
      share.revoked = true;
      this.#shares.delete(keyOf(share));
    }
    this.#wake();
    await this.#commit(taken);
  }

  #poison(record: InRecord, why: string): void {
    this.#counts.poison += 1;
    this.#poisonUnlogged += 1;
    this.#options.trace.count("subscriber_poison_total", 1, { group: this.#options.group });
    const now = Date.now();
    if (Math.abs(now - this.#poisonLoggedAt) < poisonLogMs) return;
    const { topic, partition, offset } = record;
    this.#event("warn", "subscriber_poison", { topic, partition, offset, why, skipped: this.#poisonUnlogged });
    this.#poisonLoggedAt = now;
    this.#poisonUnlogged = 0;
  }

  #event(level: "info" | "warn" | "error", event: string, fields: Record<string, string | number>): void {
    this.#options.trace.event(level, event, { group: this.#options.group, ...fields });
  }

  #sleep(ms: number): Promise<void> {
    if (this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The offset in `emitted=<offset>`, or -1: metadata of others is not ours to judge. */
export function emittedOf(metadata: string): number {
  const match = /^emitted=(\d{1,16})$/.exec(metadata);
  return match ? Number(match[1]) : -1;
}

/** Committed offsets; none for a group that is not there yet. */
async function offsetsOf(admin: Admin, group: string): ReturnType<Admin["groupOffsets"]> {
  try {
    return await admin.groupOffsets(group);
  } catch (thrown) {
    if (thrown instanceof HubError && thrown.kind === "GROUP_ID_NOT_FOUND") return [];
    throw thrown;
  }
}

function keyOf(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
