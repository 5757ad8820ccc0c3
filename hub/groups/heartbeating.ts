// ConsumerGroupHeartbeat (KIP-848): a member joins, stays, changes its mind, leaves. Pure.
import type { ErrorName } from "../errors.ts";
import { HubError } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { ConsumerGroup, ConsumerMember, ConsumerWorld } from "./consumer_group.ts";
import { MemberState, paceOf, SpecialEpoch } from "./consumer_group.ts";
import type { GroupEffect, HeartbeatReply, RequestId } from "./group.ts";
import {
  addConsumerMember,
  answerAfter,
  changed,
  dropConsumerMember,
  leaveForAWhile,
  releaseAll,
  renameMember,
} from "./membership.ts";
import { reconcile } from "./reconciliation.ts";
import { noticeTopics, subscriptionKey, updateTarget } from "./target.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { isWithin, noPartitions } from "./topic_partitions.ts";
import { compileNameRegex } from "./topic_regex.ts";

/** null fields are unchanged since the member sent them last. */
export interface HeartbeatEvent {
  readonly group: string;
  readonly request: RequestId;
  /** Made by the member; v0 may leave it empty when it joins. */
  readonly memberId: string;
  /** 0 joins, -1 leaves, -2 leaves for a while (static members). */
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  /** -1: unchanged. */
  readonly rebalanceTimeoutMs: Millis;
  readonly topics: readonly string[] | null;
  /** "" ends a subscription by expression. */
  readonly regex: string | null;
  readonly assignor: string | null;
  readonly owned: TopicPartitions | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** As `ConsumerMember.principal`. */
  readonly principal: string;
  readonly version: number;
  readonly freshMemberId: string;
}

/** An answer that carries nothing but an error. */
export function heartbeatError(error: ErrorName, message: string | null = null): HeartbeatReply {
  return { error, message, memberId: null, memberEpoch: 0, heartbeatMs: 0, assignment: null };
}

function invalid(message: string): HubError {
  return new HubError("INVALID_REQUEST", message);
}

/**
 * What can be said of a request without looking at any group.
 * @throws HubError INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, each with what is wrong
 */
export function checkHeartbeat(event: HeartbeatEvent, world: ConsumerWorld): void {
  const { settings } = world;
  const needsId = event.version >= 1 || event.memberEpoch !== SpecialEpoch.Join;
  if (needsId && event.memberId.trim() === "") throw invalid("MemberId can't be empty.");
  if (event.group.trim() === "") throw invalid("GroupId can't be empty.");
  if (event.instanceId?.trim() === "") throw invalid("InstanceId can't be empty.");
  if (event.rackId?.trim() === "") throw invalid("RackId can't be empty.");
  if (event.memberEpoch === SpecialEpoch.Join) checkJoin(event);
  else if (event.memberEpoch === SpecialEpoch.LeaveStatic && event.instanceId === null) {
    throw invalid("InstanceId can't be null.");
  } else if (event.memberEpoch < SpecialEpoch.LeaveStatic) throw invalid("MemberEpoch is invalid.");
  const most = settings.subscribedTopicsMax;
  if ((event.topics?.length ?? 0) > most) throw invalid(`SubscribedTopicNames names more than ${most} topics.`);
  checkLengths(event);
  if (event.assignor !== null && !settings.assignors.includes(event.assignor)) {
    const supported = settings.assignors.join(", ");
    throw new HubError(
      "UNSUPPORTED_ASSIGNOR",
      `ServerAssignor ${event.assignor} is not supported. Supported assignors: ${supported}.`,
    );
  }
  checkRegex(event.regex ?? "", settings.regexLengthMax);
}

/** Texts that a group keeps for as long as it lives; no topic has a longer name. */
const textLengthMax = 249;

function checkLengths({ memberId, instanceId, rackId, topics }: HeartbeatEvent): void {
  const texts = { MemberId: memberId, InstanceId: instanceId, RackId: rackId };
  for (const [name, text] of Object.entries(texts)) {
    if ((text?.length ?? 0) > textLengthMax) throw invalid(`${name} is longer than ${textLengthMax} characters.`);
  }
  if (topics?.some(({ length }) => length > textLengthMax)) {
    throw invalid(`SubscribedTopicNames names a topic of more than ${textLengthMax} characters.`);
  }
}

function checkJoin(event: HeartbeatEvent): void {
  if (event.rebalanceTimeoutMs < 0) throw invalid("RebalanceTimeoutMs must be provided in first request.");
  if (event.owned === null || event.owned.size > 0) throw invalid("TopicPartitions must be empty when (re-)joining.");
  if (event.topics === null && event.regex === null) {
    throw invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  }
}

function checkRegex(regex: string, lengthMax: number): void {
  if (regex === "") return;
  if (regex.length > lengthMax) {
    throw new HubError("INVALID_REGULAR_EXPRESSION", `SubscribedTopicRegex is longer than ${lengthMax} characters.`);
  }
  compileNameRegex(regex);
}

