// Which topics a group reads and who is to have which partition: the target of its next epoch. Pure.
import type { CatalogueTopic, ConsumerGroup, ConsumerMember, ConsumerWorld, TopicCatalogue } from "./consumer_group.ts";
import { assignRange } from "./range_assignor.ts";
import { noPartitions } from "./topic_partitions.ts";
import { compileNameRegex } from "./topic_regex.ts";
import type { Claimant, TargetAssignor } from "./uniform_assignor.ts";
import { assignUniform } from "./uniform_assignor.ts";

/** Server-side assignors by the names clients ask for. */
export const targetAssignors: ReadonlyMap<string, TargetAssignor> = new Map([
  ["uniform", assignUniform],
  ["range", assignRange],
]);

/** Members with one subscription read the same topics; what an expression finds is also a matter of who looks. */
export function subscriptionKey({ topics, regex, principal, clientHost }: ConsumerMember): string {
  return regex === "" ? topics.join(",") : `${topics.join(",")}\n${regex}\n${principal}\n${clientHost}`;
}

const none: ReadonlyMap<string, readonly CatalogueTopic[]> = new Map();

/** Topics whose names match an expression. */
function found(regex: string, topics: TopicCatalogue): readonly CatalogueTopic[] {
  const matches = compileNameRegex(regex);
  return [...topics.topics()].filter(({ internal, name }) => !internal && matches(name));
}

/** Per subscription the ids of the topics that exist and may be seen, sorted; equal ones are one array. */
function resolve(group: ConsumerGroup, { topics, maySee }: ConsumerWorld): Map<string, readonly string[]> {
  const resolved = new Map<string, readonly string[]>();
  const known = group.found.changes === topics.changes() ? group.found.byRegex : none;
  const byRegex = new Map<string, readonly CatalogueTopic[]>();
  const lists = new Map<string, readonly string[]>();
  for (const member of group.members.values()) {
    const key = subscriptionKey(member);
    if (resolved.has(key)) continue;
    const ids = new Set<string>();
    for (const name of member.topics) {
      const topic = topics.topic(name);
      if (topic !== undefined) ids.add(topic.topicId);
    }
    if (member.regex !== "") {
      const matching = byRegex.get(member.regex) ?? known.get(member.regex) ?? found(member.regex, topics);
      byRegex.set(member.regex, matching);
      for (const { name, topicId } of matching) if (maySee?.(member, name) ?? true) ids.add(topicId);
    }
    const list = [...ids].sort();
    const same = lists.get(list.join()) ?? list;
    lists.set(list.join(), same);
    resolved.set(key, same);
  }
  group.found = { changes: topics.changes(), byRegex };
  return resolved;
}

function countsOf(resolved: ReadonlyMap<string, readonly string[]>, topics: TopicCatalogue): Map<string, number> {
  const wanted = new Set<string>();
  for (const ids of resolved.values()) for (const topicId of ids) wanted.add(topicId);
  const counts = new Map<string, number>();
  for (const { topicId, partitions } of topics.topics()) if (wanted.has(topicId)) counts.set(topicId, partitions);
  return counts;
}

function sameCounts(left: ReadonlyMap<string, number>, right: ReadonlyMap<string, number>): boolean {
  if (left.size !== right.size) return false;
  for (const [topicId, count] of left) if (right.get(topicId) !== count) return false;
  return true;
}

/** Whether a topic the group reads was made, grew or went since its target was made. */
export function topicsChanged(group: ConsumerGroup, world: ConsumerWorld): boolean {
  const { topics } = world;
  const seen = topics.changes();
  if (group.topicsSeen === seen) return false;
  if (!sameCounts(group.counts, countsOf(resolve(group, world), topics))) return true;
  group.topicsSeen = seen;
  return false;
}

/** Begins a new epoch when that is so. */
export function noticeTopics(group: ConsumerGroup, world: ConsumerWorld): void {
  if (group.epoch === group.assignmentEpoch && topicsChanged(group, world)) group.epoch += 1;
}

/** The assignor most members ask for; members without a wish follow. A tie goes to the one configured first. */
function preferred(group: ConsumerGroup, world: ConsumerWorld): string {
  const votes = new Map<string, number>();
  for (const { assignor } of group.members.values()) {
    if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
  }
  let [best = "uniform"] = world.settings.assignors;
  let most = 0;
  for (const name of world.settings.assignors) {
    const count = votes.get(name) ?? 0;
    if (count <= most) continue;
    best = name;
    most = count;
  }
  return best;
}

/** Makes the target of the group's epoch, if it is not made. Costs about (partitions + members). */
export function updateTarget(group: ConsumerGroup, world: ConsumerWorld): boolean {
  if (group.assignmentEpoch === group.epoch) return false;
  const { topics } = world;
  const resolved = resolve(group, world);
  group.topicsSeen = topics.changes();
  group.counts = countsOf(resolved, topics);
  group.assignor = preferred(group, world);
  const claimants = [...group.members.values()].map(
    (member): Claimant => ({
      memberId: member.memberId,
      topics: resolved.get(subscriptionKey(member)) ?? [],
      held: group.target.get(member.memberId) ?? noPartitions,
    }),
  );
  const assign = targetAssignors.get(group.assignor) ?? assignUniform;
  group.target = assign(claimants, group.counts);
  group.assignmentEpoch = group.epoch;
  return true;
}
