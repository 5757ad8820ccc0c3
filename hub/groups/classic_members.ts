// Members that still speak the classic protocol in a group of the server-side one: JoinGroup, SyncGroup, Heartbeat and
// LeaveGroup, mapped on epochs and reconciliation (KIP-848, online migration). Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { ConsumerGroup, ConsumerMember, ConsumerWorld, Subscription, TopicCatalogue } from "./consumer_group.ts";
import { MemberState } from "./consumer_group.ts";
import type { GroupEffect, JoinReply, SyncReply } from "./group.ts";
import { joinError, syncError } from "./group.ts";
import { armRevocation } from "./heartbeating.ts";
import type { JoinEvent } from "./joining.ts";
import {
  addConsumerMember,
  answerAfter,
  changed,
  dropConsumerMember,
  renameMember,
  storeChanges,
} from "./membership.ts";
import { couldTake, reconcile } from "./reconciliation.ts";
import type { Leaver, MemberClaim, SyncEvent } from "./syncing.ts";
import { noticeTopics, topicsChanged, updateTarget } from "./target.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { partitionsFrom } from "./topic_partitions.ts";

/** Topic names to ids; topics that are gone are left out. */
export function byId(rows: readonly (readonly [string, readonly number[]])[], topics: TopicCatalogue): TopicPartitions {
  return partitionsFrom(
    rows.flatMap(([name, partitions]): [string, readonly number[]][] => {
      const topic = topics.topic(name);
      return topic === undefined ? [] : [[topic.topicId, partitions]];
    }),
  );
}

/** Topic ids to names; topics that are gone are left out. */
export function byName(partitions: TopicPartitions, topics: TopicCatalogue): [string, readonly number[]][] {
  const rows: [string, readonly number[]][] = [];
  for (const topic of topics.topics()) {
    const list = partitions.get(topic.topicId);
    if (list !== undefined) rows.push([topic.name, list]);
  }
  return rows;
}

function refuse(event: JoinEvent, error: ErrorName, memberId = event.memberId): GroupEffect[] {
  return [{ kind: "answer-join", request: event.request, reply: joinError(error, memberId) }];
}

/** The first of its protocols that every other classic member offers, too. */
function protocolFor(group: ConsumerGroup, event: JoinEvent): string | null {
  const offered = event.protocols.filter(({ name }) => {
    for (const { classic, memberId } of group.members.values()) {
      if (classic === null || memberId === event.memberId) continue;
      if (!classic.protocols.some((protocol) => protocol.name === name)) return false;
    }
    return true;
  });
  return offered[0]?.name ?? null;
}

/** Takes a JoinGroup. No generation is waited for: the member is told its epoch as generation and follows. */
export function onClassicJoin(
  group: ConsumerGroup,
  event: JoinEvent,
  now: Millis,
  world: ConsumerWorld,
): GroupEffect[] {
  const holder =
    event.instanceId === null ? undefined : group.members.get(group.staticMembers.get(event.instanceId) ?? "");
  const known = group.members.get(event.memberId) ?? (event.memberId === "" ? holder : undefined);
  if (known === undefined && group.members.size >= world.settings.maxSize) {
    return refuse(event, "GROUP_MAX_SIZE_REACHED", "");
  }
  const subscription = world.embedded.readSubscription(event.protocols[0]?.metadata ?? new Uint8Array(0));
  const protocolName = protocolFor(group, event);
  if (event.protocolType !== "consumer" || subscription === null || protocolName === null) {
    return refuse(event, "INCONSISTENT_GROUP_PROTOCOL");
  }
  if (event.memberId !== "" && event.instanceId !== null) {
    if (holder === undefined) return refuse(event, "UNKNOWN_MEMBER_ID");
    if (holder.memberId !== event.memberId) return refuse(event, "FENCED_INSTANCE_ID");
  }
  if (event.memberId === "" && event.instanceId === null && event.needsMemberId) {
    return refuse(event, "MEMBER_ID_REQUIRED", event.freshMemberId);
  }
  const effects: GroupEffect[] = [];
  const member = memberFor(group, event, known, effects);
  join(group, member, event, subscription, now, world, effects);
  answerJoin(group, member, event, protocolName, effects);
  return effects;
}

function memberFor(
  group: ConsumerGroup,
  event: JoinEvent,
  known: ConsumerMember | undefined,
  effects: GroupEffect[],
): ConsumerMember {
  const memberId = event.memberId === "" ? event.freshMemberId : event.memberId;
  if (known === undefined) return addConsumerMember(group, event, memberId);
  if (known.memberId === memberId) return known;
  // A static member that restarted: its old self is fenced, what it held waits for it.
  const member = renameMember(group, known, memberId, effects);
  member.epoch = 0;
  member.previousEpoch = 0;
  return member;
}

function join(
  group: ConsumerGroup,
  member: ConsumerMember,
  event: JoinEvent,
  subscription: Subscription,
  now: Millis,
  world: ConsumerWorld,
  effects: GroupEffect[],
): void {
  const epochBefore = group.epoch;
  const topics = [...new Set(subscription.topics)].sort();
  const resubscribed = member.topics.join(",") !== topics.join(",") || member.regex !== "" || member.classic === null;
  member.topics = topics;
  member.regex = "";
  member.assignor = null;
  member.rackId = subscription.rackId;
  member.clientId = event.clientId;
  member.clientHost = event.clientHost;
  member.rebalanceTimeoutMs = event.rebalanceTimeoutMs;
  member.deadline = now + event.sessionTimeoutMs;
  member.classic = {
    protocols: event.protocols,
    sessionTimeoutMs: event.sessionTimeoutMs,
    version: subscription.version,
    joinDeadline: Infinity,
    syncDeadline: now + event.rebalanceTimeoutMs,
  };
  if (resubscribed) group.epoch += 1;
  else noticeTopics(group, world);
  updateTarget(group, world);
  reconcile(group, member, byId(subscription.owned, world.topics), true);
  armRevocation(member, now);
  member.changedAt = changed(group);
  if (group.epoch === epochBefore) return;
  const reason = `classic member ${member.memberId} joined`;
  effects.push({ kind: "rebalance", group: group.id, generation: group.epoch, reason });
}

