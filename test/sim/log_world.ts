// A random life of one data folder on a simulated disk: appends, facts, cuts, crashes; and what must hold after each.
import { HubError } from "../../hub/errors.ts";
import type { PartitionLog, Store, StoreListener } from "../../hub/log/store.ts";
import { defaultLogSettings, openStore } from "../../hub/log/store.ts";
import type { FsyncPolicy, LogSettings, StoreState, Tuning } from "../../hub/log/store.ts";
import { batchSize, readBatchHeader, setBaseOffsetAndEpoch } from "../../hub/record/batch.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { silentTrace } from "../../hub/trace.ts";
import { seeded, SimClock, simRandom } from "./clock.ts";
import { MachineStopped, SimDisk } from "./disk.ts";
import type { CutStyle, DiskFaults } from "./disk.ts";

/** What a life may meet. */
export interface LifeOptions {
  readonly boots: number;
  readonly turnsPerBoot: number;
  /** Changes the disk that the store is given: how a broken program or device is played. */
  readonly wrap?: (disk: SimDisk) => void;
  readonly faults?: boolean;
}

interface Written {
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly turn: number;
  acked: boolean;
}

interface Expected {
  readonly topicId: string;
  readonly partition: number;
  policy: FsyncPolicy;
  /** Set while a change of the policy is under way: either may hold. */
  changing: boolean;
  /** In order; what a crash may take stands at the end. */
  batches: Written[];
  logStart: number;
  logStartAsked: number;
  /** A cut was asked for and not confirmed: batches from here on may be gone. */
  cutAsked: number;
  /** Created and durable. */
  sure: boolean;
  deleting: boolean;
}

interface Turn {
  readonly id: number;
  /** Batches in logs that were under `always`, and the fact that says the turn happened. */
  readonly batches: { readonly expected: Expected; readonly written: Written }[];
  readonly fact: string;
}

const tuning: Partial<Tuning> = {
  journalFileBytes: 64 * 1024,
  groupBytesMax: 24 * 1024,
  backlogBytesMax: 256 * 1024,
  snapshotBytesMax: 32 * 1024,
  checkpointBytes: 96 * 1024,
  checkpointMs: 400,
  reserveBytes: 32 * 1024,
  hotTailBytes: 16 * 1024,
  softLineBytes: 64 * 1024,
  hardLineBytes: 16 * 1024,
};

const settings: LogSettings = {
  ...defaultLogSettings,
  segmentBytes: 12 * 1024,
  indexIntervalBytes: 700,
  retentionMs: -1,
};

/** An invariant that does not hold. */
export class Violation extends Error {}

function must(holds: boolean, text: string): void {
  if (!holds) throw new Violation(text);
}

export class LogWorld {
  readonly #chance: () => number;
  readonly #options: LifeOptions;
  #clock: SimClock;
  #disk: SimDisk;
  #store: Store | null = null;
  #epoch = 0;
  #nextId = 1;
  #turnId = 1;
  readonly #expected = new Map<string, Expected>();
  /** Per key the values put, in order, and how many of them were confirmed. */
  readonly #facts = new Map<string, { values: (string | null)[]; acked: number }>();
  #turns: Turn[] = [];
  /** Batches that a cut took, so that no fact can be blamed for them. */
  readonly #wasCut = new Set<Written>();
  #state: StoreState = "ok";
  /** What a callback found; told at the next check. */
  readonly #broken: string[] = [];
  readonly #losses: string[] = [];
  /** What happened, for the trace of two equal runs. */
  readonly trace: string[] = [];
  acks = 0;
  crashes = 0;

  constructor(seed: number, options: LifeOptions) {
    this.#chance = seeded(seed * 7919 + 17);
    this.#options = options;
    this.#clock = new SimClock();
    this.#disk = new SimDisk(this.#clock, this.#chance);
    options.wrap?.(this.#disk);
  }

  #int(max: number): number {
    return Math.floor(this.#chance() * max);
  }

  #say(text: string): void {
    this.trace.push(text);
  }

