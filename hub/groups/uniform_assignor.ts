// The `uniform` assignor: equal shares, and as few moves as equal shares allow. Pure.
import type { TopicPartitions } from "./topic_partitions.ts";

/** A member as an assignor sees it. Members with the same subscription share one `topics` array. */
export interface Claimant {
  readonly memberId: string;
  /** Ids of the topics it reads, sorted. */
  readonly topics: readonly string[];
  /** Its target so far. */
  readonly held: TopicPartitions;
}

/** From members (in the order they joined) and partition counts by topic id to a target for each. */
export type TargetAssignor = (
  claimants: readonly Claimant[],
  counts: ReadonlyMap<string, number>,
) => Map<string, TopicPartitions>;

interface Share {
  readonly claimant: Claimant;
  readonly partitions: Map<string, number[]>;
  load: number;
}

/** One owner a partition, by topic. */
type Owners = Map<string, (Share | undefined)[]>;

/**
 * Loads differ by at most one where subscriptions are the same, else as little as single moves can make them. Members
 * keep what they hold unless they hold too much: a join moves only what the newcomer's share takes.
 */
export const assignUniform: TargetAssignor = (claimants, counts) => {
  const shares = claimants.map((claimant): Share => ({ claimant, partitions: new Map(), load: 0 }));
  const owners: Owners = new Map([...counts].map(([topicId, count]) => [topicId, new Array(count).fill(undefined)]));
  const alike = new Set(claimants.map(({ topics }) => topics)).size <= 1;
  if (alike) shareAlike(shares, owners);
  else shareMixed(shares, owners);
  for (const [topicId, partitions] of owners) {
    for (const [partition, share] of partitions.entries()) {
      if (share === undefined) continue;
      const list = share.partitions.get(topicId);
      if (list === undefined) share.partitions.set(topicId, [partition]);
      else list.push(partition);
    }
  }
  return new Map(shares.map(({ claimant, partitions }) => [claimant.memberId, partitions]));
};

/** Lets the member keep up to `most` of what it holds and still reads. */
function keep(share: Share, owners: Owners, most: number): void {
  const { held, topics } = share.claimant;
  const wanted = new Set(topics);
  for (const [topicId, partitions] of held) {
    const row = owners.get(topicId);
    if (row === undefined || !wanted.has(topicId)) continue;
    for (const partition of partitions) {
      if (share.load >= most) return;
      if (partition >= row.length || row[partition] !== undefined) continue;
      row[partition] = share;
      share.load += 1;
    }
  }
}

function heldCount({ claimant }: Share, owners: Owners): number {
  let count = 0;
  for (const [topicId, partitions] of claimant.held) {
    const size = owners.get(topicId)?.length ?? 0;
    for (const partition of partitions) if (partition < size) count += 1;
  }
  return count;
}

function shareAlike(shares: readonly Share[], owners: Owners): void {
  const topics = shares[0]?.claimant.topics ?? [];
  let total = 0;
  for (const topicId of topics) total += owners.get(topicId)?.length ?? 0;
  const quota = Math.floor(total / shares.length);
  let larger = total - quota * shares.length;
  const room: Share[] = [];
  for (const share of shares) {
    const most = larger > 0 && heldCount(share, owners) > quota ? quota + 1 : quota;
    keep(share, owners, most);
    if (share.load > quota) larger -= 1;
    else room.push(share);
  }
  // The free ones are dealt in turn, so that each topic spreads over the members.
  let limit = quota;
  let open = room.filter(({ load }) => load < limit);
  let turn = 0;
  for (const topicId of topics) {
    const row = owners.get(topicId) ?? [];
    for (const [partition, owner] of row.entries()) {
      if (owner !== undefined) continue;
      if (open.length === 0) {
        limit = quota + 1;
        open = [...room];
      }
      turn %= open.length;
      const share = open[turn]!;
      row[partition] = share;
      share.load += 1;
      if (share.load >= limit) open.splice(turn, 1);
      else turn += 1;
    }
  }
}

/** Rounds of evening out; each move makes the loads more equal, so this is rarely reached. */
const roundsMax = 16;

function shareMixed(shares: readonly Share[], owners: Owners): void {
  const readers = new Map<string, Share[]>();
  for (const share of shares) {
    keep(share, owners, Infinity);
    for (const topicId of share.claimant.topics) {
      const list = readers.get(topicId);
      if (list === undefined) readers.set(topicId, [share]);
      else list.push(share);
    }
  }
  // Topics with few readers first: the others can still make up for them.
  const topics = [...readers].sort(([, one], [, other]) => one.length - other.length);
  for (const [topicId, list] of topics) {
    const row = owners.get(topicId) ?? [];
    for (const [partition, owner] of row.entries()) if (owner === undefined) give(row, partition, lightest(list));
  }
  for (let round = 0; round < roundsMax; round += 1) {
    let moved = false;
    for (const [topicId, list] of topics) moved = evenOut(owners.get(topicId) ?? [], list) || moved;
    if (!moved) return;
  }
}

function evenOut(row: (Share | undefined)[], list: readonly Share[]): boolean {
  let least = lightest(list);
  let moved = false;
  for (const [partition, owner] of row.entries()) {
    if (owner === undefined || owner.load <= least.load + 1) continue;
    give(row, partition, least);
    least = lightest(list);
    moved = true;
  }
  return moved;
}

function give(row: (Share | undefined)[], partition: number, share: Share): void {
  const before = row[partition];
  if (before !== undefined) before.load -= 1;
  row[partition] = share;
  share.load += 1;
}

function lightest(shares: readonly Share[]): Share {
  let best = shares[0]!;
  for (const share of shares) if (share.load < best.load) best = share;
  return best;
}
