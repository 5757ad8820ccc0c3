// JoinGroup: newcomers, members that come back, static members that replace themselves. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { Group, GroupEffect, GroupSettings, Member, Protocol, RequestId } from "./group.ts";
import {
  checkMember,
  GroupState,
  joinError,
  metadataBytes,
  protocolBytes,
  recordOf,
  sameProtocols,
  selectProtocol,
  supportsProtocols,
} from "./group.ts";
import { joinedReply, maybeCompleteJoin, memberList, prepareRebalance, refuseJoin, refuseSync } from "./rebalance.ts";

export interface JoinEvent {
  readonly group: string;
  readonly request: RequestId;
  /** "" for a newcomer. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: Millis;
  /** v0 has none: the session timeout stands in. */
  readonly rebalanceTimeoutMs: Millis;
  readonly protocolType: string;
  readonly protocols: readonly Protocol[];
  /** v4+ (KIP-394): a dynamic newcomer is told its id first, so that a retry is not a second member. */
  readonly needsMemberId: boolean;
  /** v9+ (KIP-814). */
  readonly canSkipAssignment: boolean;
  /** The id to use if this turns out to be a newcomer: unguessable, so that nobody can speak for another. */
  readonly freshMemberId: string;
}

/** Takes a JoinGroup. The answer may come with a later event. */
export function onJoin(group: Group, event: JoinEvent, now: Millis, settings: GroupSettings): GroupEffect[] {
  const effects: GroupEffect[] = [];
  const error = checkJoin(group, event, settings);
  if (error !== "NONE") {
    effects.push(answer(event, error, error === "GROUP_MAX_SIZE_REACHED" ? "" : event.memberId));
  } else if (event.memberId === "") joinNewcomer(group, event, now, settings, effects);
  else if (group.pending.has(event.memberId)) joinPending(group, event, now, settings, effects);
  else joinAgain(group, event, now, settings, effects);
  return effects;
}

function answer(event: JoinEvent, error: ErrorName, memberId = event.memberId): GroupEffect {
  return { kind: "answer-join", request: event.request, reply: joinError(error, memberId) };
}

