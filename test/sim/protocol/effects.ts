// Does what a machine wants done: journal, log, net and Redis of its hub; what outsiders can see goes to the checks.
import * as machine from "../../../hub/cluster/replica.ts";
import { tried } from "../../../hub/cluster/controller.ts";
import type { ElectionFailure, ReplicaEffect, ReplicaId } from "../../../hub/cluster/types.ts";
import * as checks from "./checks.ts";
import { send, written } from "./messages.ts";
import type { Place } from "./node.ts";
import type { World } from "./world.ts";

export function run(world: World, place: Place, effects: readonly ReplicaEffect[]): void {
  if (effects.length === 0) return;
  let persists = false;
  for (let i = 0; i < effects.length; i++) {
    const effect = effects[i]!;
    world.note(effect.kind.length);
    world.say?.(`${world.stepNumber}   ${place.id} ${JSON.stringify(effect)}`);
    if (effect.kind === "persist") {
      place.pending.push(effect);
      persists = true;
    } else perform(world, place, effect);
  }
  checks.epochsHold(world, place);
  if (place.replica !== null) place.config = place.replica.state.config;
  if (persists && world.random() < world.shape.fastJournal) syncJournal(world, place, place.pending.length);
}

function perform(world: World, place: Place, effect: ReplicaEffect): void {
  switch (effect.kind) {
    case "request-votes":
      for (const to of effect.to) toHub(world, place, to, { kind: "ask-vote", request: effect.request });
      return;
    case "answer-vote":
      if (world.shape.voteCrash > 0 && !world.calm && world.random() < world.shape.voteCrash) world.doomed = place.hub;
      return toHub(world, place, effect.to, { kind: "vote", reply: effect.reply });
    case "election-failed":
      return judged(world, place, effect.why);
    case "lead":
      place.feed = -1;
      place.asker = -1;
      return checks.led(world, place, effect.epoch);
    case "resign":
      return;
    case "follow":
      place.feed = world.byId.get(effect.leader)!.hub;
      place.ticket += 1;
      place.armed = false;
      return;
    case "stop-fetching":
      place.feed = -1;
      place.ticket += 1;
      return;
    case "truncate":
      checks.cutAsked(world, place, effect.to);
      place.truncateTo = effect.to;
      return;
    case "watermark":
      return checks.watermark(world, place, effect.from, effect.to);
    case "publish":
      // as engine/publisher.ts: what waits is replaced by what is newer, and a claim by anything
      if (place.toPublish?.claim || (place.toPublish?.state.leaderEpoch ?? -1) <= effect.state.leaderEpoch) {
        place.toPublish = effect;
      }
      return;
    case "alarm":
      return checks.alarmed(world, place, effect.name, effect.detail);
  }
}

/** The controller that asked learns how it ended, as ControllerWork does. */
function judged(world: World, place: Place, why: ElectionFailure): void {
  const { asker } = place;
  place.asker = -1;
  if (asker < 0) return;
  tried(world.hubs[asker]!.attempt, why, world.now);
}

function toHub(world: World, place: Place, to: ReplicaId, letter: Parameters<typeof send>[3]): void {
  const target = world.byId.get(to)!.hub;
  if (target !== place.hub) send(world, place.hub, target, letter);
}

/** The first `count` writes of the journal are on the platter. */
export function syncJournal(world: World, place: Place, count: number): void {
  const { pending, replica } = place;
  if (count === 0 || pending.length === 0 || replica === null) return;
  const { version, state } = pending[count - 1]!;
  checks.journalled(world, place, state);
  place.disk = state;
  pending.splice(0, count);
  place.prove();
  if (state.acceptedEpoch === replica.epoch) checks.accepted(world, place);
  run(world, place, machine.stored(replica, version, world.now));
}

export function syncLog(world: World, place: Place): void {
  const { log, replica } = place;
  log.syncedEnd = log.logEnd;
  if (log.durableEnd === log.logEnd || replica === null) return;
  log.durableEnd = log.logEnd;
  place.prove();
  run(world, place, machine.durable(replica, world.now));
}

/** The log is cut as it was asked for. */
export function truncate(world: World, place: Place): void {
  const { replica, truncateTo } = place;
  if (truncateTo < 0 || replica === null) return;
  place.truncateTo = -1;
  checks.cutting(world, place, truncateTo);
  place.log.truncate(truncateTo);
  if (place.hwSaved > truncateTo) place.hwSaved = truncateTo;
  run(world, place, machine.truncated(replica, world.now));
}

export function append(world: World, place: Place): void {
  const { replica, log } = place;
  if (replica === null || replica.role !== "leader" || !replica.lead!.open || log.logEnd >= world.shape.logMax) return;
  // acks=all is refused while too few are in sync; acks=1 is not
  if (!machine.mayCommit(replica) && world.random() < 0.5) return;
  log.append(replica.epoch, world.nextValue);
  world.nextValue += 1;
  written(world, place);
}
