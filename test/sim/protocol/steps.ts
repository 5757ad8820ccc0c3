// One step of a world: something happens somewhere, by chance.
import { candidateOf, failed, type Governed, needsLeader, tried } from "../../../hub/cluster/controller.ts";
import * as machine from "../../../hub/cluster/replica.ts";
import type { ElectionKind, PublishedState, ReplicaId } from "../../../hub/cluster/types.ts";
import * as checks from "./checks.ts";
import { append, run, syncJournal, syncLog, truncate } from "./effects.ts";
import { crash, learn, retire, start, swapDisk } from "./faults.ts";
import { deliver, deliverAny, fetch } from "./messages.ts";
import type { Place } from "./node.ts";
import type { Entry } from "./redis.ts";
import { type Action, actions } from "./shape.ts";
import { type Hub, settings, type World } from "./world.ts";

export function step(world: World): void {
  world.stepNumber += 1;
  const chance = world.random();
  const { bounds } = world.shape;
  let kind = 0;
  while (chance >= bounds[kind]!) kind += 1;
  const hub = world.hubs[world.int(world.shape.hubs)]!;
  world.now += 2 + ((chance * 1e6) & 31);
  world.note(kind * 8 + hub.index);
  act(world, hub, actions[kind]!);
  if (world.doomed < 0) return;
  stop(world, world.hubs[world.doomed]!);
  world.doomed = -1;
}

/** A hub stops, and may be back at once. */
function stop(world: World, hub: Hub): void {
  if (!hub.up) return;
  crash(world, hub);
  if (world.random() < world.shape.bounce) start(world, hub);
}

function act(world: World, hub: Hub, action: Action): void {
  const { place } = hub;
  switch (action) {
    case "deliver":
      return deliverAny(world);
    case "fetch":
      return fetch(world, place);
    case "trip":
      return trip(world, place);
    case "journal":
      return syncJournal(world, place, 1 + world.int(place.pending.length));
    case "logSync":
      return syncLog(world, place);
    case "append":
      return append(world, leading(world) ?? place);
    case "publish":
      return publish(world, place);
    case "poll":
      return poll(world, hub);
    case "elect":
      return elect(world, place, world.random() < world.shape.rollCalls ? "roll-call" : "clean");
    case "control":
      return control(world, hub);
    case "read":
      return checks.read(world, place);
    case "cut":
      return truncate(world, place);
    default:
      return disturb(world, hub, action);
  }
}

function disturb(world: World, hub: Hub, action: Action): void {
  const { place } = hub;
  switch (action) {
    case "tick":
      world.now += world.int(1200);
      if (place.replica !== null) run(world, place, machine.tick(place.replica, world.now));
      return;
    case "lose":
      return lose(world, place);
    case "crash":
      return stop(world, hub);
    case "restart":
      return hub.up ? undefined : start(world, hub);
    case "reconfigure":
      return reconfigure(world, leading(world) ?? place);
    case "link":
      return link(world);
    case "redis":
      return redisFault(world);
    case "retire":
      return retire(world, hub);
    case "swapDisk":
      return swapDisk(world, hub);
  }
}

/** Some place that leads; null when none does. */
export function leading(world: World): Place | null {
  const { hubs } = world;
  const first = world.int(hubs.length);
  for (let i = 0; i < hubs.length; i++) {
    const { place } = hubs[(first + i) % hubs.length]!;
    if (place.replica?.role === "leader") return place;
  }
  return null;
}

/** A fetch and its answer without a pause. */
function trip(world: World, place: Place): void {
  const { messages } = world;
  const before = messages.length;
  fetch(world, place);
  if (messages.length !== before + 1) return;
  deliver(world, messages.pop()!);
  if (messages.length > before && world.random() < 0.9) deliver(world, messages.pop()!);
}

export function publish(world: World, place: Place): void {
  const { toPublish, replica } = place;
  if (toPublish === null || replica === null) return;
  const { redis } = world;
  const state = machine.revised(replica, toPublish, place.seen ?? undefined);
  if (state === null) {
    place.toPublish = null;
    return run(world, place, machine.notPublished(replica, toPublish, place.seen ?? undefined, world.now));
  }
  const isStored = redis.cas(place.seenVer, state);
  // the answer may be lost: then it is told once more
  if (isStored && !world.calm && world.random() < world.shape.drop) return;
  // what stands there instead is seen: what to make of it is for the next time
  saw(world, place);
  if (!isStored) return;
  place.toPublish = null;
  place.told = state;
  run(world, place, machine.published(replica, state, world.now));
}

function saw(world: World, place: Place): void {
  see(place, world.redis.entry);
}

function see(place: Place, entry: Entry | null): void {
  place.seenVer = entry?.ver ?? 0;
  place.seen = entry?.state ?? null;
}

function isNewer({ seen, seenVer }: Place, { epoch, ver }: Entry): boolean {
  return seen === null || epoch > seen.leaderEpoch || (epoch === seen.leaderEpoch && ver >= seenVer);
}

/** A hub hears what is published; now and then something that was replaced since. */
export function poll(world: World, hub: Hub): void {
  if (!hub.up) return;
  const { place } = hub;
  const { redis } = world;
  let state = redis.entry?.state ?? null;
  if (world.shape.redisFaults && !world.calm && redis.history.length > 0 && world.random() < 0.15) {
    const old = redis.history[world.int(redis.history.length)]!;
    state = old.state;
    // a hub takes what is newer than what it knows (engine/cluster_memory.ts), and knows nothing when it starts
    if (isNewer(place, old)) see(place, old);
    else if (!world.redisLost) return;
    else place.seen = state;
  } else saw(world, place);
  if (state === null || state === place.told) return;
  place.told = state;
  learn(world, hub);
  if (place.replica === null || state.leader < 0) return;
  if (state.leader - 1 === hub.index) return run(world, place, machine.leaderFound(place.replica, state));
  announced(world, place, state);
}