function answerJoin(
  group: ConsumerGroup,
  member: ConsumerMember,
  event: JoinEvent,
  protocolName: string,
  effects: GroupEffect[],
): void {
  const { request } = event;
  // Nobody leads: the hub assigns.
  const reply: JoinReply = {
    error: "NONE",
    generation: member.epoch,
    protocolType: "consumer",
    protocolName,
    leader: "",
    memberId: member.memberId,
    skipAssignment: false,
    members: [],
  };
  const failed = (error: ErrorName): GroupEffect => {
    return { kind: "answer-join", request, reply: joinError(error, event.memberId) };
  };
  answerAfter(group, member.changedAt, { kind: "answer-join", request, reply }, failed, effects);
}

/** The classic member behind a claim, or why it may not speak. */
function speaker(group: ConsumerGroup, claim: MemberClaim): ConsumerMember | ErrorName {
  if (claim.instanceId !== null) {
    const holder = group.staticMembers.get(claim.instanceId);
    if (holder === undefined) return "UNKNOWN_MEMBER_ID";
    if (holder !== claim.memberId) return "FENCED_INSTANCE_ID";
  }
  const member = group.members.get(claim.memberId);
  if (member === undefined || member.classic === null) return "UNKNOWN_MEMBER_ID";
  return member.epoch === claim.generation ? member : "ILLEGAL_GENERATION";
}

function sign(member: ConsumerMember, now: Millis): void {
  if (member.classic !== null) member.deadline = now + member.classic.sessionTimeoutMs;
}

/** Asks the member to join again, within its rebalance timeout. */
function callBack(member: ConsumerMember, now: Millis): void {
  const { classic } = member;
  if (classic !== null && classic.joinDeadline === Infinity) classic.joinDeadline = now + member.rebalanceTimeoutMs;
}

/** Takes a SyncGroup: the member is told what it may own. */
export function onClassicSync(
  group: ConsumerGroup,
  event: SyncEvent,
  now: Millis,
  world: ConsumerWorld,
): GroupEffect[] {
  const { request } = event;
  const answer = (reply: SyncReply): GroupEffect => ({ kind: "answer-sync", request, reply });
  const member = speaker(group, event);
  if (typeof member === "string" || member.classic === null) {
    return [answer(syncError(typeof member === "string" ? member : "UNKNOWN_MEMBER_ID"))];
  }
  const { classic } = member;
  const names = classic.protocols.map(({ name }) => name);
  const typeDiffers = event.protocolType !== null && event.protocolType !== "consumer";
  if (typeDiffers || (event.protocolName !== null && !names.includes(event.protocolName))) {
    return [answer(syncError("INCONSISTENT_GROUP_PROTOCOL"))];
  }
  sign(member, now);
  classic.syncDeadline = Infinity;
  if (group.epoch > member.epoch && member.state !== MemberState.Unrevoked) {
    callBack(member, now);
    return [answer(syncError("REBALANCE_IN_PROGRESS"))];
  }
  const assignment = world.embedded.writeAssignment(classic.version, byName(member.assigned, world.topics));
  const effects: GroupEffect[] = [];
  const protocolName = event.protocolName ?? names[0] ?? null;
  const reply: SyncReply = { error: "NONE", protocolType: "consumer", protocolName, assignment };
  answerAfter(group, member.changedAt, answer(reply), (error) => answer(syncError(error)), effects);
  storeChanges(group, effects);
  return effects;
}

/** Takes a Heartbeat; REBALANCE_IN_PROGRESS when joining again gets the member any further. */
export function onClassicHeartbeat(
  group: ConsumerGroup,
  claim: MemberClaim,
  now: Millis,
  world: ConsumerWorld,
): ErrorName {
  const member = speaker(group, claim);
  if (typeof member === "string") return member;
  sign(member, now);
  const unrevoked = member.state === MemberState.Unrevoked;
  const taking = member.state === MemberState.Unreleased && couldTake(group, member);
  // Topics that changed begin an epoch when the member joins again: a Heartbeat stores nothing.
  const behind = member.epoch !== group.epoch || topicsChanged(group, world);
  if (!behind && !unrevoked && !taking) return "NONE";
  callBack(member, now);
  return "REBALANCE_IN_PROGRESS";
}

/** Takes a LeaveGroup; errors are in the order of `leavers`. */
export function onClassicLeave(
  group: ConsumerGroup,
  leavers: readonly Leaver[],
): { readonly errors: readonly ErrorName[]; readonly effects: GroupEffect[] } {
  const effects: GroupEffect[] = [];
  const errors = leavers.map(({ memberId, instanceId }): ErrorName => {
    const holder = instanceId === null ? memberId : group.staticMembers.get(instanceId);
    if (holder === undefined) return "UNKNOWN_MEMBER_ID";
    if (memberId !== "" && holder !== memberId) return "FENCED_INSTANCE_ID";
    const member = group.members.get(holder);
    if (member === undefined) return "UNKNOWN_MEMBER_ID";
    dropConsumerMember(group, member, "left", effects);
    return "NONE";
  });
  return { errors, effects };
}
