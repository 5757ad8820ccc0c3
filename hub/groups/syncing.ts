// SyncGroup, Heartbeat, LeaveGroup and the clock: what happens to a group between two joins. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { Continuation, Group, GroupEffect, GroupSettings, Member, RequestId } from "./group.ts";
import { checkMember, GroupState, recordOf, syncError } from "./group.ts";
import { afterLoss, dropMember, onJoinDeadline, prepareRebalance, refuseSync, resetAssignments } from "./rebalance.ts";

/** How a member names itself in its calls. */
export interface MemberClaim {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Of the OffsetCommit that bears it; left out, the bearer knows member epochs. */
  readonly version?: number;
}

export interface SyncEvent extends MemberClaim {
  readonly group: string;
  readonly request: RequestId;
  /** v5+; null when the client does not say. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** From the leader alone; member id -> opaque bytes. */
  readonly assignments: ReadonlyMap<string, Uint8Array>;
}

/** The member is there, is not fenced, and is of this generation. */
function checkClaim(group: Group, claim: MemberClaim): ErrorName {
  if (group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  const error = checkMember(group, claim.memberId, claim.instanceId);
  if (error !== "NONE") return error;
  return claim.generation === group.generation ? "NONE" : "ILLEGAL_GENERATION";
}

/** Takes a SyncGroup. The answer may come with a later event. */
export function onSync(group: Group, event: SyncEvent, now: Millis, settings: GroupSettings): GroupEffect[] {
  const error = checkSync(group, event);
  const member = group.members.get(event.memberId);
  if (error !== "NONE" || member === undefined) {
    return [{ kind: "answer-sync", request: event.request, reply: syncError(error) }];
  }
  member.deadline = now + member.sessionTimeoutMs;
  group.pendingSync.delete(member.memberId);
  if (group.pendingSync.size === 0) group.syncDeadline = Infinity;
  if (group.state === GroupState.Stable) return [assigned(group, member, event.request)];
  const effects: GroupEffect[] = [];
  refuseSync(member, "REBALANCE_IN_PROGRESS", now, effects);
  member.syncRequest = event.request;
  member.deadline = Infinity;
  if (group.leader === member.memberId && !group.storing) takeAssignments(group, event, now, settings, effects);
  return effects;
}

function checkSync(group: Group, event: SyncEvent): ErrorName {
  const error = checkClaim(group, event);
  if (error !== "NONE") return error;
  const typeDiffers = event.protocolType !== null && event.protocolType !== group.protocolType;
  const nameDiffers = event.protocolName !== null && event.protocolName !== group.protocolName;
  // While the next generation is being prepared the group has no protocol to compare with.
  if (group.state === GroupState.PreparingRebalance) return "REBALANCE_IN_PROGRESS";
  return typeDiffers || nameDiffers ? "INCONSISTENT_GROUP_PROTOCOL" : "NONE";
}

function assigned(group: Group, member: Member, request: RequestId): GroupEffect {
  return {
    kind: "answer-sync",
    request,
    reply: {
      error: "NONE",
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      assignment: member.assignment,
    },
  };
}

function takeAssignments(
  group: Group,
  event: SyncEvent,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  let bytes = 0;
  for (const assignment of event.assignments.values()) bytes += assignment.length;
  if (bytes > settings.groupMetadataBytesMax) {
    resetAssignments(group, "RECORD_LIST_TOO_LARGE", now, effects);
    prepareRebalance(group, "the assignments are too large", now, settings, effects);
    return;
  }
  group.storing = true;
  effects.push({
    kind: "store",
    group: group.id,
    record: recordOf(group, event.assignments),
    then: { kind: "assign", generation: group.generation, assignments: event.assignments },
  });
}

/** A store effect ended; `error` is NONE or says why it could not be stored. */
export function onStored(
  group: Group,
  then: Continuation,
  error: ErrorName,
  now: Millis,
  settings: GroupSettings,
): GroupEffect[] {
  if (error === "NONE") group.recorded = true;
  const effects: GroupEffect[] = [];
  if (then.kind === "answer-join") {
    const reply = error === "NONE" ? then.reply : { ...then.reply, error, generation: -1, leader: "", members: [] };
    effects.push({ kind: "answer-join", request: then.request, reply });
  } else if (then.kind === "assign") onAssignmentsStored(group, then, error, now, settings, effects);
  return effects;
}

function onAssignmentsStored(
  group: Group,
  then: Continuation & { kind: "assign" },
  error: ErrorName,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  // A rebalance that began meanwhile has answered everybody already.
  if (group.state !== GroupState.CompletingRebalance || group.generation !== then.generation) return;
  group.storing = false;
  if (error !== "NONE") {
    resetAssignments(group, error, now, effects);
    prepareRebalance(group, `the assignments could not be stored (${error})`, now, settings, effects);
    return;
  }
  group.state = GroupState.Stable;
  for (const member of group.members.values()) {
    member.assignment = then.assignments.get(member.memberId) ?? new Uint8Array(0);
    if (member.syncRequest === null) continue;
    effects.push(assigned(group, member, member.syncRequest));
    member.syncRequest = null;
    member.deadline = now + member.sessionTimeoutMs;
  }
}

/** Takes a Heartbeat; REBALANCE_IN_PROGRESS asks the member to join again. */
export function onHeartbeat(group: Group, claim: MemberClaim, now: Millis): ErrorName {
  const error = checkClaim(group, claim);
  const member = group.members.get(claim.memberId);
  if (error !== "NONE" || member === undefined) return error;
  touch(member, now);
  return group.state === GroupState.PreparingRebalance ? "REBALANCE_IN_PROGRESS" : "NONE";
}

/** A sign of life; a member with a parked request needs none. */
export function touch(member: Member, now: Millis): void {
  if (member.deadline !== Infinity && !member.isNew) member.deadline = now + member.sessionTimeoutMs;
}

/** One entry of LeaveGroup: a member id, or an instance id alone (an operator removes a static member). */
export interface Leaver {
  readonly memberId: string;
  readonly instanceId: string | null;
}

/** Takes a LeaveGroup; errors are in the order of `leavers`. */
export function onLeave(
  group: Group,
  leavers: readonly Leaver[],
  now: Millis,
  settings: GroupSettings,
): { readonly errors: readonly ErrorName[]; readonly effects: readonly GroupEffect[] } {
  const effects: GroupEffect[] = [];
  if (group.state === GroupState.Dead) return { errors: leavers.map(() => "COORDINATOR_NOT_AVAILABLE"), effects };
  const errors = leavers.map((leaver) => leave(group, leaver, now, effects));
  if (errors.includes("NONE")) afterLoss(group, effects, now, settings);
  return { errors, effects };
}

function leave(group: Group, leaver: Leaver, now: Millis, effects: GroupEffect[]): ErrorName {
  if (leaver.memberId !== "" && group.pending.has(leaver.memberId)) {
    if (leaver.instanceId !== null) return "UNKNOWN_MEMBER_ID";
    group.pending.delete(leaver.memberId);
    return "NONE";
  }
  const byInstance = leaver.memberId === "" && leaver.instanceId !== null;
  const memberId = byInstance ? (group.staticMembers.get(leaver.instanceId ?? "") ?? "") : leaver.memberId;
  const error = checkMember(group, memberId, leaver.instanceId);
  const member = group.members.get(memberId);
  if (error !== "NONE" || member === undefined) return error;
  dropMember(group, member, "left", now, effects);
  return "NONE";
}

/** Time has passed: sessions that ended, ids that lapsed, waits that are over. Call at `nextDeadline` or later. */
export function onTick(group: Group, now: Millis, settings: GroupSettings): GroupEffect[] {
  const effects: GroupEffect[] = [];
  let lapsed = false;
  for (const [memberId, deadline] of [...group.pending]) {
    if (deadline <= now) lapsed = group.pending.delete(memberId) || lapsed;
  }
  for (const member of [...group.members.values()]) {
    if (member.deadline > now) continue;
    const reason = member.isNew ? "nobody waited for the first JoinGroup any more" : "session timed out";
    dropMember(group, member, reason, now, effects);
    lapsed = true;
  }
  if (lapsed) afterLoss(group, effects, now, settings);
  if (group.state === GroupState.PreparingRebalance && group.joinDeadline <= now) {
    onJoinDeadline(group, now, settings, effects);
  }
  if (group.syncDeadline <= now) onSyncDeadline(group, now, settings, effects);
  return effects;
}

/** Members that never asked for their assignment are dead or stuck: they go, and the rest rebalance (KAFKA-9752). */
function onSyncDeadline(group: Group, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  group.syncDeadline = Infinity;
  const missing = [...group.pendingSync];
  if (missing.length === 0) return;
  for (const memberId of missing) {
    const member = group.members.get(memberId);
    if (member !== undefined) dropMember(group, member, "sent no SyncGroup", now, effects);
  }
  afterLoss(group, effects, now, settings);
}
