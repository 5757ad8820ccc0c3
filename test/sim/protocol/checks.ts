// The invariants of replication.md 2.12 as an observer checks them: by what disks hold, not by what machines believe.
import { hasHolders, hasPromises } from "../../../hub/cluster/quorum.ts";
import type { Epoch, PartitionConfig, ReplicaAlarm, StoredReplica } from "../../../hub/cluster/types.ts";
import type { Place } from "./node.ts";
import type { World } from "./world.ts";

/** One replica alone may commit, and not be the only one. */
function isThin({ old, next }: PartitionConfig): boolean {
  return (old.m === 1 && old.members.length > 1) || (next !== null && next.m === 1 && next.members.length > 1);
}

/** What was committed with m = 1 survives only as long as Redis keeps its word (replication.md 2.0). */
function mayForget({ redisLost }: World): boolean {
  return redisLost;
}

/** I4 EpochMonotonic, in memory. */
export function epochsHold(world: World, place: Place): void {
  const { replica, log } = place;
  if (replica === null) return;
  const { promisedEpoch, acceptedEpoch } = replica.state;
  if (promisedEpoch >= acceptedEpoch && promisedEpoch >= log.latestEpoch) return;
  world.fail(
    "I4 EpochMonotonic",
    `${place.id} promised ${promisedEpoch}, accepted ${acceptedEpoch}, log ${log.latestEpoch}`,
  );
}

/** I4 EpochMonotonic, on disk. */
export function journalled(world: World, place: Place, next: StoredReplica): void {
  const { disk } = place;
  if (next.amnesia !== "none" || next.tombstone) place.forgetfulAt = world.stepNumber;
  if (disk === null) return;
  const { epoch, n } = disk.config.id;
  const { id } = next.config;
  const grows = id.epoch > epoch || (id.epoch === epoch && id.n >= n);
  if (grows && next.promisedEpoch >= disk.promisedEpoch && next.acceptedEpoch >= disk.acceptedEpoch) return;
  world.fail("I4 EpochMonotonic", `${place.id} goes back from ${JSON.stringify(disk)} to ${JSON.stringify(next)}`);
}

/** N = m: a lost disk may have led by its own promise alone; its hub may take an epoch again that nobody heard of. */
function isForgotten(world: World, leader: Place, epoch: Epoch): boolean {
  return leader.dead && world.places.every(({ dead, log }) => dead || !log.epochs.includes(epoch));
}

/** I3 OneLeaderPerEpoch, and I1 CommittedDurable: a leader holds what lower epochs committed. */
export function led(world: World, place: Place, epoch: Epoch): void {
  const { leaders, values, epochs, weak } = world.ledger;
  world.ledger.elections += 1;
  world.note(epoch);
  if (place.disk?.acceptedEpoch !== epoch) world.fail("I4", `${place.id} leads ${epoch} before its disk has it`);
  for (let i = 0; i < leaders.length; i += 2) {
    if (leaders[i] === epoch && !isForgotten(world, world.places[leaders[i + 1]!]!, epoch))
      world.fail("I3 OneLeaderPerEpoch", `${place.id} leads ${epoch} as place ${leaders[i + 1]} did`);
  }
  leaders.push(epoch, place.index);
  for (let at = 0; at < values.length; at++) {
    if (epochs[at]! >= epoch || place.log.values[at] === values[at]) continue;
    if (world.tainted) return;
    if (mayGo(world, at)) return forget(world, at);
    const { config } = place.replica!.state;
    world.fail(
      "I1 CommittedDurable",
      `${place.id} leads ${epoch} (config ${JSON.stringify(config)}) without offset ${at}`,
    );
  }
}

/** It was committed with m = 1, and Redis may have forgotten who had it. */
const mayGo = (world: World, at: number): boolean => world.ledger.weak[at]! && mayForget(world);

/** What was committed from `at` on is lost, as it may be. */
function forget(world: World, at: number): void {
  const { ledger } = world;
  ledger.losses += 1;
  ledger.values.length = at;
  ledger.epochs.length = at;
  ledger.weak.length = at;
  ledger.answered.length = 0;
}

/** What may be read has grown somewhere. */
export function watermark(world: World, place: Place, from: number, to: number): void {
  const { values } = world.ledger;
  const { log, replica } = place;
  world.note(to);
  if (world.tainted) return;
  if (to > log.logEnd) world.fail("I5 NoUncommittedRead", `${place.id} shows ${to} of ${log.logEnd}`);
  if (replica!.role === "leader") return committed(world, place, to);
  for (let at = from; at < to; at++) {
    if (values[at] === log.values[at]) continue;
    if (mayGo(world, at) || (at >= values.length && world.ledger.losses > 0)) return;
    world.fail("I2 OneRecordPerOffset", `${place.id} shows ${log.values[at]} at ${at}, committed is ${values[at]}`);
  }
}

/** I2, I7 MinIsr and I18 AckMeansFsync: a leader says that everything below `to` is committed. */
function committed(world: World, place: Place, to: number): void {
  const { values, epochs, weak, leaders } = world.ledger;
  const { log, replica } = place;
  const { epoch } = replica!;
  const { config } = replica!.state;
  // it may have moved on to another set since it counted
  const before = place.config;
  if (before === null || before === config || !isHeld(world, before, epoch, to)) mustHold(world, config, epoch, to);
  const isM1 = isThin(config) || (before !== null && isThin(before));
  const isWeakNow = isM1 && mayForget(world);
  for (let at = 0; at < to; at++) {
    if (at < values.length) {
      if (values[at] !== log.values[at]) {
        if (!mayGo(world, at))
          world.fail("I2 OneRecordPerOffset", `${place.id} commits another record at ${at} in ${epoch}`);
        forget(world, at);
      } else if (weak[at] && !isM1) weak[at] = false;
    }
    if (at < values.length) continue;
    values.push(log.values[at]!);
    epochs.push(epoch);
    weak.push(isM1);
    world.ledger.commits += 1;
  }
  if (isWeakNow) return;
  for (let i = 0; i < leaders.length; i += 2) {
    if (leaders[i]! <= epoch) continue;
    const later = world.places[leaders[i + 1]!]!;
    if (later.replica?.role !== "leader" || later.replica.epoch !== leaders[i]) continue;
    for (let at = 0; at < to; at++) {
      if (later.log.values[at] === log.values[at]) continue;
      world.fail(
        "I1 CommittedDurable",
        `${place.id} commits ${at} in ${epoch}; ${later.id} leads ${leaders[i]} without`,
      );
    }
  }
}

