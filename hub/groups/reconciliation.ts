// One member on its way from what it has to what the assignor wants it to have: give back first, then take. Pure.
import type { ConsumerGroup, ConsumerMember } from "./consumer_group.ts";
import { MemberState, setPossession } from "./consumer_group.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { common, meet, noPartitions, samePartitions, together, without } from "./topic_partitions.ts";

/**
 * Moves the member as far as it can go (KIP-848): a partition that leaves it is first told to it and counts as its own
 * until it says that it let go; one that comes to it waits until nobody holds it. The member's epoch becomes that of
 * the target as soon as it holds nothing the target does not give it.
 * @param owned what the member says it owns; null: it does not say
 * @param final the member cannot be about to take more than it says (a classic JoinGroup): what it does not own needs
 *   no giving back
 * @returns whether epoch, state or partitions changed
 */
export function reconcile(
  group: ConsumerGroup,
  member: ConsumerMember,
  owned: TopicPartitions | null,
  final = false,
): boolean {
  if (member.state === MemberState.Unrevoked) {
    if (owned === null || meet(owned, member.revoking)) return false;
  } else if (member.state === MemberState.Stable && member.epoch === group.assignmentEpoch) return false;
  const target = group.target.get(member.memberId) ?? noPartitions;
  const kept = common(member.assigned, target);
  let revoking = without(member.assigned, kept);
  if (final && owned !== null) revoking = common(revoking, owned);
  if (revoking.size > 0) return move(group, member, MemberState.Unrevoked, member.epoch, kept, revoking);
  const { free, waits } = takeable(group, member, without(target, kept));
  const state = waits ? MemberState.Unreleased : MemberState.Stable;
  return move(group, member, state, group.assignmentEpoch, together(kept, free), noPartitions);
}

/** Which of the wanted partitions nobody else holds. */
function takeable(
  group: ConsumerGroup,
  member: ConsumerMember,
  wanted: TopicPartitions,
): { readonly free: TopicPartitions; readonly waits: boolean } {
  const free = new Map<string, readonly number[]>();
  let waits = false;
  for (const [topicId, partitions] of wanted) {
    const holders = group.holders.get(topicId);
    const open = partitions.filter((partition) => (holders?.get(partition) ?? member.memberId) === member.memberId);
    if (open.length > 0) free.set(topicId, open);
    if (open.length < partitions.length) waits = true;
  }
  return { free, waits };
}

/** Whether a member that waits for others could take something now. */
export function couldTake(group: ConsumerGroup, member: ConsumerMember): boolean {
  const target = group.target.get(member.memberId) ?? noPartitions;
  return takeable(group, member, without(target, member.assigned)).free.size > 0;
}

function move(
  group: ConsumerGroup,
  member: ConsumerMember,
  state: MemberState,
  epoch: number,
  assigned: TopicPartitions,
  revoking: TopicPartitions,
): boolean {
  const unmoved =
    state === member.state &&
    epoch === member.epoch &&
    samePartitions(assigned, member.assigned) &&
    samePartitions(revoking, member.revoking);
  if (unmoved) return false;
  member.state = state;
  if (epoch !== member.epoch) {
    member.previousEpoch = member.epoch;
    member.epoch = epoch;
  }
  // The same object as before tells that nothing has to be told.
  const same = samePartitions(assigned, member.assigned);
  setPossession(group, member, same ? member.assigned : assigned, revoking);
  return true;
}
