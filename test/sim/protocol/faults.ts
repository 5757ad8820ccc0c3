// What happens to hubs and their disks: kills, power cuts, starts, disks replaced, replicas removed.
import * as machine from "../../../hub/cluster/replica.ts";
import { compareConfigs, isMember } from "../../../hub/cluster/quorum.ts";
import type { StoredReplica } from "../../../hub/cluster/types.ts";
import { SimLog } from "./log.ts";
import type { Place } from "./node.ts";
import { type Hub, settings, type World } from "./world.ts";

/** The process ends: by a kill (the page cache stays) or with the power. */
export function crash(world: World, hub: Hub): void {
  const { place } = hub;
  const cut = world.random() < world.shape.powerCut;
  world.say?.(`${world.stepNumber} hub ${hub.index + 1} ${cut ? "loses power" : "is killed"}`);
  hub.up = false;
  const { replica, pending, log } = place;
  if (replica === null) return;
  // of what the journal was given last, any beginning may have reached the platter
  const kept = world.int(pending.length + 1);
  if (kept > 0) place.disk = pending[kept - 1]!.state;
  pending.length = 0;
  if (place.truncateTo >= 0 && world.random() < 0.5) log.truncate(place.truncateTo);
  place.truncateTo = -1;
  if (world.random() < 0.5) place.hwSaved = replica.highWatermark;
  place.replica = null;
  place.feed = -1;
  place.ticket += 1;
  place.toPublish = null;
  place.seen = null;
  place.told = null;
  place.seenVer = 0;
  place.feedBoots.length = 0;
  if (cut) losePages(world, place);
}

/** A power cut keeps what is synced, and any beginning of the rest. */
function losePages(world: World, place: Place): void {
  const { log } = place;
  if (log.syncedEnd === log.logEnd) return;
  const counted = log.durableEnd;
  log.truncate(log.syncedEnd + world.int(log.logEnd - log.syncedEnd + 1));
  // under `always` nothing that counted was lost; else who can tell
  if (!world.shape.always || log.logEnd < counted) shorten(world, place);
}

/** The store reports a short log; that is on disk before the hub joins the network. */
function shorten(world: World, place: Place): void {
  place.disk = found(world, place, true);
  place.forgetfulAt = world.stepNumber;
}

function found(world: World, place: Place, short = false): StoredReplica {
  return machine.foundState(place.id, place.disk ?? undefined, world.initial, world.redis.entry?.state, short);
}

export function start(world: World, hub: Hub): void {
  const { place } = hub;
  hub.up = true;
  hub.boot += 1;
  open(world, place);
}

/** What a hub finds on its disk becomes a machine again. */
function open(world: World, place: Place): void {
  const { log } = place;
  const published = world.redis.entry?.state;
  // a hub that is not among the replicas, and not about to be, has none
  const named = (id: string): boolean =>
    isMember(world.initial, id) ||
    (published !== undefined && (isMember(published.config, id) || published.learners.includes(id)));
  if (place.disk === null && !named(place.id)) return;
  const state = found(world, place);
  if (state.amnesia !== "none" || state.tombstone) place.forgetfulAt = world.stepNumber;
  // everything written is synced before the hub goes on
  log.syncedEnd = log.durableEnd = log.logEnd;
  const watermark = world.random() < 0.5 ? 0 : Math.min(place.hwSaved, log.logEnd);
  place.replica = machine.newReplica(place.id, log, state, settings, watermark, world.now);
  world.say?.(`${world.stepNumber} ${place.id} starts with ${JSON.stringify(state)}, log ${log.epochs.join()}`);
}

/** What is published names a hub that has no replica yet: it opens one, as a learner. */
export function learn(world: World, hub: Hub): void {
  const { place } = hub;
  if (place.replica === null) return open(world, place);
  const { state } = place.replica;
  const published = place.seen;
  if (!state.tombstone || published === null || published.config.id.epoch < state.config.id.epoch) return;
  if (!published.learners.includes(place.id) && !isMember(published.config, place.id)) return;
  place.disk = machine.returnedState(state);
  place.forgetfulAt = world.stepNumber;
  place.pending.length = 0;
  place.replica = machine.newReplica(place.id, place.log, place.disk, settings, 0, world.now);
}

/** A replica that the config in force does not name lets its data go; its promises stay. */
export function retire(world: World, hub: Hub): void {
  const { place } = hub;
  const { replica, disk, pending } = place;
  if (replica === null || disk === null || pending.length > 0 || disk.tombstone || disk.amnesia === "lost") return;
  if (disk.config.next !== null || isMember(disk.config, place.id) || replica.role === "leader") return;
  if (replica.role === "candidate") return;
  // as engine/replicas.ts: the world has to know a set without it, and not to want it again
  const { seen } = place;
  if (seen === null || compareConfigs(seen.config.id, disk.config.id) < 0 || isMember(seen.config, place.id)) return;
  if (seen.learners.includes(place.id)) return;
  world.say?.(`${world.stepNumber} ${place.id} lets its data go`);
  place.disk = machine.buriedState(disk);
  place.forgetfulAt = world.stepNumber;
  place.log = new SimLog();
  place.hwSaved = 0;
  place.truncateTo = -1;
  place.feed = -1;
  place.ticket += 1;
  place.replica = machine.newReplica(place.id, place.log, found(world, place), settings, 0, world.now);
}

/** A stopped hub comes back with an empty disk: another replica. */
export function swapDisk(world: World, hub: Hub): void {
  if (hub.up || world.places.length >= 8) return;
  // an operator replaces one card at a time, and lets the set become whole again
  for (const { dead, id } of world.places) if (dead && isNeeded(world, id)) return;
  world.say?.(`${world.stepNumber} hub ${hub.index + 1} gets another disk`);
  hub.place.dead = true;
  hub.place = world.addPlace(hub.index);
}

function isNeeded(world: World, id: string): boolean {
  return world.places.some(({ disk, dead }) => !dead && disk !== null && isMember(disk.config, id));
}
