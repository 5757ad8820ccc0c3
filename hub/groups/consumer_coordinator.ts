// Groups of the server-side protocol within the coordinator: found, made, turned, described. Pure.
import type { ErrorName } from "../errors.ts";
import { HubError } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import { onClassicHeartbeat, onClassicJoin, onClassicLeave, onClassicSync } from "./classic_members.ts";
import type { ConsumerGroup, ConsumerMember } from "./consumer_group.ts";
import { ConsumerGroupState, consumerGroupState, newConsumerGroup, paceOf } from "./consumer_group.ts";
import { decodeConsumerRecord } from "./consumer_record.ts";
import type { Coordinator, Entry } from "./entries.ts";
import { addGroup } from "./entries.ts";
import type { Group, GroupEffect } from "./group.ts";
import { GroupState, newGroup } from "./group.ts";
import { mayDowngrade, toClassic, toConsumer, whyNoUpgrade } from "./group_upgrade.ts";
import type { HeartbeatEvent } from "./heartbeating.ts";
import { checkHeartbeat, heartbeatError, onConsumerHeartbeat } from "./heartbeating.ts";
import type { JoinEvent } from "./joining.ts";
import { changed, onConsumerStored, onConsumerTick, storeChanges } from "./membership.ts";
import type { Leaver, MemberClaim, SyncEvent } from "./syncing.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { noPartitions } from "./topic_partitions.ts";

/** ConsumerGroupHeartbeat. */
export function consumerHeartbeat(coordinator: Coordinator, event: HeartbeatEvent, now: Millis): GroupEffect[] {
  try {
    checkHeartbeat(event, coordinator.world);
    const effects: GroupEffect[] = [];
    const { entry, consumer } = groupFor(coordinator, event, now, effects);
    effects.push(...onConsumerHeartbeat(consumer, event, now, coordinator.world));
    settle(coordinator, entry, consumer, now, effects);
    return effects;
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return [{ kind: "answer-heartbeat", request: event.request, reply: heartbeatError(error.kind, error.message) }];
  }
}

/** The group a heartbeat is for. One that joins makes the group, or turns a classic one. */
function groupFor(
  coordinator: Coordinator,
  event: HeartbeatEvent,
  now: Millis,
  effects: GroupEffect[],
): { readonly entry: Entry; readonly consumer: ConsumerGroup } {
  const { world, settings, groups } = coordinator;
  const id = event.group;
  const [assignor = ""] = world.settings.assignors;
  const entry = groups.get(id);
  if (entry?.group.state === GroupState.Dead) throw new HubError("COORDINATOR_NOT_AVAILABLE", "The group is going.");
  if (entry?.consumer) return { entry, consumer: entry.consumer };
  if (event.memberEpoch !== 0) {
    const why = entry === undefined ? "not found" : "is not a consumer group";
    throw new HubError("GROUP_ID_NOT_FOUND", `Group ${id} ${why}.`);
  }
  if (entry === undefined) {
    if (groups.size >= settings.groupsMax) {
      throw new HubError("GROUP_MAX_SIZE_REACHED", `There are ${settings.groupsMax} groups already.`);
    }
    const made = addGroup(coordinator, newGroup(id, now));
    const consumer = newConsumerGroup(id, 0, assignor);
    made.consumer = consumer;
    return { entry: made, consumer };
  }
  const refused = whyNoUpgrade(entry.group, world);
  if (refused !== null) throw new HubError("GROUP_ID_NOT_FOUND", `Group ${id} is not a consumer group: ${refused}.`);
  checkNewcomer(entry.group, event);
  const consumer = toConsumer(entry.group, world, now, effects);
  const { recorded, generation } = entry.group;
  entry.group = { ...newGroup(id, now), recorded, generation };
  entry.consumer = consumer;
  return { entry, consumer };
}

/** What would refuse the join once the group has turned: then it does not turn. */
function checkNewcomer(group: Group, { memberId, instanceId }: HeartbeatEvent): void {
  const holder = instanceId === null ? undefined : group.staticMembers.get(instanceId);
  if (group.members.has(memberId) && memberId !== holder)
    throw new HubError("FENCED_MEMBER_EPOCH", `Member ${memberId} is a classic member.`);
}

/** After an event: an emptied group counts its empty time, one without new members turns classic; then it is stored. */
function settle(
  coordinator: Coordinator,
  entry: Entry,
  consumer: ConsumerGroup,
  now: Millis,
  effects: GroupEffect[],
): void {
  if (consumer.members.size === 0) {
    if (effects.some(({ kind }) => kind === "member-gone")) {
      entry.group.emptyMs = 0;
      entry.group.emptyCountedAt = now;
    }
  }
  if (!mayDowngrade(consumer, coordinator.world)) {
    storeChanges(consumer, effects);
    return;
  }
  const group = toClassic(consumer, coordinator.world, now, coordinator.settings, effects);
  entry.group = { ...group, recorded: entry.group.recorded };
  entry.consumer = null;
}

/** A store effect of this group ended; of a life that is over only its last answers are left. */
export function consumerStored(
  coordinator: Coordinator,
  id: string,
  life: object,
  change: number,
  error: ErrorName,
): GroupEffect[] {
  const entry = coordinator.groups.get(id);
  // A store after that of the deletion would bring the group back.
  if (entry === undefined || entry.consumer !== life || entry.group.state === GroupState.Dead) {
    const ended = life as ConsumerGroup;
    ended.storing = 0;
    return ended.held.splice(0).map((answer) => (error === "NONE" ? answer.effect : answer.failed(error)));
  }
  if (error === "NONE") entry.group.recorded = true;
  return onConsumerStored(entry.consumer, change, error);
}

