// Groups under a wall clock that jumps between 1970 and 2026: who beats stays a member, who is dead does not.
import { openEmbeddedRegistry } from "../../hub/engine/embedded_registry.ts";
import { type GroupEngine, openGroupEngine } from "../../hub/engine/groups.ts";
import type { JoinReply } from "../../hub/groups/group.ts";
import { silentTrace } from "../../hub/trace.ts";
import { MemoryFacts } from "../tools/facts.ts";
import { seeded, SimClock, simRandom } from "./clock.ts";

const sessionMs = 6000;
const beatMs = 1500;
const topic = { name: "t", topicId: "00000000-0000-4000-8000-00000000000a", partitions: 4, internal: false };

/** A member that beats until it is told to die. */
interface Member {
  id: string;
  dead: boolean;
  /** What it was told that nobody who beats may be told. */
  broke: string | null;
}

class World {
  readonly clock = new SimClock();
  readonly chance: () => number;
  readonly members: Member[] = [];
  engine!: GroupEngine;

  constructor(seed: number) {
    this.chance = seeded(seed * 7919 + 17);
  }

  async open(): Promise<void> {
    const names = { idOf: () => topic.topicId, nameOf: () => topic.name, partitionCount: () => topic.partitions };
    const opening = openGroupEngine({
      registry: openEmbeddedRegistry(new MemoryFacts()),
      clock: this.clock,
      random: simRandom(this.chance),
      trace: silentTrace,
      coordinatorEpoch: 0,
      settings: {
        initialRebalanceDelayMs: 1000,
        groupMaxSize: 100,
        offsetsRetentionMs: 604_800_000,
        consumer: { sessionMs, heartbeatMs: beatMs },
      },
      topics: { ...names, changes: () => 1, topic: () => topic, topics: () => [topic] },
    });
    this.engine = await this.clock.settle(opening);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  /** The wall clock goes to 1970 or to 2026, or drifts on from there. */
  jump(): void {
    const to =
      this.chance() < 0.5 ? Math.floor(this.chance() * 100_000) : Date.UTC(2026, Math.floor(this.chance() * 12));
    this.clock.stepWall(to - this.clock.wall());
  }
}

/** A member of the classic protocol: joins, syncs, beats, and joins again when the group asks for it. */
async function classic(world: World, member: Member): Promise<void> {
  const { engine } = world;
  const group = "classic";
  while (!member.dead) {
    const joined = await engine.join({
      ...{ group, memberId: member.id, instanceId: null, clientId: "c", clientHost: "/h", protocolType: "consumer" },
      ...{ sessionTimeoutMs: sessionMs, rebalanceTimeoutMs: 5 * sessionMs, needsMemberId: false },
      ...{ canSkipAssignment: false, protocols: [{ name: "range", metadata: new Uint8Array() }] },
    });
    member.id = joined.memberId;
    if (refused(member, `join: ${joined.error}`)) return;
    const { memberId, generation } = joined;
    const claim = { memberId, generation, instanceId: null };
    const { error } = await engine.sync({ group, ...claim, ...shared(joined) });
    if (error !== "REBALANCE_IN_PROGRESS" && refused(member, `sync: ${error}`)) return;
    for (let answer = error; answer === "NONE"; ) {
      await world.sleep(beatMs);
      if (member.dead) return;
      answer = engine.heartbeat(group, claim);
      if (answer !== "REBALANCE_IN_PROGRESS" && refused(member, `heartbeat: ${answer}`)) return;
    }
  }
}

const shared = ({ members }: JoinReply) => ({
  protocolType: null,
  protocolName: null,
  assignments: new Map(members.map(({ memberId }) => [memberId, new Uint8Array([1])])),
});

/** A member of the server-side protocol (KIP-848): it only beats. */
async function consumer(world: World, member: Member): Promise<void> {
  const same = { instanceId: null, rackId: null, regex: null, assignor: null, clientId: "c", clientHost: "/h" };
  for (let epoch = 0; !member.dead; ) {
    const joins = epoch === 0;
    const { error, memberEpoch } = await world.engine.consumerHeartbeat({
      ...{ ...same, group: "consumer", memberId: member.id, memberEpoch: epoch, principal: "User:ann", version: 1 },
      ...{ rebalanceTimeoutMs: joins ? sessionMs : -1, topics: joins ? ["t"] : null, owned: new Map() },
    });
    if (refused(member, `heartbeat: ${error}`)) return;
    epoch = memberEpoch;
    await world.sleep(beatMs);
  }
}

function refused(member: Member, answer: string): boolean {
  if (!answer.endsWith(": NONE")) member.broke = `${member.id} beats in time, and is told ${answer}`;
  return !answer.endsWith(": NONE");
}

/** What was done at this time is done before time goes on. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** What broke, or null. */
export async function sessions(seed: number): Promise<string | null> {
  const world = new World(seed);
  const { clock, chance, members } = world;
  await world.open();
  const until = clock.now() + 140_000;
  let left = 4000; // events: a few hundred are all there is to do
  const reach = async (time: number): Promise<void> => {
    for (; clock.runNext(time) && left > 0; left -= 1) await turn();
    clock.reach(time);
  };
  for (let next = clock.now(); clock.now() < until; next += Math.floor(chance() * 8000)) {
    await reach(next);
    const kind = chance();
    const living = members.filter(({ dead }) => !dead);
    if (kind < 0.4 || members.length === 0) world.jump();
    if (kind > 0.7 && living.length < 6) {
      const member: Member = { id: "", dead: false, broke: null };
      if (chance() < 0.5) member.id = `consumer-${members.length}`;
      members.push(member);
      void (member.id === "" ? classic : consumer)(world, member);
    } else if (kind > 0.55 && living.length > 1) living[Math.floor(chance() * living.length)]!.dead = true;
    await turn();
  }
  await reach(clock.now() + 6 * sessionMs);
  const broke = members.find((member) => member.broke !== null);
  if (broke) return broke.broke;
  if (left <= 0) return "time stands still: a timer is due at once, again and again";
  const there = new Set([
    ...world.engine.describe("classic").members.map(({ memberId }) => memberId),
    ...(world.engine.describeConsumer("consumer").found?.members ?? []).map(({ member }) => member.memberId),
  ]);
  for (const { id, dead } of members) {
    if (dead && there.has(id)) return `${id} is dead, and a member still`;
    if (!dead && !there.has(id)) return `${id} beats, and is no member`;
  }
  await world.engine.close();
  return null;
}
