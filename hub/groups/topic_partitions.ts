// Sets of partitions by topic id, as values: what a member owns, is to get, or has to give back. Pure.

/** Topic id -> partitions, ascending; no topic without partitions. Never changed in place. */
export type TopicPartitions = ReadonlyMap<string, readonly number[]>;

export const noPartitions: TopicPartitions = new Map();

const ascending = (one: number, other: number): number => one - other;

/** Sorts, merges and drops doubles. */
export function partitionsFrom(rows: Iterable<readonly [string, readonly number[]]>): TopicPartitions {
  const sets = new Map<string, Set<number>>();
  for (const [topicId, partitions] of rows) {
    const set = sets.get(topicId) ?? new Set();
    for (const partition of partitions) set.add(partition);
    if (set.size > 0) sets.set(topicId, set);
  }
  return new Map([...sets].map(([topicId, set]) => [topicId, [...set].sort(ascending)]));
}

function filtered(left: TopicPartitions, right: TopicPartitions, wanted: boolean): TopicPartitions {
  const result = new Map<string, readonly number[]>();
  for (const [topicId, partitions] of left) {
    const other = right.get(topicId);
    const kept = partitions.filter((partition) => holds(other, partition) === wanted);
    if (kept.length > 0) result.set(topicId, kept);
  }
  return result;
}

/** Whether an ascending list holds the number. */
export function holds(partitions: readonly number[] | undefined, partition: number): boolean {
  if (partitions === undefined) return false;
  let low = 0;
  let high = partitions.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = partitions[middle]!;
    if (found === partition) return true;
    if (found < partition) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** What is in both. */
export function common(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  return filtered(left, right, true);
}

/** What is in `left` and not in `right`. */
export function without(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  return filtered(left, right, false);
}

/** What is in either. */
export function together(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  return left.size === 0 ? right : right.size === 0 ? left : partitionsFrom([...left, ...right]);
}

/** Whether they have a partition in common. */
export function meet(left: TopicPartitions, right: TopicPartitions): boolean {
  return common(left, right).size > 0;
}

/** Whether every partition of `part` is in `whole`. */
export function isWithin(part: TopicPartitions, whole: TopicPartitions): boolean {
  return without(part, whole).size === 0;
}

/** Same topics, same partitions. */
export function samePartitions(left: TopicPartitions, right: TopicPartitions): boolean {
  if (left === right) return true;
  if (left.size !== right.size) return false;
  for (const [topicId, partitions] of left) {
    const other = right.get(topicId);
    if (other === partitions) continue;
    if (other === undefined || other.length !== partitions.length) return false;
    if (!partitions.every((partition, i) => partition === other[i])) return false;
  }
  return true;
}

/** Number of partitions. */
export function countOf(partitions: TopicPartitions): number {
  let count = 0;
  for (const each of partitions.values()) count += each.length;
  return count;
}