  /** Lives through all boots. Throws Violation. */
  async live(): Promise<void> {
    for (let boot = 1; boot <= this.#options.boots; boot += 1) {
      await this.#boot();
      if (this.#store !== null) await this.#work();
      await this.#end();
    }
    this.#disk.faults.crashAt = -1;
    await this.#boot();
    must(this.#store !== null, "the last boot does not come up");
    const before = await this.#readAll();
    await this.#powerCut("nothing");
    await this.#boot();
    must((await this.#readAll()) === before, "recovering twice gives another result");
  }

  #listener(): StoreListener {
    const disk = this.#disk;
    return {
      durable: (logs) => {
        if (!disk.stopped) for (const log of logs) this.#acked(log);
      },
      stateChanged: (state, why) => {
        this.#state = state;
        this.#say(`state ${state} ${why}`);
      },
      possibleLoss: (log, detail) => {
        this.#losses.push(`${log?.key ?? "-"}: ${detail}`);
        this.#say(`loss ${detail}`);
      },
    };
  }

  #acked(log: PartitionLog): void {
    const expected = this.#expected.get(log.key);
    for (const written of expected?.batches ?? []) {
      if (written.end > log.durableEnd || written.acked) continue;
      written.acked = true;
      this.acks += 1;
    }
  }

  /** Opens the store; a crash on the way leaves `#store` null. */
  async #boot(): Promise<void> {
    this.#state = "ok";
    this.#losses.length = 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        this.#store = await this.#clock.settle(
          openStore({
            disk: this.#disk,
            clock: this.#clock,
            random: simRandom(this.#chance),
            trace: silentTrace,
            listener: this.#listener(),
            hubId: 1,
            tuning,
          }),
        );
        break;
      } catch (error) {
        if (!this.#disk.stopped) throw new Violation(`the store does not open: ${(error as Error).stack}`);
        this.#say("crash while opening");
        must(attempt < 50, "the store never opens");
        await this.#powerCut(this.#style());
      }
    }
    this.#epoch += 1;
    this.#say(`boot ${this.#epoch}`);
    await this.#check();
  }

  #style(): CutStyle {
    return (["nothing", "everything", "some", "torn", "torn"] as const)[this.#int(5)]!;
  }

