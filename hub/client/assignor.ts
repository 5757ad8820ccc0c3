// Who of a group reads which partitions: Kafka's range and round-robin assignors. Pure.

/** One member and the topics it wants. */
export interface Subscriber {
  readonly memberId: string;
  readonly topics: readonly string[];
}

/** Partitions by topic, for one member. */
export type Assignment = Map<string, number[]>;

/** From members and partition counts (0 or missing: the topic is not there yet) to an assignment for every member. */
export type Assignor = (members: readonly Subscriber[], counts: ReadonlyMap<string, number>) => Map<string, Assignment>;

const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

function begin(members: readonly Subscriber[]): { sorted: Subscriber[]; result: Map<string, Assignment> } {
  const sorted = [...members].sort((one, other) => byText(one.memberId, other.memberId));
  return { sorted, result: new Map(sorted.map(({ memberId }) => [memberId, new Map()])) };
}

function wanted(members: readonly Subscriber[], counts: ReadonlyMap<string, number>): string[] {
  const topics = new Set(members.flatMap((member) => member.topics));
  return [...topics].filter((topic) => (counts.get(topic) ?? 0) > 0).sort(byText);
}

function give(assignment: Assignment, topic: string, partition: number): void {
  const partitions = assignment.get(topic);
  if (partitions === undefined) assignment.set(topic, [partition]);
  else partitions.push(partition);
}

/**
 * Each topic is cut into as many consecutive runs as it has readers, the first ones longer by one where it does not
 * divide: equal counts of partitions put equal keys of two topics with the same member.
 */
export const assignRange: Assignor = (members, counts) => {
  const { sorted, result } = begin(members);
  for (const topic of wanted(members, counts)) {
    const readers = sorted.filter((member) => member.topics.includes(topic));
    const count = counts.get(topic)!;
    const each = Math.floor(count / readers.length);
    const longer = count % readers.length;
    let next = 0;
    for (const [index, reader] of readers.entries()) {
      const last = next + each + (index < longer ? 1 : 0);
      for (; next < last; next += 1) give(result.get(reader.memberId)!, topic, next);
    }
  }
  return result;
};

/** All partitions of all topics in a row, dealt to the members in turn; a member that does not want one is passed. */
export const assignRoundRobin: Assignor = (members, counts) => {
  const { sorted, result } = begin(members);
  let turn = 0;
  for (const topic of wanted(members, counts)) {
    for (let partition = 0; partition < counts.get(topic)!; partition += 1) {
      while (!sorted[turn % sorted.length]!.topics.includes(topic)) turn += 1;
      give(result.get(sorted[turn % sorted.length]!.memberId)!, topic, partition);
      turn += 1;
    }
  }
  return result;
};

/** By the protocol names of JoinGroup, the preferred first. */
export const assignors: ReadonlyMap<string, Assignor> = new Map([
  ["range", assignRange],
  ["roundrobin", assignRoundRobin],
]);
