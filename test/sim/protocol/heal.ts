// I16 Liveness: when faults stop there is a leader, everybody who can be is in sync, and what is written commits.
import { hasHolders, hasPromises, isMember, membersOf } from "../../../hub/cluster/quorum.ts";
import * as machine from "../../../hub/cluster/replica.ts";
import type { PartitionConfig } from "../../../hub/cluster/types.ts";
import * as checks from "./checks.ts";
import { run, syncJournal, syncLog, truncate } from "./effects.ts";
import { start } from "./faults.ts";
import { deliver, fetch, written } from "./messages.ts";
import type { Place } from "./node.ts";
import { control, poll, publish } from "./steps.ts";
import type { World } from "./world.ts";

const roundMs = 50;
/** 10 s until there is a leader, as long again until all are in sync. */
const roundsMax = 400;

export function heal(world: World): void {
  world.calm = true;
  world.cuts.fill(false);
  for (const hub of world.hubs) if (!hub.up) start(world, hub);
  let probe = -1;
  let leader: Place | null = null;
  for (let i = 0; i < roundsMax; i++) {
    round(world);
    leader = wholeLeader(world);
    if (leader === null) continue;
    if (probe < 0) probe = append(world, leader);
    else if (leader.replica!.highWatermark > probe) return settled(world, leader);
    else if (leader.log.values[probe] === undefined) probe = -1;
  }
  if (isExcused(world)) return;
  world.fail("I16 Liveness", `after ${(roundsMax * roundMs) / 1000} s: ${describe(world)}`);
}

function append(world: World, leader: Place): number {
  const offset = leader.log.logEnd;
  leader.log.append(leader.replica!.epoch, world.nextValue);
  world.nextValue += 1;
  written(world, leader);
  return offset;
}

function round(world: World): void {
  const { hubs, messages } = world;
  world.now += roundMs;
  for (const hub of hubs) {
    const { place } = hub;
    assert(world, place);
    poll(world, hub);
    publish(world, place);
    syncJournal(world, place, place.pending.length);
    syncLog(world, place);
    truncate(world, place);
    fetch(world, place);
    if (place.replica !== null) run(world, place, machine.tick(place.replica, world.now));
  }
  control(world, hubs[0]!);
  for (let i = 0; i < 60 && messages.length > 0; i++) deliver(world, messages.shift()!);
}

/** Redis may have forgotten something: leaders say what they lead (engine/mending.ts). */
function assert(world: World, { replica, seenVer }: Place): void {
  if (replica?.lead?.open) world.redis.assert(seenVer + 1, machine.publishedOf(replica));
}

const isLive = (world: World, id: string): boolean => {
  const place = world.byId.get(id)!;
  return !place.dead && place.replica !== null && !place.replica.halted;
};

/** The leader of the highest epoch, when all who live are in sync with it and no change is under way. */
function wholeLeader(world: World): Place | null {
  let leader: Place | null = null;
  let epoch = -1;
  for (const { place } of world.hubs) {
    const { replica } = place;
    if (replica?.role !== "leader" || replica.epoch <= epoch) continue;
    leader = place;
    epoch = replica.epoch;
  }
  if (leader === null) return null;
  const { lead, state } = leader.replica!;
  if (!lead!.open) return null;
  const whole = membersOf(state.config).every((id) => lead!.isr.has(id) || !isLive(world, id));
  return whole && (state.config.next === null || membersOf(state.config).some((id) => !isLive(world, id)))
    ? leader
    : null;
}

/** Fewer live than the law asks for: there may be no leader, or no commits. */
function isExcused(world: World): boolean {
  if (world.hubs.every(({ place }) => place.replica === null)) return true;
  // Redis is empty and whoever the partition began with is gone: nobody knows any more whom to ask
  if (world.redis.entry === null && !world.initial.old.members.some((id) => isLive(world, id))) return true;
  return world.hubs.some(({ place }) => {
    const { replica } = place;
    return replica !== null && (replica.halted || isStuck(world, replica.state.config));
  });
}

function isStuck(world: World, config: PartitionConfig): boolean {
  const lives = (id: string): boolean => isLive(world, id);
  const counts = (id: string): boolean => {
    if (!isLive(world, id)) return false;
    const { amnesia, tombstone } = world.byId.get(id)!.replica!.state;
    return amnesia === "none" && !tombstone;
  };
  if (membersOf(config).every(lives)) return false;
  return !hasPromises(config, counts) || !hasHolders(config, lives);
}

function settled(world: World, leader: Place): void {
  checks.read(world, leader);
  const { config } = leader.replica!.state;
  for (const { place } of world.hubs) {
    const { replica } = place;
    if (replica?.role !== "follower" || replica.epoch !== leader.replica!.epoch || !isMember(config, place.id))
      continue;
    if (replica.state.acceptedEpoch === replica.epoch) checks.prefixEqual(world, place, leader, place.log.logEnd);
  }
}

function describe(world: World): string {
  const of = (place: Place): string => {
    const { replica } = place;
    if (replica === null) return `${place.id} has no replica`;
    const { role, epoch, leader, highWatermark, state, lead } = replica;
    const isr = lead === null ? "" : ` isr ${[...lead.isr].join()}`;
    return `${place.id} ${role} ${epoch} of ${leader} hw ${highWatermark}/${place.log.logEnd}${isr} ${JSON.stringify(state)}`;
  };
  const published = JSON.stringify(world.redis.entry);
  return `${world.hubs.map(({ place }) => of(place)).join("; ")}; published ${published}`;
}