function isHeld(world: World, config: PartitionConfig, epoch: Epoch, to: number): boolean {
  return hasHolders(config, (member) => world.byId.get(member)!.proofOf(epoch) >= to);
}

/** At least m of each set were seen to hold it durably in that epoch. */
export function mustHold(world: World, config: PartitionConfig, epoch: Epoch, to: number): void {
  if (isHeld(world, config, epoch, to)) return;
  const proofs = world.places.map((place) => `${place.id} ${place.proofOf(epoch)}`).join(", ");
  world.fail("I7 MinIsr", `${to} is committed in ${epoch} under ${JSON.stringify(config)}; durable are ${proofs}`);
}

/** I9 PrefixEqual: who has accepted a leader's epoch has what it has. */
export function accepted(world: World, place: Place): void {
  const { replica, log } = place;
  if (replica!.role !== "follower" || place.truncateTo >= 0) return;
  const leader = world.byId.get(replica!.leader!)!;
  if (leader.replica?.role !== "leader" || leader.replica.epoch !== replica!.epoch) return;
  prefixEqual(world, place, leader, log.logEnd);
}

export function prefixEqual(world: World, one: Place, other: Place, to: number): void {
  for (let at = 0; at < to && at < other.log.logEnd; at++) {
    if (one.log.values[at] === other.log.values[at]) continue;
    world.fail("I9 PrefixEqual", `${one.id} and ${other.id} differ at ${at}`);
  }
  if (to > other.log.logEnd) world.fail("I9 PrefixEqual", `${one.id} follows ${other.id} and is longer`);
}

export function cutAsked(world: World, place: Place, to: number): void {
  const { replica } = place;
  if (to < replica!.highWatermark) world.fail("I8 NoTruncateBelowHw", `${place.id} cuts to ${to}`);
}

/** A leader's log only grows. */
export function cutting(world: World, place: Place, to: number): void {
  const { role } = place.replica!;
  if (role === "leader" && to < place.log.logEnd) {
    world.fail("I8 NoTruncateBelowHw", `${place.id} cuts to ${to} of ${place.log.logEnd} while it leads`);
  }
}

export function alarmed(world: World, place: Place, name: ReplicaAlarm, detail: string): void {
  const { replica } = place;
  if (name === "unclean_leader") world.tainted = true;
  if (name === "possible_loss") return rollCalled(world, place);
  if (name === "hw_truncation" && replica!.halted && !world.tainted && !(world.wasWeak && mayForget(world))) {
    world.fail("I8 NoTruncateBelowHw", `${place.id} ${detail}`);
  }
  if (name === "config_changed") {
    world.ledger.changes += 1;
    configChanged(world, place);
  }
}

/** What is committed must be held by m of the new set before that set decides alone. */
function configChanged(world: World, place: Place): void {
  const { epoch, state, highWatermark } = place.replica!;
  const { config } = state;
  const { weak } = world.ledger;
  if (config.next !== null) return;
  // from now on all of it lives by what Redis keeps
  if (isThin(config)) return void weak.fill(true);
  mustHold(world, config, epoch, highWatermark);
  for (let at = 0; at < highWatermark; at++) weak[at] = false;
}

/** A roll call may lose something only where fewer than R replicas count. */
function rollCalled(world: World, place: Place): void {
  const { replica, log } = place;
  const { values } = world.ledger;
  const since = place.stoodAt;
  const counts = (id: string): boolean => {
    const { disk, forgetfulAt, dead } = world.byId.get(id)!;
    return !dead && forgetfulAt < since && (disk === null || (disk.amnesia === "none" && !disk.tombstone));
  };
  for (let at = 0; at < values.length; at++) {
    if (log.values[at] === values[at]) continue;
    if (hasPromises(replica!.state.config, counts)) {
      world.fail("I1 CommittedDurable", `${place.id} leads by roll call without offset ${at}, though R replicas count`);
    }
    return forget(world, at);
  }
}

/** I6 HwMonotonicToClients: the latest offset that a leader answers never goes back, from epoch to epoch. */
export function read(world: World, place: Place): void {
  const { replica } = place;
  if (replica === null || replica.role !== "leader" || !replica.lead!.open) return;
  const { epoch, highWatermark, epochStart } = replica;
  if (highWatermark < epochStart || world.tainted || (isThin(replica.state.config) && mayForget(world))) return;
  const { answered } = world.ledger;
  for (let i = 0; i < answered.length; i += 2) {
    if (answered[i]! > epoch || answered[i + 1]! <= highWatermark) continue;
    world.fail(
      "I6 HwMonotonicToClients",
      `${place.id} answers ${highWatermark} in ${epoch}, ${answered[i + 1]} was told`,
    );
  }
  const last = answered.length - 2;
  if (last >= 0 && answered[last] === epoch) answered[last + 1] = highWatermark;
  else answered.push(epoch, highWatermark);
}
