// The `range` assignor: each topic cut into runs, one a reader, so that equal keys of two topics meet. Pure.
import type { Claimant, TargetAssignor } from "./uniform_assignor.ts";

/**
 * Members read in the order they joined, the same for every topic: topics with the same readers and counts are cut
 * alike (co-partitioning), a newcomer goes last and a static member that comes back keeps its place, so that cuts move
 * as little as runs can.
 */
export const assignRange: TargetAssignor = (claimants, counts) => {
  const result = new Map(claimants.map(({ memberId }) => [memberId, new Map<string, number[]>()]));
  const readers = new Map<string, Claimant[]>();
  for (const claimant of claimants) {
    for (const topicId of claimant.topics) {
      const list = readers.get(topicId);
      if (list === undefined) readers.set(topicId, [claimant]);
      else list.push(claimant);
    }
  }
  for (const [topicId, list] of readers) {
    const count = counts.get(topicId) ?? 0;
    const each = Math.floor(count / list.length);
    const longer = count % list.length;
    let next = 0;
    for (const [index, { memberId }] of list.entries()) {
      const length = each + (index < longer ? 1 : 0);
      if (length === 0) break;
      const first = next;
      result.get(memberId)?.set(
        topicId,
        Array.from({ length }, (_, i) => first + i),
      );
      next += length;
    }
  }
  return result;
};
