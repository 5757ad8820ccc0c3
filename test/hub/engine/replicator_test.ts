// A follower and a leader over a real socket: order, acknowledgement, divergence, refusals, a leader that goes, throttle.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import type { Epoch, FollowerFetch, LeaderWord, PartitionConfig } from "../../../hub/cluster/types.ts";
import type { Peers } from "../../../hub/engine/peers.ts";
import type { LedReplica, LeaderHint } from "../../../hub/engine/replica_office.ts";
import { type Followed, Replicator } from "../../../hub/engine/replicator.ts";
import { FetchPlace, FetchRoom } from "../../../hub/engine/waiting_room.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { clock, openPeers, openServer, random, type Server, until } from "./peer_stage.ts";

const topicId = "11111111-2222-4333-8444-555555555555";
const config: PartitionConfig = { id: { epoch: 65, n: 1 }, old: { members: ["1:d1", "2:d2"], m: 2 }, next: null };
const room = new FetchRoom(clock);

/** A log whose record is one byte: its offset, so that what comes twice or in disorder is seen. */
class Leader implements LedReplica {
  readonly place = new FetchPlace();
  readonly fetches: FollowerFetch[] = [];
  bytes: number[] = [];
  epoch: Epoch = 65;
  leads = true;
  repairing = false;
  cutTo = -1;
  error: ErrorName | null = null;
  batchMax = Number.POSITIVE_INFINITY;
  config = config;
  onFetch: (fetch: FollowerFetch) => void = () => {};

  get logEnd(): number {
    return this.bytes.length;
  }

  append(count: number): void {
    for (let i = 0; i < count; i++) this.bytes.push(this.bytes.length & 0xff);
    room.advanced(this.place, count);
  }

  followerFetched(fetch: FollowerFetch): ReturnType<LedReplica["followerFetched"]> {
    if (this.error !== null) return { kind: "refuse", error: this.error };
    if (fetch.epoch !== this.epoch) return { kind: "refuse", error: "FENCED_LEADER_EPOCH" };
    this.fetches.push(fetch);
    this.onFetch(fetch);
    const word = this.word()!;
    if (this.cutTo >= 0 && fetch.position! > this.cutTo)
      return { kind: "diverging", epoch: -1, endOffset: this.cutTo, word };
    return { kind: "serve", word };
  }

  word(): LeaderWord | null {
    const { epoch, logEnd: leaderEnd } = this;
    const rest = { epochStart: 0, leaderEnd, logStart: 0, highWatermark: this.watermark, markedEpoch: 0 };
    return this.leads ? { epoch, config: this.config, ...rest } : null;
  }

  /** Of what the follower acknowledged. */
  get watermark(): number {
    return this.fetches.at(-1)?.offset ?? 0;
  }

  read(from: number, bytesMax: number): Uint8Array {
    return Uint8Array.from(this.bytes.slice(from, from + Math.min(bytesMax, this.batchMax)));
  }
}

/** A log that is synced a while after it is written. */
class Follower implements Followed {
  readonly topicId = topicId;
  readonly topic = "t";
  readonly partition: number;
  readonly log: number[] = [];
  readonly words: LeaderWord[] = [];
  readonly refusals: { epoch: Epoch; error: ErrorName; hint: LeaderHint | null }[] = [];
  durableEnd = 0;
  epoch: Epoch = 65;
  mayFetch = true;
  syncMs = 0;
  writeMs = 0;
  failures = 0;
  kick: () => void = () => {};

  constructor(partition: number) {
    this.partition = partition;
  }

  fetchOf(): FollowerFetch | null {
    if (!this.mayFetch) return null;
    const rest = { lastFetchedEpoch: 65, accepted: true, configId: config.id };
    return { from: "2:d2", epoch: this.epoch, offset: this.durableEnd, position: this.log.length, ...rest };
  }

  logEnd(): number {
    return this.log.length;
  }

  answered(word: LeaderWord, diverging: { endOffset: number } | null, records: Uint8Array): Promise<void> | void {
    this.words.push(word);
    if (diverging !== null) {
      this.mayFetch = false;
      clock.after(2, () => {
        this.log.length = diverging.endOffset;
        this.durableEnd = diverging.endOffset;
        this.mayFetch = true;
        this.kick();
      });
    }
    if (records.length === 0) return;
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error("the disk is full"));
    }
    // begins where the log ends, and nothing is in between
    assert.deepEqual(records[0], this.log.length & 0xff, `at ${this.log.length}`);
    this.log.push(...records);
    const end = this.log.length;
    clock.after(this.syncMs, () => {
      this.durableEnd = Math.max(this.durableEnd, end);
      this.kick();
    });
    if (this.writeMs > 0) return new Promise((resolve) => void clock.after(this.writeMs, resolve));
  }

  refused(epoch: Epoch, error: ErrorName, hint: LeaderHint | null): void {
    this.refusals.push({ epoch, error, hint });
  }
}