function announced(world: World, place: Place, state: PublishedState): void {
  const { old, next } = state.config;
  const isThere = (id: ReplicaId): boolean => world.byId.get(id)!.hub === state.leader - 1;
  const leader = old.members.find(isThere) ?? next?.members.find(isThere);
  if (leader === undefined) return;
  run(world, place, machine.leaderAnnounced(place.replica!, state.leaderEpoch, leader, world.now));
}

export function elect(world: World, place: Place, kind: ElectionKind, seenEpoch = place.seen?.leaderEpoch ?? 0): void {
  const { replica } = place;
  if (replica === null) return;
  place.stoodAt = world.stepNumber;
  const published = place.seen ?? undefined;
  run(world, place, machine.tryLead(replica, seenEpoch, kind, world.now, published));
}

function governedBy(world: World, hub: Hub): Governed {
  const { initial } = world;
  const published = hub.place.seen ?? undefined;
  return { topicId: "t", partition: 0, assignment: initial.old.members, m: initial.old.m, unclean: false, published };
}

/** A hub that thinks it is the controller does its work; there may be several. */
export function control(world: World, hub: Hub): void {
  if (!hub.up) return;
  const { attempt } = hub;
  const isDown = (id: number): boolean => !world.hubs[id - 1]!.up || world.isCut(id - 1, hub.index);
  const governed = governedBy(world, hub);
  const lives = (replica: ReplicaId): boolean => world.hubs[world.byId.get(replica)!.hub]!.place.id === replica;
  if (!needsLeader(governed, isDown, lives)) {
    attempt.failures = attempt.tooFew = attempt.nextAt = 0;
    attempt.better = null;
    return;
  }
  if (world.now < attempt.nextAt) return;
  const standing = candidateOf(governed, attempt, isDown, lives);
  if (standing === null) return failed(attempt, world.now);
  const candidate = world.hubs[standing.hub - 1]!.place;
  if (candidate.replica === null) return tried(attempt, null, world.now);
  candidate.asker = hub.index;
  attempt.nextAt = world.now + settings.electionMsMax + 500;
  elect(world, candidate, standing.kind, standing.seenEpoch);
}

/** A leader's connection to some hub is gone. */
function lose(world: World, place: Place): void {
  if (place.replica?.role !== "leader") return;
  run(world, place, machine.peerLost(place.replica, 1 + world.int(world.shape.hubs), world.now));
}

function reconfigure(world: World, place: Place): void {
  const { replica } = place;
  if (replica?.role !== "leader" || !replica.lead!.open) return;
  if (replaceLost(world, place)) return;
  const ids = world.hubs.map((hub) => hub.place.id);
  for (let i = ids.length - 1; i > 0; i--) {
    const j = world.int(i + 1);
    [ids[i], ids[j]] = [ids[j]!, ids[i]!];
  }
  const size = Math.min(ids.length, 2 + world.int(2));
  const m = Math.min(size, world.random() < 0.9 ? 2 : 1 + world.int(size));
  const target = { members: ids.slice(0, size), m };
  if (machine.mayReconfigure(replica, target) !== null) return;
  if (m === 1 && size > 1) world.wasWeak = true;
  world.say?.(`${world.stepNumber} ${place.id} is to change the set to ${target.members.join()} m=${m}`);
  run(world, place, machine.reconfigure(replica, target, world.now));
  if (world.random() < 0.3) return;
  // more often than not the world hears of it before something else happens
  publish(world, place);
  for (const hub of world.hubs) if (target.members.includes(hub.place.id)) poll(world, hub);
}

/** N = m and a member's disk is gone for good: an operator has its hub's new one put in its place. */
function replaceLost(world: World, place: Place): boolean {
  const replica = place.replica!;
  const { old } = replica.state.config;
  const lost = old.members.filter((id) => world.byId.get(id)!.dead);
  if (lost.length === 0) return false;
  const instead = (id: ReplicaId): ReplicaId => world.hubs[world.byId.get(id)!.hub]!.place.id;
  const members = old.members.map((id) => (lost.includes(id) ? instead(id) : id));
  const target = { members, m: old.m };
  if (machine.mayReconfigure(replica, target, lost) !== null) return false;
  world.say?.(`${world.stepNumber} ${place.id} is to replace ${lost.join()} by ${members.join()}`);
  run(world, place, machine.reconfigure(replica, target, world.now, lost));
  publish(world, place);
  for (const hub of world.hubs) if (members.includes(hub.place.id)) poll(world, hub);
  return true;
}

function link(world: World): void {
  const { cuts, shape } = world;
  const { hubs } = shape;
  if (world.random() < 0.45) return void cuts.fill(false);
  const [from, to] = [world.int(hubs), world.int(hubs)];
  cuts[from * hubs + to] = true;
  if (world.random() < 0.6) cuts[to * hubs + from] = true;
}

/** Redis is put back to an earlier state, or emptied; leaders that are asked assert theirs. */
function redisFault(world: World): void {
  const { redis, hubs } = world;
  const chance = world.random();
  world.redisLost = true;
  // hubs notice, sooner or later, and are told everything anew (engine/mending.ts)
  for (const { place } of hubs) place.told = null;
  if (chance < 0.25) redis.entry = null;
  else if (chance < 0.7 && redis.history.length > 0) redis.entry = redis.history[world.int(redis.history.length)]!;
  else {
    const { place } = hubs[world.int(hubs.length)]!;
    if (place.replica?.role === "leader" && place.replica.lead!.open) {
      redis.assert(place.seenVer, machine.publishedOf(place.replica));
    }
  }
}
