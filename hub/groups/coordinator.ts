// All groups of one coordinator: finds or makes the group an event is for, lists, describes, sweeps. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { ConsumerGroupState } from "./consumer_group.ts";
import type { Continuation, GroupEffect, GroupRecord, JoinReply } from "./group.ts";
import { GroupState, groupOfRecord, joinError, metadataFor, newGroup, recordOf, syncError } from "./group.ts";
import {
  checkConsumerCommit,
  speaksOfEpochs,
  heartbeatMixed,
  joinMixed,
  leaveMixed,
  stateOf,
  storeEmptyTime,
  syncMixed,
  tickConsumer,
} from "./consumer_coordinator.ts";
import type { Coordinator, Entry } from "./entries.ts";
import { addGroup } from "./entries.ts";
import type { JoinEvent } from "./joining.ts";
import { onJoin } from "./joining.ts";
import { checkCommit, countEmptyTime, isExpired } from "./offsets.ts";
import { prepareRebalance } from "./rebalance.ts";
import type { Leaver, MemberClaim, SyncEvent } from "./syncing.ts";
import { onHeartbeat, onLeave, onStored, onSync, onTick } from "./syncing.ts";

export type { Coordinator, Entry } from "./entries.ts";
export { newCoordinator } from "./entries.ts";

/** Puts a group back as the registry kept it; null is a group that has offsets and no record. */
export function loadGroup(
  coordinator: Coordinator,
  id: string,
  record: GroupRecord | null,
  now: Millis,
): { readonly entry: Entry; readonly effects: GroupEffect[] } {
  const group = record === null ? newGroup(id, now) : groupOfRecord(id, record, now);
  const effects: GroupEffect[] = [];
  if (group.members.size > coordinator.settings.groupMaxSize) {
    prepareRebalance(group, "more members than group.max.size", now, coordinator.settings, effects);
  }
  return { entry: addGroup(coordinator, group), effects };
}

/** JoinGroup: checks what concerns no group in particular, makes the group if it is new. */
export function join(coordinator: Coordinator, event: JoinEvent, now: Millis): GroupEffect[] {
  const error = checkJoinRequest(coordinator, event);
  if (error !== "NONE") {
    const memberId = error === "GROUP_MAX_SIZE_REACHED" ? "" : event.memberId;
    return [{ kind: "answer-join", request: event.request, reply: joinError(error, memberId) }];
  }
  const entry = coordinator.groups.get(event.group);
  if (entry !== undefined) {
    const mixed = joinMixed(coordinator, entry, event, now);
    if (mixed !== null) return mixed;
    countEmptyTime(entry.group, now);
    return onJoin(entry.group, event, now, coordinator.settings);
  }
  const group = newGroup(event.group, now);
  const effects = onJoin(group, event, now, coordinator.settings);
  if (group.members.size > 0 || group.pending.size > 0) addGroup(coordinator, group);
  return effects;
}

function checkJoinRequest(coordinator: Coordinator, event: JoinEvent): ErrorName {
  const { settings, groups } = coordinator;
  if (event.group === "") return "INVALID_GROUP_ID";
  const { sessionTimeoutMs, rebalanceTimeoutMs } = event;
  if (sessionTimeoutMs < settings.sessionTimeoutMsMin || sessionTimeoutMs > settings.sessionTimeoutMsMax) {
    return "INVALID_SESSION_TIMEOUT";
  }
  if (rebalanceTimeoutMs < 0) return "INVALID_REQUEST";
  if (groups.has(event.group)) return "NONE";
  if (event.memberId !== "") return "UNKNOWN_MEMBER_ID";
  return groups.size >= settings.groupsMax ? "GROUP_MAX_SIZE_REACHED" : "NONE";
}

/** SyncGroup. */
export function sync(coordinator: Coordinator, event: SyncEvent, now: Millis): GroupEffect[] {
  const entry = coordinator.groups.get(event.group);
  if (entry?.consumer) return syncMixed(coordinator, entry.consumer, event, now);
  if (entry !== undefined && event.group !== "") return onSync(entry.group, event, now, coordinator.settings);
  const error = event.group === "" ? "INVALID_GROUP_ID" : "UNKNOWN_MEMBER_ID";
  return [{ kind: "answer-sync", request: event.request, reply: syncError(error) }];
}