interface Stage {
  readonly leaders: Leader[];
  readonly followers: Follower[];
  readonly replicator: Replicator;
  readonly ports: Map<number, number>;
  server: Server;
  readonly serve: () => Promise<Server>;
  /** Fetches sent. */
  sent(): number;
}

async function onStage(
  count: number,
  use: (stage: Stage) => Promise<void>,
  rate = Number.POSITIVE_INFINITY,
): Promise<void> {
  const leaders = Array.from({ length: count }, () => new Leader());
  const followers = leaders.map((_, partition) => new Follower(partition));
  const serve = () =>
    openServer({
      office: {
        led: (_topicId, partition) => {
          const leader = leaders[partition];
          if (leader?.leads) return leader;
          return { error: "NOT_LEADER_OR_FOLLOWER", hint: { leader: 3, epoch: 131 } };
        },
      },
    });
  const server = await serve();
  const ports = new Map([[1, server.port]]);
  const peers = openPeers(ports);
  let sent = 0;
  const counted = {
    call: (...call: Parameters<Peers["call"]>) => {
      sent += 1;
      return peers.call(...call);
    },
  } as Pick<Peers, "call">;
  const replicator = new Replicator({
    peers: counted,
    clock,
    random,
    trace: silentTrace,
    hubId: 2,
    throttledRate: () => rate,
  });
  for (const follower of followers) follower.kick = () => replicator.kick(follower);
  const stage: Stage = { leaders, followers, replicator, ports, server, serve, sent: () => sent };
  try {
    for (const follower of followers) replicator.follow(follower, 1);
    await use(stage);
  } finally {
    replicator.close();
    peers.close();
    await stage.server.close();
  }
}

const whole = (leader: Leader, follower: Follower): boolean =>
  follower.log.length === leader.logEnd && leader.watermark === leader.logEnd;

test("records come once and in order, however writes, syncs and appends interleave; every end is acknowledged", async () => {
  await onStage(20, async ({ leaders, followers }) => {
    const seed = Number(process.env.SEED ?? Math.floor(random.float() * 1e6));
    let state = seed;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (const follower of followers) {
      follower.syncMs = next(8);
      follower.writeMs = next(3);
      follower.failures = next(4) === 0 ? 1 : 0;
    }
    for (const leader of leaders) leader.batchMax = 1 + next(50);
    for (let round = 0; round < 150; round++) {
      for (let i = next(4); i > 0; i--) leaders[next(leaders.length)]!.append(1 + next(20));
      if (next(3) === 0) await new Promise<void>((resolve) => void clock.after(next(4), resolve));
    }
    const all = (): boolean => leaders.every((leader, i) => whole(leader, followers[i]!));
    await until(`all is replicated and acknowledged (SEED=${seed})`, all);
    for (const [i, { refusals, log }] of followers.entries()) {
      assert.deepEqual(refusals, [], `SEED=${seed}`);
      assert.deepEqual(log, leaders[i]!.bytes, `SEED=${seed}`);
    }
    const offsets = leaders[0]!.fetches.map(({ offset }) => offset);
    assert.deepEqual(
      offsets,
      [...offsets].sort((a, b) => a - b),
      "acknowledgements never go back",
    );
  });
});

test("an acknowledgement does not wait for the fetch that waits at the leader, nor cost one for all partitions", async () => {
  await onStage(200, async ({ leaders, followers, sent }) => {
    await until("all are known", () => followers.every(({ words }) => words.length > 0));
    const took: number[] = [];
    const before = sent();
    const named = leaders.reduce((sum, { fetches }) => sum + fetches.length, 0);
    const rounds = 100;
    for (let i = 0; i < rounds; i++) {
      const leader = leaders[i]!;
      const began = clock.now();
      await new Promise<void>((resolve) => {
        leader.onFetch = ({ offset }) => offset === leader.logEnd && resolve();
        leader.append(1);
      });
      took.push(clock.now() - began);
      leader.onFetch = () => {};
    }
    took.sort((a, b) => a - b);
    const median = took[rounds / 2]!;
    assert.ok(
      median < 50,
      `append to acknowledgement takes ${median.toFixed(2)} ms; half a second would be a parked fetch`,
    );
    assert.ok(sent() - before <= rounds * 4, `${sent() - before} fetches for ${rounds} records`);
    const again = leaders.reduce((sum, { fetches }) => sum + fetches.length, 0) - named;
    const looks = Math.ceil(took.reduce((sum, each) => sum + each, 0) / 400) + 2;
    assert.ok(again <= rounds * 3 + looks * 200, `${again} partitions were looked at for ${rounds} acknowledgements`);
  });
});