/** Puts a group back as the registry kept it. */
export function loadConsumerGroup(coordinator: Coordinator, id: string, record: Uint8Array, now: Millis): Entry {
  const consumer = decodeConsumerRecord(id, record, now, paceOf(coordinator.world, id).sessionMs);
  const group = newGroup(id, now);
  group.recorded = true;
  group.emptyMs = consumer.emptyMs;
  group.emptyMsStored = consumer.emptyMs;
  const entry = addGroup(coordinator, group);
  entry.consumer = consumer;
  return entry;
}

/** Time has passed for this group. */
export function tickConsumer(
  coordinator: Coordinator,
  entry: Entry,
  consumer: ConsumerGroup,
  now: Millis,
): GroupEffect[] {
  const effects = onConsumerTick(consumer, now);
  settle(coordinator, entry, consumer, now, effects);
  return effects;
}

/** JoinGroup for a group of the server-side protocol; null when it is (or, being empty, becomes) a classic one. */
export function joinMixed(coordinator: Coordinator, entry: Entry, event: JoinEvent, now: Millis): GroupEffect[] | null {
  const { consumer } = entry;
  if (consumer === null || entry.group.state === GroupState.Dead) return null;
  if (consumer.members.size === 0) {
    entry.group.generation = consumer.epoch;
    entry.consumer = null;
    return null;
  }
  const effects = onClassicJoin(consumer, event, now, coordinator.world);
  settle(coordinator, entry, consumer, now, effects);
  return effects;
}

/** SyncGroup of a classic member. */
export function syncMixed(
  coordinator: Coordinator,
  consumer: ConsumerGroup,
  event: SyncEvent,
  now: Millis,
): GroupEffect[] {
  return onClassicSync(consumer, event, now, coordinator.world);
}

/** Heartbeat of a classic member. */
export function heartbeatMixed(
  coordinator: Coordinator,
  consumer: ConsumerGroup,
  claim: MemberClaim,
  now: Millis,
): ErrorName {
  return onClassicHeartbeat(consumer, claim, now, coordinator.world);
}

/** LeaveGroup: of classic members, or an operator removes members of either protocol. */
export function leaveMixed(
  coordinator: Coordinator,
  entry: Entry,
  consumer: ConsumerGroup,
  leavers: readonly Leaver[],
  now: Millis,
): { readonly errors: readonly ErrorName[]; readonly effects: readonly GroupEffect[] } {
  const { errors, effects } = onClassicLeave(consumer, leavers);
  settle(coordinator, entry, consumer, now, effects);
  return { errors, effects };
}

/** The count of observed empty time, when it is worth storing. */
export function storeEmptyTime(group: Group, consumer: ConsumerGroup): GroupEffect[] {
  consumer.emptyMs = group.emptyMs;
  changed(consumer);
  const effects: GroupEffect[] = [];
  storeChanges(consumer, effects);
  return effects;
}

function checkMemberEpoch(consumer: ConsumerGroup, memberId: string, epoch: number): ErrorName {
  const member = consumer.members.get(memberId);
  if (member === undefined) return "UNKNOWN_MEMBER_ID";
  if (member.epoch === epoch) return "NONE";
  return member.classic === null ? "STALE_MEMBER_EPOCH" : "ILLEGAL_GENERATION";
}

/** OffsetCommit speaks of member epochs from here on (KIP-848). */
const epochsSince = 9;

export function speaksOfEpochs({ version = epochsSince }: MemberClaim): boolean {
  return version >= epochsSince;
}

/** Whether this commit may be stored: of a member with its present epoch, or from outside while nobody is there. */
export function checkConsumerCommit(entry: Entry, consumer: ConsumerGroup, claim: MemberClaim): ErrorName {
  if (entry.group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  if (claim.generation < 0 && consumer.members.size === 0) return "NONE";
  if (consumer.members.get(claim.memberId)?.classic === null && !speaksOfEpochs(claim)) return "UNSUPPORTED_VERSION";
  return checkMemberEpoch(consumer, claim.memberId, claim.generation);
}

/** OffsetFetch v9+: a member asks with its epoch; whoever gives neither is an onlooker. */
export function checkFetch(
  coordinator: Coordinator,
  id: string,
  memberId: string | null,
  memberEpoch: number,
): ErrorName {
  const consumer = coordinator.groups.get(id)?.consumer ?? null;
  if (consumer === null || (memberId === null && memberEpoch < 0)) return "NONE";
  return checkMemberEpoch(consumer, memberId ?? "", memberEpoch);
}

/** State as it is listed. */
export function stateOf(group: Group, consumer: ConsumerGroup): ConsumerGroupState {
  return group.state === GroupState.Dead ? ConsumerGroupState.Dead : consumerGroupState(consumer);
}

export interface DescribedMember {
  readonly member: Readonly<ConsumerMember>;
  readonly target: TopicPartitions;
}

export interface DescribedConsumerGroup {
  readonly group: string;
  readonly state: ConsumerGroupState;
  readonly epoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly DescribedMember[];
}

/** ConsumerGroupDescribe for one group; null when there is no such group of the server-side protocol. */
export function describeConsumer(coordinator: Coordinator, id: string): DescribedConsumerGroup | null {
  const entry = coordinator.groups.get(id);
  if (!entry?.consumer) return null;
  const { consumer } = entry;
  return {
    group: id,
    state: stateOf(entry.group, consumer),
    epoch: consumer.epoch,
    assignmentEpoch: consumer.assignmentEpoch,
    assignor: consumer.assignor,
    members: [...consumer.members.values()].map((member) => {
      return { member, target: consumer.target.get(member.memberId) ?? noPartitions };
    }),
  };
}