/** Heartbeat. */
export function heartbeat(coordinator: Coordinator, group: string, claim: MemberClaim, now: Millis): ErrorName {
  if (group === "") return "INVALID_GROUP_ID";
  const entry = coordinator.groups.get(group);
  if (entry?.consumer) return heartbeatMixed(coordinator, entry.consumer, claim, now);
  return entry === undefined ? "UNKNOWN_MEMBER_ID" : onHeartbeat(entry.group, claim, now);
}

/** LeaveGroup; errors in the order of `leavers`. */
export function leave(
  coordinator: Coordinator,
  group: string,
  leavers: readonly Leaver[],
  now: Millis,
): { readonly errors: readonly ErrorName[]; readonly effects: readonly GroupEffect[] } {
  const entry = coordinator.groups.get(group);
  if (entry?.consumer) return leaveMixed(coordinator, entry, entry.consumer, leavers, now);
  if (entry !== undefined) return onLeave(entry.group, leavers, now, coordinator.settings);
  const error = group === "" ? "INVALID_GROUP_ID" : "UNKNOWN_MEMBER_ID";
  return { errors: leavers.map(() => error), effects: [] };
}

/** A store effect of this group ended. */
export function stored(
  coordinator: Coordinator,
  group: string,
  then: Continuation,
  error: ErrorName,
  now: Millis,
): GroupEffect[] {
  const entry = coordinator.groups.get(group);
  if (entry !== undefined) return onStored(entry.group, then, error, now, coordinator.settings);
  if (then.kind !== "answer-join") return [];
  const reply: JoinReply = joinError("UNKNOWN_MEMBER_ID", then.reply.memberId);
  return [{ kind: "answer-join", request: then.request, reply }];
}

/** Time has passed for this group. */
export function tick(coordinator: Coordinator, group: string, now: Millis): GroupEffect[] {
  const entry = coordinator.groups.get(group);
  if (entry?.consumer) return tickConsumer(coordinator, entry, entry.consumer, now);
  return entry === undefined ? [] : onTick(entry.group, now, coordinator.settings);
}

/** The group a commit is for, or why it is refused; a commit outside any generation makes the group. */
export function beginCommit(
  coordinator: Coordinator,
  group: string,
  claim: MemberClaim,
  now: Millis,
): Entry | ErrorName {
  if (group === "") return "INVALID_GROUP_ID";
  const entry = coordinator.groups.get(group);
  if (entry === undefined) {
    if (claim.generation >= 0) return speaksOfEpochs(claim) ? "GROUP_ID_NOT_FOUND" : "ILLEGAL_GENERATION";
    if (coordinator.groups.size >= coordinator.settings.groupsMax) return "COORDINATOR_NOT_AVAILABLE";
    return addGroup(coordinator, newGroup(group, now));
  }
  const error =
    entry.consumer === null ? checkCommit(entry.group, claim, now) : checkConsumerCommit(entry, entry.consumer, claim);
  return error === "NONE" ? entry : error;
}

/** Whether a transaction may hold offsets for this group (KIP-447); the group is made when it commits. */
export function checkTransactionalCommit(
  coordinator: Coordinator,
  group: string,
  claim: MemberClaim,
  now: Millis,
): ErrorName {
  if (group === "") return "INVALID_GROUP_ID";
  const entry = coordinator.groups.get(group);
  if (entry === undefined) return claim.generation >= 0 ? "ILLEGAL_GENERATION" : "NONE";
  if (entry.consumer === null) return checkCommit(entry.group, claim, now, true);
  const simple = claim.generation < 0 && claim.memberId === "" && claim.instanceId === null;
  const error = simple ? "NONE" : checkConsumerCommit(entry, entry.consumer, claim);
  // TxnOffsetCommit knows generations only.
  return error === "STALE_MEMBER_EPOCH" ? "ILLEGAL_GENERATION" : error;
}

/** The group that a decided transaction commits for, made if it is gone: the decision stands. */
export function ensureGroup(coordinator: Coordinator, group: string, now: Millis): Entry {
  return coordinator.groups.get(group) ?? addGroup(coordinator, newGroup(group, now));
}