/**
 * Takes a heartbeat that passed `checkHeartbeat`. Its answer leaves at once when nothing changed since the member's
 * state was stored, else after the store, which the caller begins.
 * @throws HubError with the code and message the member is told
 */
export function onConsumerHeartbeat(
  group: ConsumerGroup,
  event: HeartbeatEvent,
  now: Millis,
  world: ConsumerWorld,
): GroupEffect[] {
  const effects: GroupEffect[] = [];
  if (event.memberEpoch < 0) onLeave(group, event, now, world, effects);
  else onBeat(group, event, now, world, effects);
  return effects;
}

function onBeat(
  group: ConsumerGroup,
  event: HeartbeatEvent,
  now: Millis,
  world: ConsumerWorld,
  effects: GroupEffect[],
): void {
  const { member, isNew } = memberFor(group, event, world, effects);
  const epochBefore = group.epoch;
  const assignedBefore = isNew ? noPartitions : member.assigned;
  const behind = event.memberEpoch < member.epoch;
  const resubscribed = update(member, event, world);
  if (isNew || resubscribed) group.epoch += 1;
  else noticeTopics(group, world);
  if (group.epoch !== epochBefore) changed(group);
  const retargeted = updateTarget(group, world);
  const moved = reconcile(group, member, event.owned);
  if (isNew || resubscribed || moved) member.changedAt = changed(group);
  else if (retargeted) changed(group);
  armRevocation(member, now);
  const { heartbeatMs, sessionMs } = paceOf(world, group.id);
  member.deadline = now + sessionMs;
  const full = event.rebalanceTimeoutMs >= 0 && (event.topics ?? event.regex) !== null && event.owned !== null;
  const tells = full || behind || member.assigned !== assignedBefore;
  answerHeartbeat(group, member.changedAt, event, reply(member, heartbeatMs, tells), effects);
  if (retargeted) {
    const reason = isNew ? `new member ${member.memberId}` : "subscriptions or topics changed";
    effects.push({ kind: "rebalance", group: group.id, generation: group.epoch, reason });
  }
}

function reply(member: ConsumerMember, heartbeatMs: Millis, tells: boolean): HeartbeatReply {
  return {
    error: "NONE",
    message: null,
    memberId: member.memberId,
    memberEpoch: member.epoch,
    heartbeatMs,
    assignment: tells ? member.assigned : null,
  };
}

/** The clock of a revocation runs from the moment it was told, whatever is told meanwhile. */
export function armRevocation(member: ConsumerMember, now: Millis): void {
  if (member.state !== MemberState.Unrevoked) member.revokeDeadline = Infinity;
  else if (member.revokeDeadline === Infinity) member.revokeDeadline = now + member.rebalanceTimeoutMs;
}

/** Takes over what the request names; true when the subscription changed. */
function update(member: ConsumerMember, event: HeartbeatEvent, world: ConsumerWorld): boolean {
  member.clientId = event.clientId;
  if (event.rackId !== null) member.rackId = event.rackId;
  if (event.rebalanceTimeoutMs >= 0) {
    member.rebalanceTimeoutMs = Math.min(event.rebalanceTimeoutMs, world.settings.rebalanceTimeoutMsMax);
  }
  member.classic = null;
  const before = `${subscriptionKey(member)}\n${member.assignor}`;
  member.principal = event.principal;
  member.clientHost = event.clientHost;
  if (event.topics !== null) member.topics = [...new Set(event.topics)].sort();
  if (event.regex !== null) member.regex = event.regex;
  if (event.assignor !== null) member.assignor = event.assignor;
  return `${subscriptionKey(member)}\n${member.assignor}` !== before;
}

interface Found {
  readonly member: ConsumerMember;
  readonly isNew: boolean;
}

function memberFor(group: ConsumerGroup, event: HeartbeatEvent, world: ConsumerWorld, effects: GroupEffect[]): Found {
  const joins = event.memberEpoch === SpecialEpoch.Join;
  const memberId = event.memberId === "" ? event.freshMemberId : event.memberId;
  const member = group.members.get(memberId);
  const known = member !== undefined || (event.instanceId !== null && group.staticMembers.has(event.instanceId));
  if (joins && !known && group.members.size >= world.settings.maxSize) {
    const most = world.settings.maxSize;
    throw new HubError(
      "GROUP_MAX_SIZE_REACHED",
      `The consumer group has reached its maximum capacity of ${most} members.`,
    );
  }
  if (event.instanceId !== null) return staticMemberFor(group, event, event.instanceId, memberId, effects);
  if (member !== undefined) {
    checkEpoch(member, event);
    return { member: restarted(group, member, event), isNew: false };
  }
  if (!joins) throw unknownMember(group, memberId);
  return { member: addConsumerMember(group, event, memberId), isNew: true };
}

function unknownMember(group: ConsumerGroup, memberId: string): HubError {
  return new HubError("UNKNOWN_MEMBER_ID", `Member ${memberId} is not a member of group ${group.id}.`);
}

