// Who is in a group of the server-side protocol: comes, goes, is renamed; and answers that wait for the store. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { ConsumerGroup, ConsumerMember } from "./consumer_group.ts";
import { MemberState, release, setPossession, SpecialEpoch } from "./consumer_group.ts";
import { encodeConsumerRecord } from "./consumer_record.ts";
import type { GroupEffect } from "./group.ts";
import { noPartitions } from "./topic_partitions.ts";

/** Notes that something changed that must survive; returns the number of the change. */
export function changed(group: ConsumerGroup): number {
  group.changes += 1;
  return group.changes;
}

/** Stores what has changed, unless a store is under way: then what gathers meanwhile goes with the next one. */
export function storeChanges(group: ConsumerGroup, effects: GroupEffect[]): void {
  if (group.changes === group.stored || group.storing !== 0) return;
  group.storing = group.changes;
  group.storedEpoch = group.epoch;
  effects.push({
    kind: "store-consumer",
    group: group.id,
    epoch: group.epoch,
    record: encodeConsumerRecord(group),
    life: group,
    change: group.changes,
  });
}

/** Answers once the change is stored; at once when it is. */
export function answerAfter(
  group: ConsumerGroup,
  change: number,
  effect: GroupEffect,
  failed: (error: ErrorName) => GroupEffect,
  effects: GroupEffect[],
): void {
  if (change <= group.stored) effects.push(effect);
  else group.held.push({ change, effect, failed });
}

/** A store ended. What could not be stored is tried again with the next event; its answers say to try again, too. */
export function onConsumerStored(group: ConsumerGroup, change: number, error: ErrorName): GroupEffect[] {
  group.storing = 0;
  const effects: GroupEffect[] = [];
  if (error === "NONE") group.stored = Math.max(group.stored, change);
  const waiting: typeof group.held = [];
  for (const answer of group.held) {
    if (answer.change > change) waiting.push(answer);
    else effects.push(error === "NONE" ? answer.effect : answer.failed(error));
  }
  group.held = waiting;
  if (error === "NONE" || waiting.length > 0) storeChanges(group, effects);
  return effects;
}

/** Who joins. */
export interface Newcomer {
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
}

/** Adds a member that owns nothing and has said nothing but who it is. */
export function addConsumerMember(group: ConsumerGroup, from: Newcomer, memberId: string): ConsumerMember {
  const member: ConsumerMember = {
    memberId,
    instanceId: from.instanceId,
    rackId: null,
    clientId: from.clientId,
    clientHost: from.clientHost,
    principal: "",
    rebalanceTimeoutMs: 0,
    topics: [],
    regex: "",
    assignor: null,
    state: MemberState.Stable,
    epoch: SpecialEpoch.Join,
    previousEpoch: SpecialEpoch.Join,
    assigned: noPartitions,
    revoking: noPartitions,
    fenced: false,
    deadline: Infinity,
    revokeDeadline: Infinity,
    changedAt: 0,
    classic: null,
  };
  group.members.set(memberId, member);
  if (member.instanceId !== null) group.staticMembers.set(member.instanceId, memberId);
  return member;
}

/** Takes a member out; its partitions are free, and the next heartbeat makes a target without it. */
export function dropConsumerMember(
  group: ConsumerGroup,
  member: ConsumerMember,
  reason: string,
  effects: GroupEffect[],
): void {
  release(group, member);
  group.members.delete(member.memberId);
  if (member.instanceId !== null && group.staticMembers.get(member.instanceId) === member.memberId) {
    group.staticMembers.delete(member.instanceId);
  }
  group.epoch += 1;
  changed(group);
  effects.push({ kind: "member-gone", group: group.id, memberId: member.memberId, reason });
}

/** A static member says that it comes back: its partitions wait for it until its session ends (KIP-345). */
export function leaveForAWhile(group: ConsumerGroup, member: ConsumerMember): void {
  setPossession(group, member, member.assigned, noPartitions);
  member.state = MemberState.Stable;
  member.epoch = SpecialEpoch.LeaveStatic;
  member.revokeDeadline = Infinity;
  member.changedAt = changed(group);
}

/** The member owns nothing any more. */
export function releaseAll(group: ConsumerGroup, member: ConsumerMember): void {
  setPossession(group, member, noPartitions, noPartitions);
  member.state = MemberState.Stable;
  member.revokeDeadline = Infinity;
}

/** A static member's next self takes its place, its partitions and its target; order, and with it range, stays. */
export function renameMember(
  group: ConsumerGroup,
  old: ConsumerMember,
  memberId: string,
  effects: GroupEffect[],
): ConsumerMember {
  if (memberId === old.memberId) return old;
  const member: ConsumerMember = { ...old, memberId };
  release(group, old);
  const members = [...group.members.values()];
  group.members.clear();
  for (const each of members) group.members.set(each === old ? memberId : each.memberId, each === old ? member : each);
  if (member.instanceId !== null) group.staticMembers.set(member.instanceId, memberId);
  const target = new Map(group.target);
  target.set(memberId, target.get(old.memberId) ?? noPartitions);
  target.delete(old.memberId);
  group.target = target;
  setPossession(group, member, old.assigned, noPartitions);
  member.state = MemberState.Stable;
  member.revokeDeadline = Infinity;
  const reason = `replaced by ${memberId} of the same group.instance.id`;
  effects.push({ kind: "member-gone", group: group.id, memberId: old.memberId, reason });
  return member;
}

/** Time has passed: sessions that ended, partitions that were not given back, classic members that did not come. */
export function onConsumerTick(group: ConsumerGroup, now: Millis): GroupEffect[] {
  const effects: GroupEffect[] = [];
  for (const member of [...group.members.values()]) {
    const reason = whyGone(member, now);
    if (reason !== null) dropConsumerMember(group, member, reason, effects);
  }
  return effects;
}

function whyGone(member: ConsumerMember, now: Millis): string | null {
  if (member.deadline <= now) return "session timed out";
  if (member.revokeDeadline <= now) return "did not give partitions back within the rebalance timeout";
  if (member.classic === null) return null;
  if (member.classic.joinDeadline <= now) return "did not rejoin within the rebalance timeout";
  return member.classic.syncDeadline <= now ? "sent no SyncGroup" : null;
}