/** Marks an empty group Dead while its deletion is stored; joins and commits are told to wait meanwhile. */
export function beginDeletion(coordinator: Coordinator, group: string): Entry | ErrorName {
  if (group === "") return "INVALID_GROUP_ID";
  const entry = coordinator.groups.get(group);
  if (entry === undefined) return "GROUP_ID_NOT_FOUND";
  if (entry.group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  if (entry.group.state !== GroupState.Empty || (entry.consumer?.members.size ?? 0) > 0) return "NON_EMPTY_GROUP";
  entry.group.state = GroupState.Dead;
  entry.group.pending.clear();
  return entry;
}

/** The deletion was stored, or not: then the group is as it was. */
export function endDeletion(coordinator: Coordinator, entry: Entry, deleted: boolean, now: Millis): void {
  if (deleted) {
    if (coordinator.groups.get(entry.group.id) === entry) coordinator.groups.delete(entry.group.id);
    return;
  }
  entry.group.state = GroupState.Empty;
  entry.group.emptyCountedAt = now;
}

/** What the regular sweep found: groups to delete, and groups whose observed empty time is worth storing. */
export interface Sweep {
  readonly expired: readonly Entry[];
  readonly store: readonly GroupEffect[];
}

/**
 * Counts empty time and finds what has expired. The count is stored once it grew by `storeAfterMs`, so that a restart
 * loses little of it and an SD card is not written for it all day.
 */
export function sweep(coordinator: Coordinator, now: Millis, storeAfterMs: Millis): Sweep {
  const expired: Entry[] = [];
  const store: GroupEffect[] = [];
  for (const entry of coordinator.groups.values()) {
    const { group, offsets, consumer } = entry;
    countEmptyTime(group, now);
    if (consumer !== null && consumer.members.size > 0) {
      group.emptyMs = 0;
      continue;
    }
    if (entry.commitsUnderWay > 0) continue;
    if (isExpired(group, offsets, coordinator.settings)) expired.push(entry);
    else if (group.state === GroupState.Empty && group.emptyMs - group.emptyMsStored >= storeAfterMs) {
      group.emptyMsStored = group.emptyMs;
      if (consumer !== null) store.push(...storeEmptyTime(group, consumer));
      else store.push({ kind: "store", group: group.id, record: recordOf(group), then: { kind: "nothing" } });
    }
  }
  return { expired, store };
}

export interface ListedGroup {
  readonly group: string;
  readonly protocolType: string;
  readonly state: GroupState | ConsumerGroupState;
  readonly type: "classic" | "consumer";
}

/** ListGroups; an empty filter means all. States are compared without case, as Kafka 4 does. */
export function list(coordinator: Coordinator, states: readonly string[]): ListedGroup[] {
  const wanted = new Set(states.map((state) => state.toLowerCase()));
  const rows = [...coordinator.groups.values()].map(
    ({ group, consumer }): ListedGroup =>
      consumer === null
        ? { group: group.id, protocolType: group.protocolType ?? "", state: group.state, type: "classic" }
        : { group: group.id, protocolType: "consumer", state: stateOf(group, consumer), type: "consumer" },
  );
  return wanted.size === 0 ? rows : rows.filter((row) => wanted.has(row.state.toLowerCase()));
}

export interface DescribedGroup {
  readonly group: string;
  readonly state: GroupState;
  readonly protocolType: string;
  /** "" unless the group is Stable. */
  readonly protocolName: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly metadata: Uint8Array;
    readonly assignment: Uint8Array;
  }[];
}

/** A group that is not here. */
export function deadGroup(group: string): DescribedGroup {
  return { group, state: GroupState.Dead, protocolType: "", protocolName: "", members: [] };
}

/**
 * DescribeGroups for one group; one that is unknown or of the server-side protocol is Dead (KIP-848). Metadata and
 * assignments are told of a Stable group only.
 */
export function describe(coordinator: Coordinator, id: string): DescribedGroup {
  const entry = coordinator.groups.get(id);
  const group = entry?.group;
  if (group === undefined || entry?.consumer) return deadGroup(id);
  const stable = group.state === GroupState.Stable;
  return {
    group: id,
    state: group.state,
    protocolType: group.protocolType ?? "",
    protocolName: stable ? (group.protocolName ?? "") : "",
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: stable ? metadataFor(member, group.protocolName) : new Uint8Array(0),
      assignment: stable ? member.assignment : new Uint8Array(0),
    })),
  };
}