test("what the leader does not have is cut before anything is read on", async () => {
  await onStage(1, async ({ leaders, followers, replicator }) => {
    const [leader, follower] = [leaders[0]!, followers[0]!];
    replicator.stop(follower);
    follower.log.push(0, 1, 2, 3, 99, 99);
    follower.durableEnd = 3; // the last ones are written, not synced: they are cut all the same
    leader.append(8);
    leader.cutTo = 4;
    replicator.follow(follower, 1);
    await until("cut", () => follower.log.length === 4 || leader.cutTo < 0);
    leader.cutTo = -1;
    await until("whole", () => whole(leader, follower));
    assert.deepEqual(follower.log, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(follower.words.at(-1)!.config, config);
  });
});

test("a refusal of one partition names it and the leader, is tried again, and disturbs no other", async () => {
  await onStage(2, async ({ leaders, followers }) => {
    leaders[0]!.leads = false;
    leaders[1]!.append(3);
    await until("the other", () => whole(leaders[1]!, followers[1]!));
    await until("refused", () => followers[0]!.refusals.length >= 2);
    const hint = { leader: 3, epoch: 131 };
    assert.deepEqual(followers[0]!.refusals[0], { epoch: 65, error: "NOT_LEADER_OR_FOLLOWER", hint });
    leaders[0]!.leads = true;
    leaders[0]!.append(5);
    await until("served again", () => whole(leaders[0]!, followers[0]!));
    // leadership that ends while a fetch waits is told at once
    const before = followers[1]!.refusals.length;
    leaders[1]!.leads = false;
    room.disturbed(leaders[1]!.place);
    await until("told", () => followers[1]!.refusals.length > before);
    leaders[1]!.leads = true;
    leaders[1]!.epoch = 193;
    await until("fenced", () => followers[1]!.refusals.some(({ error }) => error === "FENCED_LEADER_EPOCH"));
    followers[1]!.epoch = 193;
    leaders[1]!.append(2);
    await until("in the new epoch", () => whole(leaders[1]!, followers[1]!));
    assert.equal(followers[1]!.words.at(-1)!.epoch, 193);
  });
});

test("a leader that goes is told as a broken network, and followed again when it is back", async () => {
  await onStage(3, async (stage) => {
    const { leaders, followers, ports } = stage;
    for (const leader of leaders) leader.append(4);
    await until("whole", () => leaders.every((leader, i) => whole(leader, followers[i]!)));
    await stage.server.close();
    await until("told", () =>
      followers.every(({ refusals }) => refusals.some((one) => one.error === "NETWORK_EXCEPTION")),
    );
    for (const leader of leaders) leader.append(4);
    stage.server = await stage.serve();
    ports.set(1, stage.server.port);
    await until("whole again", () => leaders.every((leader, i) => whole(leader, followers[i]!)));
    for (const follower of followers) assert.equal(follower.words.at(-1)!.config.id.n, 1);
  });
});

test("what is stopped is told nothing any more, and what is followed elsewhere is fetched there alone", async () => {
  await onStage(2, async ({ leaders, followers, replicator, ports, server }) => {
    ports.set(3, server.port + 0);
    await until("known", () => followers.every(({ words }) => words.length > 0));
    replicator.stop(followers[0]!);
    const words = followers[0]!.words.length;
    leaders[0]!.append(3);
    leaders[1]!.append(3);
    await until("the other", () => whole(leaders[1]!, followers[1]!));
    assert.deepEqual([followers[0]!.words.length, followers[0]!.log], [words, []]);
    replicator.follow(followers[0]!, 1);
    await until("followed again", () => whole(leaders[0]!, followers[0]!));
    // hub 3 is not at that address: the hello says so
    replicator.follow(followers[0]!, 3);
    await until("refused", () => followers[0]!.refusals.length > 0);
    leaders[0]!.append(1);
    await new Promise<void>((resolve) => void clock.after(50, resolve));
    assert.equal(followers[0]!.log.length, 3);
  });
});

test("a config that changes is told without records, and silence does not make a follower look late", async () => {
  await onStage(1, async ({ leaders, followers }) => {
    const [leader, follower] = [leaders[0]!, followers[0]!];
    await until("known", () => follower.words.length > 0);
    const next: PartitionConfig = { ...config, id: { epoch: 65, n: 2 } };
    leader.config = next;
    room.disturbed(leader.place);
    await until("told", () => follower.words.at(-1)!.config.id.n === 2);
    const fetches = leader.fetches.length;
    await until("asked for again", () => leader.fetches.length >= fetches + 2);
    assert.deepEqual(follower.refusals, []);
  });
});

test("what is far behind comes at its rate, what is not is not held up by it", async () => {
  await onStage(
    2,
    async ({ leaders, followers }) => {
      leaders[0]!.batchMax = 1000;
      const began = clock.now();
      leaders[0]!.append(30_000);
      await until("begun", () => followers[0]!.log.length > 1000);
      const start = clock.now();
      leaders[1]!.append(1);
      await until("the other", () => whole(leaders[1]!, followers[1]!));
      assert.ok(clock.now() - start < 200, `${clock.now() - start} ms`);
      await until("caught up", () => whole(leaders[0]!, followers[0]!));
      const took = clock.now() - began;
      assert.ok(took > 700 && took < 3000, `30 kB at 20 kB/s, of which a second's worth may be saved up: ${took} ms`);
    },
    20_000,
  );
});
