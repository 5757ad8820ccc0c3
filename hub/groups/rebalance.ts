// How a group moves from one generation to the next: prepare, wait for the members, complete. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { Group, GroupEffect, GroupSettings, JoinReply, Member } from "./group.ts";
import {
  GroupState,
  joinError,
  metadataFor,
  rebalanceTimeoutOf,
  recordOf,
  selectProtocol,
  syncError,
} from "./group.ts";

/** Answers the member's parked JoinGroup, if there is one, with an error. */
export function refuseJoin(member: Member, error: ErrorName, effects: GroupEffect[]): void {
  if (member.joinRequest === null) return;
  effects.push({ kind: "answer-join", request: member.joinRequest, reply: joinError(error, member.memberId) });
  member.joinRequest = null;
}

/** Answers the member's parked SyncGroup, if there is one, with an error; its session runs again. */
export function refuseSync(member: Member, error: ErrorName, now: Millis, effects: GroupEffect[]): void {
  if (member.syncRequest === null) return;
  effects.push({ kind: "answer-sync", request: member.syncRequest, reply: syncError(error) });
  member.syncRequest = null;
  member.deadline = now + member.sessionTimeoutMs;
}

/** Takes all assignments back; who waits for one is told `error`. */
export function resetAssignments(group: Group, error: ErrorName, now: Millis, effects: GroupEffect[]): void {
  for (const member of group.members.values()) {
    member.assignment = new Uint8Array(0);
    refuseSync(member, error, now, effects);
  }
  group.storing = false;
}

/**
 * Begins a rebalance unless one is being prepared already. From Empty the group waits
 * `group.initial.rebalance.delay.ms` for company (KIP-134), else for all members up to the longest rebalance timeout.
 */
export function prepareRebalance(
  group: Group,
  reason: string,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  if (group.state === GroupState.PreparingRebalance || group.state === GroupState.Dead) return;
  if (group.state === GroupState.CompletingRebalance) resetAssignments(group, "REBALANCE_IN_PROGRESS", now, effects);
  group.pendingSync.clear();
  group.syncDeadline = Infinity;
  const timeout = rebalanceTimeoutOf(group);
  if (group.state === GroupState.Empty) {
    const delay = settings.initialRebalanceDelayMs;
    group.initialWait = { remainingMs: Math.max(timeout - delay, 0), newMember: false };
    group.joinDeadline = now + delay;
  } else {
    group.initialWait = null;
    group.joinDeadline = now + timeout;
  }
  group.state = GroupState.PreparingRebalance;
  effects.push({ kind: "rebalance", group: group.id, generation: group.generation, reason });
}

/** Completes the preparation when nobody is missing; a group that began from Empty waits its delay out instead. */
export function maybeCompleteJoin(group: Group, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  if (group.state !== GroupState.PreparingRebalance) return;
  if (group.initialWait !== null && group.members.size > 0) return;
  if (group.pending.size > 0 && group.members.size > 0) return;
  for (const member of group.members.values()) if (member.joinRequest === null) return;
  completeJoin(group, now, settings, effects);
}

/** The wait is over: extended while newcomers arrive at a group that began from Empty, else the join completes. */
export function onJoinDeadline(group: Group, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  const wait = group.initialWait;
  if (wait !== null && wait.newMember && wait.remainingMs > 0) {
    const delay = Math.min(settings.initialRebalanceDelayMs, wait.remainingMs);
    wait.newMember = false;
    wait.remainingMs -= delay;
    group.joinDeadline = now + delay;
    return;
  }
  completeJoin(group, now, settings, effects);
}

/** Leader stays when it joined again; else the first member that did. Null when nobody waits for the answer. */
function electLeader(group: Group): string | null {
  const present = group.leader === null ? undefined : group.members.get(group.leader);
  if (present !== undefined && present.joinRequest !== null) return present.memberId;
  for (const member of group.members.values()) if (member.joinRequest !== null) return member.memberId;
  return null;
}

function completeJoin(group: Group, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  for (const member of [...group.members.values()]) {
    // A static member keeps its place until its session ends: it may be restarting.
    if (member.joinRequest !== null || member.instanceId !== null) continue;
    dropMember(group, member, "did not rejoin within the rebalance timeout", now, effects);
  }
  group.initialWait = null;
  if (group.members.size === 0) {
    becomeEmpty(group, now, effects);
    return;
  }
  const leader = electLeader(group);
  if (leader === null) {
    group.joinDeadline = now + rebalanceTimeoutOf(group);
    return;
  }
  group.leader = leader;
  group.joinDeadline = Infinity;
  group.generation += 1;
  group.protocolName = selectProtocol(group);
  group.state = GroupState.CompletingRebalance;
  group.storing = false;
  group.syncDeadline = now + rebalanceTimeoutOf(group);
  for (const member of group.members.values()) {
    group.pendingSync.add(member.memberId);
    if (member.joinRequest === null) continue;
    effects.push({ kind: "answer-join", request: member.joinRequest, reply: joinedReply(group, member, true) });
    member.joinRequest = null;
    member.isNew = false;
    member.deadline = now + member.sessionTimeoutMs;
  }
}

/** The answer of the current generation; the leader alone sees who else is there (when `tellLeader`). */
export function joinedReply(group: Group, member: Member, tellLeader: boolean): JoinReply {
  const leads = tellLeader && group.leader === member.memberId;
  return {
    error: "NONE",
    generation: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leader ?? "",
    memberId: member.memberId,
    skipAssignment: false,
    members: leads ? memberList(group) : [],
  };
}

/** All members with their metadata for the chosen protocol. */
export function memberList(group: Group): JoinReply["members"] {
  return [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    metadata: metadataFor(member, group.protocolName),
  }));
}

function becomeEmpty(group: Group, now: Millis, effects: GroupEffect[]): void {
  group.generation += 1;
  group.protocolName = null;
  group.leader = null;
  group.joinDeadline = Infinity;
  group.syncDeadline = Infinity;
  group.state = GroupState.Empty;
  group.emptyMs = 0;
  group.emptyMsStored = 0;
  group.emptyCountedAt = now;
  effects.push({ kind: "store", group: group.id, record: recordOf(group), then: { kind: "nothing" } });
}

/** Takes a member out of the tables and answers what it has parked; the caller decides about a rebalance. */
export function dropMember(group: Group, member: Member, reason: string, now: Millis, effects: GroupEffect[]): void {
  refuseJoin(member, "UNKNOWN_MEMBER_ID", effects);
  refuseSync(member, "UNKNOWN_MEMBER_ID", now, effects);
  group.members.delete(member.memberId);
  group.pendingSync.delete(member.memberId);
  if (member.instanceId !== null && group.staticMembers.get(member.instanceId) === member.memberId) {
    group.staticMembers.delete(member.instanceId);
  }
  if (group.leader === member.memberId) group.leader = group.members.keys().next().value ?? null;
  effects.push({ kind: "member-gone", group: group.id, memberId: member.memberId, reason });
}

/**
 * What a loss means for the state, after members and pending ids were taken out: members that left (`effects` tells)
 * make the rest rebalance; an id that was never used only stops holding up a rebalance under way.
 */
export function afterLoss(group: Group, effects: GroupEffect[], now: Millis, settings: GroupSettings): void {
  const lost = effects.find((effect) => effect.kind === "member-gone");
  const waits = group.state === GroupState.Stable || group.state === GroupState.CompletingRebalance;
  if (waits && lost !== undefined) {
    prepareRebalance(group, `${lost.memberId} ${lost.reason}`, now, settings, effects);
  }
  maybeCompleteJoin(group, now, settings, effects);
}