function checkJoin(group: Group, event: JoinEvent, settings: GroupSettings): ErrorName {
  if (group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  const self = memberBehind(group, event);
  if (self === undefined && !hasRoom(group, event, settings)) return "GROUP_MAX_SIZE_REACHED";
  if (!supportsProtocols(group, event.protocolType, event.protocols, self)) return "INCONSISTENT_GROUP_PROTOCOL";
  const bytes = metadataBytes(group, self) + protocolBytes(event.protocols);
  return bytes > settings.groupMetadataBytesMax ? "GROUP_MAX_SIZE_REACHED" : "NONE";
}

/** The member this request speaks for or replaces. */
function memberBehind(group: Group, event: JoinEvent): string | undefined {
  if (group.members.has(event.memberId)) return event.memberId;
  return event.memberId === "" && event.instanceId !== null ? group.staticMembers.get(event.instanceId) : undefined;
}

function hasRoom(group: Group, event: JoinEvent, settings: GroupSettings): boolean {
  if (event.memberId === "" && event.instanceId === null && group.pending.size >= settings.groupMaxSize) return false;
  if (group.state !== GroupState.PreparingRebalance) return group.members.size < settings.groupMaxSize;
  let waiting = 0;
  for (const member of group.members.values()) if (member.joinRequest !== null) waiting += 1;
  // Those who have not come back may never do; those who have keep their place.
  return waiting < settings.groupMaxSize && group.members.size < 2 * settings.groupMaxSize;
}

function joinNewcomer(
  group: Group,
  event: JoinEvent,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  const holder = event.instanceId === null ? undefined : group.staticMembers.get(event.instanceId);
  const old = holder === undefined ? undefined : group.members.get(holder);
  if (old !== undefined) replaceStatic(group, old, event, now, settings, effects);
  else if (event.instanceId === null && event.needsMemberId) {
    group.pending.set(event.freshMemberId, now + event.sessionTimeoutMs);
    effects.push(answer(event, "MEMBER_ID_REQUIRED", event.freshMemberId));
  } else addMember(group, event, event.freshMemberId, now, settings, effects);
}

function joinPending(
  group: Group,
  event: JoinEvent,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  // Ids are only pre-announced to dynamic members.
  if (event.instanceId !== null) effects.push(answer(event, "UNKNOWN_MEMBER_ID"));
  else addMember(group, event, event.memberId, now, settings, effects);
}

function joinAgain(group: Group, event: JoinEvent, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  const error = checkMember(group, event.memberId, event.instanceId);
  const member = group.members.get(event.memberId);
  if (error !== "NONE" || member === undefined) {
    effects.push(answer(event, error));
    return;
  }
  const unchanged = sameProtocols(member.protocols, event.protocols);
  const known =
    group.state === GroupState.CompletingRebalance || (group.state === GroupState.Stable && !leads(group, member));
  if (unchanged && known) {
    // It lost the answer (or asks without need): the generation it belongs to is told again.
    member.deadline = now + member.sessionTimeoutMs;
    effects.push({ kind: "answer-join", request: event.request, reply: joinedReply(group, member, true) });
    return;
  }
  const reason = leads(group, member) ? "leader rejoined" : "member rejoined with other metadata";
  update(member, event);
  prepareRebalance(group, `${reason} (${member.memberId})`, now, settings, effects);
  park(member, event.request, now, settings, effects);
  maybeCompleteJoin(group, now, settings, effects);
}

function leads(group: Group, member: Member): boolean {
  return group.leader === member.memberId;
}

function update(member: Member, event: JoinEvent): void {
  member.protocols = event.protocols;
  member.sessionTimeoutMs = event.sessionTimeoutMs;
  member.rebalanceTimeoutMs = event.rebalanceTimeoutMs;
  member.clientId = event.clientId;
  member.clientHost = event.clientHost;
}

/** Keeps the request; an earlier one of the same member (its connection is likely gone) is answered "join again". */
function park(member: Member, request: RequestId, now: Millis, settings: GroupSettings, effects: GroupEffect[]): void {
  refuseJoin(member, "REBALANCE_IN_PROGRESS", effects);
  member.joinRequest = request;
  member.deadline = member.isNew ? now + settings.newMemberJoinMsMax : Infinity;
}

function addMember(
  group: Group,
  event: JoinEvent,
  memberId: string,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  const member: Member = {
    memberId,
    instanceId: event.instanceId,
    clientId: event.clientId,
    clientHost: event.clientHost,
    sessionTimeoutMs: event.sessionTimeoutMs,
    rebalanceTimeoutMs: event.rebalanceTimeoutMs,
    protocols: event.protocols,
    assignment: new Uint8Array(0),
    isNew: true,
    joinRequest: null,
    syncRequest: null,
    deadline: Infinity,
  };
  if (group.members.size === 0) group.protocolType = event.protocolType;
  group.pending.delete(memberId);
  group.members.set(memberId, member);
  if (member.instanceId !== null) group.staticMembers.set(member.instanceId, memberId);
  if (group.leader === null) group.leader = memberId;
  if (group.initialWait !== null) group.initialWait.newMember = true;
  prepareRebalance(group, `new member ${memberId}`, now, settings, effects);
  park(member, event.request, now, settings, effects);
  maybeCompleteJoin(group, now, settings, effects);
}

/**
 * A static member that restarted takes its old place under a new id (KIP-345): without a rebalance while the group is
 * Stable and votes for the same protocol. The old id is fenced.
 */
function replaceStatic(
  group: Group,
  old: Member,
  event: JoinEvent,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): void {
  const leaderBefore = group.leader;
  refuseJoin(old, "FENCED_INSTANCE_ID", effects);
  refuseSync(old, "FENCED_INSTANCE_ID", now, effects);
  const memberId = event.freshMemberId;
  const member: Member = { ...old, memberId, isNew: false, joinRequest: null, syncRequest: null };
  update(member, event);
  member.deadline = now + member.sessionTimeoutMs;
  rename(group, old.memberId, member);
  effects.push({
    kind: "member-gone",
    group: group.id,
    memberId: old.memberId,
    reason: `replaced by ${memberId} of the same group.instance.id`,
  });
  if (group.state === GroupState.Stable && selectProtocol(group) === group.protocolName) {
    const back = leaderBefore === old.memberId;
    const reply = {
      ...joinedReply(group, member, false),
      // Before v9 a returning leader is told its own old id leads, lest it assign anew (KIP-814).
      leader: event.canSkipAssignment ? (group.leader ?? "") : (leaderBefore ?? ""),
      skipAssignment: event.canSkipAssignment && back,
      members: event.canSkipAssignment && back ? memberList(group) : [],
    };
    const then = { kind: "answer-join", request: event.request, reply } as const;
    effects.push({ kind: "store", group: group.id, record: recordOf(group), then });
    return;
  }
  // The old id may already be in the leader's hands; an assignment to it would reach nobody.
  prepareRebalance(group, `static member ${event.instanceId ?? ""} replaced`, now, settings, effects);
  park(member, event.request, now, settings, effects);
  maybeCompleteJoin(group, now, settings, effects);
}

/** Puts the new self in the old one's place, so that order (and with it ties) stays. */
function rename(group: Group, oldId: string, member: Member): void {
  const members = [...group.members.values()];
  group.members.clear();
  for (const each of members) {
    const kept = each.memberId === oldId ? member : each;
    group.members.set(kept.memberId, kept);
  }
  if (group.pendingSync.delete(oldId)) group.pendingSync.add(member.memberId);
  if (group.leader === oldId) group.leader = member.memberId;
  if (member.instanceId !== null) group.staticMembers.set(member.instanceId, member.memberId);
}
