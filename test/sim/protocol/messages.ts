// What travels between hubs, and what it does where it arrives.
import * as machine from "../../../hub/cluster/replica.ts";
import type { Epoch, FollowerFetch, LeaderWord, VoteReply, VoteRequest } from "../../../hub/cluster/types.ts";
import { run } from "./effects.ts";
import type { Place } from "./node.ts";
import type { World } from "./world.ts";

interface Envelope {
  readonly from: number;
  readonly to: number;
  /** Runs of both processes when it was sent. */
  readonly fromBoot: number;
  readonly toBoot: number;
}

export type Letter =
  | { readonly kind: "ask-vote"; readonly request: VoteRequest }
  | { readonly kind: "vote"; readonly reply: VoteReply }
  | { readonly kind: "fetch"; readonly fetch: FollowerFetch; readonly ticket: number; readonly armed: boolean }
  | {
      readonly kind: "word";
      readonly ticket: number;
      readonly word: LeaderWord;
      readonly diverging: { readonly epoch: Epoch; readonly endOffset: number } | null;
      /** Pairs (epoch, value) from `base` on; null where none were asked for. */
      readonly records: readonly number[] | null;
      readonly base: number;
    }
  | { readonly kind: "refusal"; readonly ticket: number; readonly epoch: Epoch; readonly leader: number };

export interface Message extends Envelope {
  readonly letter: Letter;
}

const underWayMax = 40;

export function send(world: World, from: number, to: number, letter: Letter): void {
  const { messages, hubs } = world;
  const message = { from, to, fromBoot: hubs[from]!.boot, toBoot: hubs[to]!.boot, letter };
  if (messages.length < underWayMax) messages.push(message);
  else messages[world.int(underWayMax)] = message;
}

/** Any message that is under way arrives, is lost, or arrives and will arrive once more. */
export function deliverAny(world: World): void {
  const { messages, shape } = world;
  const { length } = messages;
  if (length === 0) return;
  const at = world.int(length);
  const message = messages[at]!;
  const chance = world.random();
  if (chance >= shape.duplicate) {
    messages[at] = messages[length - 1]!;
    messages.pop();
    if (chance > 1 - shape.drop) return;
  }
  deliver(world, message);
}

export function deliver(world: World, message: Message): void {
  const { from, to, letter } = message;
  const hub = world.hubs[to]!;
  const place = hub.place;
  if (!hub.up || place.replica === null || hub.boot !== message.toBoot || world.isCut(from, to)) return;
  world.say?.(`${world.stepNumber} ${letter.kind} ${from + 1} -> ${to + 1} ${JSON.stringify(letter)}`);
  switch (letter.kind) {
    case "ask-vote":
      return run(world, place, machine.voteRequested(place.replica, letter.request, world.now));
    case "vote":
      return run(world, place, machine.voteAnswered(place.replica, letter.reply, world.now));
    case "fetch":
      return fetched(world, place, message, letter);
    case "word":
      return answered(world, place, from, letter);
    case "refusal":
      if (letter.ticket !== place.ticket) return;
      place.armed = false;
      run(world, place, machine.leaderRefused(place.replica, letter.epoch, "FENCED_LEADER_EPOCH", world.now));
      return letter.leader < 0 ? undefined : announce(world, place, letter.epoch, letter.leader);
  }
}

/** A leader's side of a fetch; a new connection of a follower has taken the place of its old ones. */
function fetched(world: World, place: Place, message: Message, letter: Letter & { kind: "fetch" }): void {
  const replica = place.replica!;
  const { from, fromBoot } = message;
  const { fetch, ticket, armed } = letter;
  if ((place.feedBoots[from] ?? 0) > fromBoot) return;
  place.feedBoots[from] = fromBoot;
  const verdict = machine.followerFetched(replica, fetch, world.now);
  run(world, place, verdict.effects);
  if (verdict.kind === "refuse") {
    const leader = replica.leader === null ? -1 : world.byId.get(replica.leader)!.hub;
    return send(world, place.hub, from, { kind: "refusal", ticket, epoch: replica.epoch, leader });
  }
  const { word } = verdict;
  const position = fetch.position ?? fetch.offset;
  const serves = armed && verdict.kind === "serve" && place.replica?.role === "leader";
  const records = serves ? cutOut(world, place, position) : null;
  const diverging = verdict.kind === "diverging" ? { epoch: verdict.epoch, endOffset: verdict.endOffset } : null;
  send(world, place.hub, from, { kind: "word", ticket, word, diverging, records, base: position });
}

function cutOut(world: World, { log }: Place, from: number): number[] {
  const to = Math.min(log.logEnd, from + 1 + world.int(4));
  const records: number[] = [];
  for (let at = from; at < to; at++) records.push(log.epochs[at]!, log.values[at]!);
  return records;
}

function answered(world: World, place: Place, from: number, letter: Letter & { kind: "word" }): void {
  const replica = place.replica!;
  const { word, diverging, records, base } = letter;
  if (letter.ticket !== place.ticket || place.feed !== from) return;
  if (diverging !== null || records !== null) place.armed = false;
  const { append, effects } = machine.leaderAnswered(replica, word, diverging, world.now);
  run(world, place, effects);
  if (!append || records === null || records.length === 0 || base !== place.log.logEnd) return;
  for (let i = 0; i < records.length; i += 2) place.log.append(records[i]!, records[i + 1]!);
  written(world, place);
}

/** Something was written to a log: it may count as durable at once, or after a sync. */
export function written(world: World, place: Place): void {
  const { log } = place;
  if (!world.shape.always) log.durableEnd = log.logEnd;
  else if (world.random() < world.shape.fastLog) log.durableEnd = log.syncedEnd = log.logEnd;
  durable(world, place);
}

export function durable(world: World, place: Place): void {
  place.prove();
  if (place.replica !== null) run(world, place, machine.durable(place.replica, world.now));
}

/** Somebody says that a hub leads. */
export function announce(world: World, place: Place, epoch: Epoch, hub: number): void {
  const replica = place.replica!;
  if (hub === place.hub) return;
  const { old, next } = replica.state.config;
  const leader =
    old.members.find((member) => world.byId.get(member)!.hub === hub) ??
    next?.members.find((member) => world.byId.get(member)!.hub === hub);
  if (leader !== undefined) run(world, place, machine.leaderAnnounced(replica, epoch, leader, world.now));
}

/** A follower says where it is; once more, if it is armed already, as an acknowledgement alone. */
export function fetch(world: World, place: Place): void {
  const { replica } = place;
  if (replica === null || place.feed < 0) return;
  const said = machine.fetchOf(replica);
  if (said === null) return;
  const { byId } = world;
  place.prove();
  const claimed = said.accepted ? place.proofOf(said.epoch) : 0;
  if (said.accepted && claimed < said.offset) {
    world.fail("I7", `${place.id} claims ${said.offset} in epoch ${said.epoch}, its disk shows ${claimed}`);
  }
  const armed = !place.armed || world.random() < 0.5;
  if (armed) place.ticket += 1;
  place.armed = true;
  const to = byId.get(replica.leader!)!.hub;
  send(world, place.hub, to, { kind: "fetch", fetch: said, ticket: place.ticket, armed });
}
