// Committed offsets of one group: who may commit, what is kept, when it expires. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";
import type { Group, GroupSettings } from "./group.ts";
import { checkMember, GroupState } from "./group.ts";
import type { MemberClaim } from "./syncing.ts";
import { touch } from "./syncing.ts";

/** A committed offset and its place in the order of commits. */
export interface Committed extends CommittedOffset {
  readonly sequence: number;
}

/** topic id -> partition -> what is committed. */
export type Offsets = Map<string, Map<number, Committed>>;

/**
 * Whether this commit may be stored. A member commits with its generation, also while the next one is being prepared
 * (it learns of that by heartbeat); a consumer outside any generation only while the group is empty.
 */
export function checkCommit(group: Group, claim: MemberClaim, now: Millis, transactional = false): ErrorName {
  if (group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  const simple = claim.generation < 0 && claim.memberId === "" && claim.instanceId === null;
  if (claim.generation < 0 && group.state === GroupState.Empty) return "NONE";
  // A transaction is fenced by its epoch; members name themselves only since KIP-447.
  if (simple) return transactional ? "NONE" : "UNKNOWN_MEMBER_ID";
  const error = checkMember(group, claim.memberId, claim.instanceId);
  if (error !== "NONE") return error;
  if (claim.generation !== group.generation) return "ILLEGAL_GENERATION";
  const member = group.members.get(claim.memberId);
  if (member !== undefined) touch(member, now);
  return !transactional && group.state === GroupState.CompletingRebalance ? "REBALANCE_IN_PROGRESS" : "NONE";
}

/** What the registry is asked to compare: -1 outside any generation. */
export function fenceGeneration(group: Group): number {
  return group.state === GroupState.Empty ? -1 : group.generation;
}

/** Length of the text in UTF-8. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 0x80) length += 1;
    else if (code < 0x800) length += 2;
    else if (code >= 0xd800 && code <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      length += 4;
      i += 1;
    } else length += 3;
  }
  return length;
}

/** Takes over what was stored; an older commit never replaces a newer one, whatever order the answers came in. */
export function applyCommit(offsets: Offsets, stored: readonly CommittedOffset[], sequence: number): void {
  for (const offset of stored) {
    let partitions = offsets.get(offset.topicId);
    if (partitions === undefined) {
      partitions = new Map();
      offsets.set(offset.topicId, partitions);
    }
    const before = partitions.get(offset.partition);
    if (before === undefined || before.sequence < sequence) partitions.set(offset.partition, { ...offset, sequence });
  }
}

/** Forgets single offsets that are not newer than `sequence`. */
export function applyDeletion(
  offsets: Offsets,
  removed: readonly { readonly topicId: string; readonly partition: number }[],
  sequence: number,
): void {
  for (const { topicId, partition } of removed) {
    const partitions = offsets.get(topicId);
    const before = partitions?.get(partition);
    if (partitions === undefined || before === undefined || before.sequence > sequence) continue;
    partitions.delete(partition);
    if (partitions.size === 0) offsets.delete(topicId);
  }
}

/**
 * Adds the time the group was seen empty. Only monotonic time that a running hub observed counts: a jump of the wall
 * clock, or a year in a drawer, expires nothing.
 */
export function countEmptyTime(group: Group, now: Millis): void {
  if (group.state === GroupState.Empty && group.pending.size === 0) {
    group.emptyMs += Math.max(0, now - group.emptyCountedAt);
  }
  group.emptyCountedAt = now;
}

/** A commit into an empty group is a sign of use. */
export function markUsed(group: Group, now: Millis): void {
  group.emptyMs = 0;
  group.emptyCountedAt = now;
}

/** True when the group and its offsets may go: nobody is there, and nothing is kept or the time is over. */
export function isExpired(group: Group, offsets: Offsets, settings: GroupSettings): boolean {
  if (group.state !== GroupState.Empty || group.pending.size > 0) return false;
  return offsets.size === 0 || group.emptyMs >= settings.offsetsRetentionMs;
}