  async #powerCut(style: CutStyle): Promise<void> {
    this.crashes += 1;
    this.#replaceDisk((clock) => this.#disk.afterPowerCut(clock, this.#chance, style));
    this.#say(`power cut ${style}`);
    // Under interval and os a power cut may take what was acknowledged.
    for (const expected of this.#expected.values()) {
      if (expected.policy === "always" && !expected.changing) continue;
      for (const written of expected.batches) written.acked = false;
    }
  }

  #replaceDisk(make: (clock: SimClock) => SimDisk): void {
    const clock = new SimClock(this.#clock.now() + 1000, this.#clock.wall() + 1000);
    this.#disk.stopped = true;
    this.#disk = make(clock);
    this.#clock = clock;
    this.#store = null;
    this.#options.wrap?.(this.#disk);
    if (this.#chance() < 0.25) this.#disk.faults.crashAt = 1 + this.#int(120); // while it recovers
  }

  /** Ends a boot: a clean stop, a kill or a power cut. */
  async #end(): Promise<void> {
    const kind = this.#chance();
    if (this.#store !== null && !this.#disk.stopped && kind < 0.15) {
      this.#disk.faults.crashAt = this.#chance() < 0.3 ? this.#disk.operations + 1 + this.#int(60) : -1;
      try {
        await this.#clock.settle(this.#store.close());
        this.#say("clean stop");
      } catch {
        must(this.#disk.stopped, "close fails");
      }
      if (!this.#disk.stopped && this.#chance() < 0.5) {
        return this.#replaceDisk((clock) => this.#disk.afterKill(clock, this.#chance));
      }
      return this.#powerCut(this.#style());
    }
    // A failed sync forgets nothing only while the machine stays up: then the page cache lies, so it is a power cut.
    if (kind < 0.45 && this.#state !== "failed") {
      this.crashes += 1;
      this.#say("kill");
      return this.#replaceDisk((clock) => this.#disk.afterKill(clock, this.#chance));
    }
    await this.#powerCut(this.#style());
  }

  async #work(): Promise<void> {
    const faults: DiskFaults = this.#disk.faults;
    faults.crashAt = this.#chance() < 0.7 ? this.#disk.operations + 1 + this.#int(900) : -1;
    if (this.#options.faults !== false) {
      const evil = this.#chance();
      if (evil < 0.1) faults.syncFails = 0.01;
      else if (evil < 0.14) faults.ioFails = 0.002;
      else if (evil < 0.3) faults.capacity = this.#disk.usedBytes() + 20_000 + this.#int(200_000);
      else if (evil < 0.33) faults.stalls = 0.01;
    }
    try {
      for (let turn = 0; turn < this.#options.turnsPerBoot && !this.#disk.stopped; turn += 1) {
        this.#turn();
        const steps = this.#int(6);
        for (let i = 0; i < steps && !this.#disk.stopped; i += 1) await this.#clock.step();
        if (this.#state === "failed" || this.#state === "read-only") break;
        if (this.#state === "full") await this.#healed();
      }
    } catch (error) {
      if (!this.#disk.stopped) throw error;
    }
    // Out of a crash in the middle of a sync: let what is under way see that the machine is gone.
    if (!this.#disk.stopped && this.#chance() < 0.3) await this.#clock.advance(50);
  }

  /** A full disk: refused now, and by itself good again once there is room. */
  async #healed(): Promise<void> {
    await this.#clock.advance(1000);
    if (this.#disk.stopped) return;
    this.#disk.faults.capacity = this.#disk.usedBytes() + 4_000_000;
    await this.#clock.advance(11_000);
    if (this.#disk.stopped || this.#state === "failed") return;
    must(this.#state === "ok", `the store is still ${this.#state} with room on the disk`);
    this.#say("healed");
  }

  /** One synchronous turn: some appends and facts, which belong together. */
  #turn(): void {
    const kind = this.#chance();
    const logs = [...this.#expected.values()].filter((expected) => expected.sure && !expected.deleting);
    if (logs.length === 0 || (logs.length < 4 && kind < 0.05)) return this.#create();
    if (kind < 0.8) return this.#appendTurn(logs);
    const expected = logs[this.#int(logs.length)]!;
    const log = this.#store!.partition(expected.topicId, expected.partition)!;
    if (kind < 0.84) return this.#putFacts();
    if (kind < 0.87) return this.#moveLogStart(expected, log);
    if (kind < 0.9) return this.#truncate(expected, log);
    if (kind < 0.92) return this.#configure(expected, log);
    if (kind < 0.93) return this.#remove(expected);
    if (kind < 0.96) return this.#ignore(this.#store!.checkpoint());
    return this.#ignore(this.#store!.flush());
  }

  #ignore(promise: Promise<unknown>): void {
    promise.catch(() => {});
  }

  #create(): void {
    const topicId = `${String(this.#nextId).padStart(8, "0")}-0000-4000-8000-000000000000`;
    this.#nextId += 1;
    const policy = (["always", "always", "always", "interval", "os"] as const)[this.#int(5)]!;
    const expected: Expected = {
      topicId,
      partition: 0,
      policy,
      changing: false,
      batches: [],
      logStart: 0,
      logStartAsked: 0,
      cutAsked: -1,
      sure: false,
      deleting: false,
    };
    const disk = this.#disk;
    this.#expected.set(`${topicId}-0`, expected);
    const made = this.#store!.createPartition(topicId, 0, "topic", { ...settings, fsync: policy });
    made.then(
      () => (expected.sure = !disk.stopped),
      () => {},
    );
  }

  #appendTurn(logs: readonly Expected[]): void {
    const turn: Turn = { id: this.#turnId, batches: [], fact: `turn/${this.#turnId % 40}` };
    this.#turnId += 1;
    const count = 1 + this.#int(3);
    const withFact = this.#chance() < 0.5;
    for (let i = 0; i < count; i += 1) {
      const expected = logs[this.#int(logs.length)]!;
      const written = this.#append(expected, turn.id);
      if (written === null) return;
      if (expected.policy === "always" && !expected.changing) turn.batches.push({ expected, written });
    }
    // A turn over the byte bound of a group may be divided.
    const bytes = turn.batches.reduce((sum, { written }) => sum + written.bytes.length, 0);
    if (!withFact || turn.batches.length === 0 || bytes > 20_000) return;
    this.#turns.push(turn);
    this.#put([[turn.fact, `turn ${turn.id}`]]);
  }

  #append(expected: Expected, turn: number): Written | null {
    const log = this.#store!.partition(expected.topicId, expected.partition)!;
    const large = this.#chance() < 0.05;
    const records = Array.from({ length: 1 + this.#int(4) }, () => {
      const id = this.#nextId;
      this.#nextId += 1;
      const size = large ? 3000 : this.#int(300);
      return { key: null, value: new TextEncoder().encode(`${id}:${"x".repeat(size)}`), timestamp: this.#clock.wall() };
    });
    const batch = encodeBatch(records);
    const base = log.logEnd;
    const bytes = batch.slice();
    setBaseOffsetAndEpoch(bytes, base, this.#epoch);
    const written: Written = { base, end: base + records.length, bytes, turn, acked: false };
    expected.batches.push(written); // a crash within the append may leave it
    try {
      const appended = log.append(batch, this.#epoch);
      must(appended.baseOffset === base, `append gives ${appended.baseOffset} where ${base} was the end`);
      return written;
    } catch (error) {
      if (this.#disk.stopped) throw error;
      expected.batches.pop();
      if (!(error instanceof HubError)) throw error;
      must(log.logEnd === base, "a refused append moved the log's end");
      return null;
    }
  }

  #putFacts(): void {
    const count = 1 + this.#int(3);
    const facts: [string, string | null][] = [];
    for (let i = 0; i < count; i += 1) {
      facts.push([`fact/${this.#int(12)}`, this.#chance() < 0.2 ? null : `value ${this.#nextId}`]);
      this.#nextId += 1;
    }
    this.#put(facts);
  }

  #put(facts: readonly (readonly [string, string | null])[]): void {
    const disk = this.#disk;
    const marks: { history: { values: (string | null)[]; acked: number }; length: number }[] = [];
    for (const [key, value] of facts) {
      let history = this.#facts.get(key);
      if (!history) this.#facts.set(key, (history = { values: [null], acked: 1 }));
      history.values.push(value);
      marks.push({ history, length: history.values.length });
    }
    const bytesOf = (value: string | null) => (value === null ? null : new TextEncoder().encode(value));
    const encoded = facts.map(([key, value]) => [key, bytesOf(value)] as const);
    this.#store!.put(encoded).then(
      () => {
        if (disk.stopped) return;
        for (const { history, length } of marks) history.acked = Math.max(history.acked, length);
        this.acks += 1;
      },
      () => {},
    );
  }

  #moveLogStart(expected: Expected, log: PartitionLog): void {
    const offset = log.logStart + this.#int(Math.max(1, log.durableEnd - log.logStart + 1) * 0.7);
    expected.logStartAsked = Math.max(expected.logStartAsked, offset);
    const disk = this.#disk;
    log.deleteRecordsBefore(offset).then(
      () => {
        if (!disk.stopped) expected.logStart = Math.max(expected.logStart, offset);
      },
      () => {},
    );
  }

  #truncate(expected: Expected, log: PartitionLog): void {
    const above = expected.batches.filter(({ base }) => base >= log.logStart);
    if (above.length === 0 || expected.cutAsked >= 0) return;
    const { base } = above[Math.floor(above.length * (0.6 + 0.4 * this.#chance())) % above.length]!;
    expected.cutAsked = base;
    const disk = this.#disk;
    const length = expected.batches.length;
    log.truncateTo(base).then(
      () => {
        if (disk.stopped) return;
        if (expected.batches.length !== length) this.#broken.push("a log that was being cut was appended to");
        const to = Math.max(base, log.logStart); // which may have moved meanwhile
        if (log.logEnd > to) this.#broken.push(`cut to ${to}, and the log ends at ${log.logEnd}`);
        for (const written of expected.batches) if (written.end > to) this.#wasCut.add(written);
        expected.batches = expected.batches.filter((written) => written.end <= to);
        expected.cutAsked = -1;
      },
      () => {},
    );
  }

  #configure(expected: Expected, log: PartitionLog): void {
    if (expected.changing) return;
    const fsync = (["always", "interval", "os"] as const)[this.#int(3)]!;
    const disk = this.#disk;
    expected.changing = true;
    log.configure({ ...log.settings, fsync }).then(
      () => {
        if (disk.stopped) return;
        expected.policy = fsync;
        expected.changing = false;
      },
      () => {},
    );
  }

  #remove(expected: Expected): void {
    if (this.#expected.size < 3) return;
    expected.deleting = true;
    const disk = this.#disk;
    this.#store!.deletePartition(expected.topicId, expected.partition).then(
      () => {
        if (!disk.stopped) this.#expected.delete(`${expected.topicId}-0`);
      },
      () => {},
    );
  }

  /** After a boot: everything promised is there, nothing else but what was once written, and the model follows. */
  async #check(): Promise<void> {
    must(this.#broken.length === 0, this.#broken.join("; "));
    must(this.#losses.length === 0 || this.#plainLoss(), `losses are told: ${this.#losses.join("; ")}`);
    for (const [key, expected] of [...this.#expected]) {
      const log = this.#store!.partition(expected.topicId, expected.partition);
      if (!log) {
        must(!expected.sure || expected.deleting, `${key} is gone`);
        this.#expected.delete(key);
        continue;
      }
      expected.sure = true;
      expected.deleting = false;
      await this.#checkLog(expected, log);
    }
    for (const log of this.#store!.partitions()) must(this.#expected.has(log.key), `${log.key} was never made`);
    this.#checkFacts();
    this.#checkTurns();
  }

  /** Under interval and os an unclean stop with another boot id is told as a possible loss: that is no violation. */
  #plainLoss(): boolean {
    return this.#losses.every((loss) => loss.includes("log.fsync="));
  }

  async #checkLog(expected: Expected, log: PartitionLog): Promise<void> {
    const { key } = log;
    must(log.logStart >= expected.logStart, `${key}: log start ${log.logStart} < ${expected.logStart}`);
    must(
      log.logStart <= Math.max(expected.logStart, expected.logStartAsked),
      `${key}: log start ${log.logStart} leapt`,
    );
    expected.logStart = log.logStart;
    must(log.durableEnd === log.logEnd, `${key}: durable end ${log.durableEnd} is not the log's end ${log.logEnd}`);
    const kept: Written[] = [];
    for (const written of expected.batches) {
      if (written.end > log.logEnd) break;
      kept.push(written);
    }
    const lost = expected.batches.slice(kept.length);
    for (const written of lost) {
      const { base, acked } = written;
      const wasCut = expected.cutAsked >= 0 && base >= expected.cutAsked;
      if (wasCut) this.#wasCut.add(written);
      must(!acked || wasCut, `${key}: the acknowledged batch at ${base} is lost; the log ends at ${log.logEnd}`);
    }
    expected.batches = kept.filter(({ end }) => end > expected.logStart);
    expected.cutAsked = -1;
    expected.policy = log.settings.fsync;
    expected.changing = false;
    const end = kept.at(-1)?.end ?? Math.min(expected.logStart, log.logEnd);
    must(log.logEnd === Math.max(end, expected.logStart), `${key}: ends at ${log.logEnd}, not at ${end}`);
    await this.#compare(expected, log);
    for (const written of expected.batches) written.acked = true; // readable: it may not go any more
  }

  async #compare(expected: Expected, log: PartitionLog): Promise<void> {
    let offset = log.logStart;
    for (const written of expected.batches) {
      const place = `${log.key} at ${written.base}`;
      let bytes: Uint8Array = new Uint8Array(0);
      try {
        bytes = await this.#clock.settle(log.read(Math.max(offset, written.base), 1, log.logEnd));
      } catch (error) {
        throw new Violation(`${place}: ${(error as Error).message}`);
      }
      must(bytes.length > 0, `${place}: nothing to read`);
      const { baseOffset, leaderEpoch } = readBatchHeader(bytes);
      must(baseOffset === written.base, `${place}: ${baseOffset} is read`);
      const same = Buffer.compare(bytes.subarray(0, batchSize(bytes)), written.bytes) === 0;
      must(same, `${place}: other bytes, of epoch ${leaderEpoch}`);
      offset = written.end;
    }
  }

  #checkFacts(): void {
    for (const [key, history] of this.#facts) {
      const bytes = this.#store!.get(key);
      const value = bytes ? new TextDecoder().decode(bytes) : null;
      const place = history.values.lastIndexOf(value);
      must(place >= history.acked - 1, `fact ${key} is ${value}, confirmed was ${history.values[history.acked - 1]}`);
      history.values = [value];
      history.acked = 1;
    }
  }

  /** A turn's fact and its batches stand or fall together. */
  #checkTurns(): void {
    for (const { id, batches, fact } of this.#turns) {
      const bytes = this.#store!.get(fact);
      const there = bytes !== undefined && new TextDecoder().decode(bytes) === `turn ${id}`;
      if (!there) continue;
      for (const { expected, written } of batches) {
        if (this.#expected.get(`${expected.topicId}-0`) !== expected || written.end <= expected.logStart) continue;
        must(
          expected.batches.includes(written) || this.#wasCut.has(written),
          `turn ${id}: its fact is there, a batch is not`,
        );
      }
    }
    this.#turns = [];
  }

  async #readAll(): Promise<string> {
    const parts: string[] = [];
    for (const log of [...this.#store!.partitions()].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      parts.push(`${log.key} ${log.logStart} ${log.logEnd}`);
    }
    for (const key of this.#facts.keys()) parts.push(`${key}=${String(this.#store!.get(key))}`);
    return parts.join("\n");
  }
}

/** True for what a stopped machine throws. */
export function isStop(error: unknown): boolean {
  return error instanceof MachineStopped;
}