function staticMemberFor(
  group: ConsumerGroup,
  event: HeartbeatEvent,
  instanceId: string,
  memberId: string,
  effects: GroupEffect[],
): Found {
  const holder = group.members.get(group.staticMembers.get(instanceId) ?? "");
  if (event.memberEpoch !== SpecialEpoch.Join) {
    const member = holderOf(group, event, instanceId);
    checkEpoch(member, event);
    return { member, isNew: false };
  }
  if (holder === undefined) {
    const member = group.members.get(memberId);
    if (member !== undefined) throw invalid(`Member ${memberId} joined with another InstanceId.`);
    return { member: addConsumerMember(group, event, memberId), isNew: true };
  }
  // The next self of a classic member comes after it: a classic consumer that closes says nothing (KIP-345).
  const away = holder.epoch === SpecialEpoch.LeaveStatic || holder.classic !== null;
  if (!away && holder.memberId !== memberId) {
    throw new HubError(
      "UNRELEASED_INSTANCE_ID",
      `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is ` +
        `owned by ${holder.memberId} member.`,
    );
  }
  if (!away) {
    checkEpoch(holder, event);
    return { member: restarted(group, holder, event), isNew: false };
  }
  return { member: comeBack(group, holder, memberId, effects), isNew: false };
}

/** The static member that speaks, if it may. */
function holderOf(group: ConsumerGroup, event: HeartbeatEvent, instanceId: string): ConsumerMember {
  const holder = group.members.get(group.staticMembers.get(instanceId) ?? "");
  if (holder === undefined) throw new HubError("UNKNOWN_MEMBER_ID", `Instance id ${instanceId} is unknown.`);
  if (holder.memberId === event.memberId) return holder;
  throw new HubError(
    "FENCED_INSTANCE_ID",
    `Static member ${event.memberId} with instance id ${instanceId} was fenced by member ${holder.memberId}.`,
  );
}

/** A static member that was away takes its partitions back, under its old id or a new one. */
function comeBack(
  group: ConsumerGroup,
  holder: ConsumerMember,
  memberId: string,
  effects: GroupEffect[],
): ConsumerMember {
  const member = renameMember(group, holder, memberId, effects);
  member.state = MemberState.Stable;
  member.epoch = SpecialEpoch.Join;
  member.previousEpoch = SpecialEpoch.Join;
  member.fenced = false;
  member.changedAt = changed(group);
  return member;
}

/**
 * Whether the member may speak with this epoch. The previous one is taken when all it owns is still its own: the answer
 * that told the new epoch may be lost. Epoch 0 of a member that was told it is fenced is a fresh start.
 */
function checkEpoch(member: ConsumerMember, event: HeartbeatEvent): void {
  const { memberEpoch, owned } = event;
  if (memberEpoch === SpecialEpoch.Join && member.fenced) return;
  const lost = memberEpoch === member.previousEpoch && owned !== null && isWithin(owned, member.assigned);
  if (memberEpoch === member.epoch || (memberEpoch < member.epoch && lost)) {
    member.fenced = false;
    return;
  }
  member.fenced = true;
  const compared = memberEpoch > member.epoch ? "greater" : "smaller";
  throw new HubError(
    "FENCED_MEMBER_EPOCH",
    `The consumer group member has a ${compared} member epoch (${memberEpoch}) than the one known by the group ` +
      `coordinator (${member.epoch}). The member must abandon all its partitions and rejoin.`,
  );
}

/** A member that was fenced and joins again owns nothing any more. */
function restarted(group: ConsumerGroup, member: ConsumerMember, event: HeartbeatEvent): ConsumerMember {
  if (event.memberEpoch !== SpecialEpoch.Join || !member.fenced) return member;
  releaseAll(group, member);
  member.fenced = false;
  member.epoch = SpecialEpoch.Join;
  member.previousEpoch = SpecialEpoch.Join;
  member.changedAt = changed(group);
  return member;
}

function onLeave(
  group: ConsumerGroup,
  event: HeartbeatEvent,
  now: Millis,
  world: ConsumerWorld,
  effects: GroupEffect[],
): void {
  const { instanceId } = event;
  const member = instanceId === null ? group.members.get(event.memberId) : holderOf(group, event, instanceId);
  if (member === undefined) throw unknownMember(group, event.memberId);
  if (event.memberEpoch === SpecialEpoch.LeaveStatic) {
    leaveForAWhile(group, member);
    member.deadline = now + paceOf(world, group.id).sessionMs;
  } else dropConsumerMember(group, member, "left", effects);
  const { memberEpoch } = event;
  const left: HeartbeatReply = {
    ...heartbeatError("NONE"),
    memberId: member.memberId,
    memberEpoch,
  };
  answerHeartbeat(group, group.changes, event, left, effects);
}

function answerHeartbeat(
  group: ConsumerGroup,
  change: number,
  { request }: HeartbeatEvent,
  answer: HeartbeatReply,
  effects: GroupEffect[],
): void {
  const effect = { kind: "answer-heartbeat", request, reply: answer } as const;
  answerAfter(group, change, effect, (error) => ({ ...effect, reply: heartbeatError(error) }), effects);
}
