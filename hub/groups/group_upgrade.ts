// A group with members moves between the classic and the server-side protocol, and nobody has to stop (KIP-848). Pure.
import type { Millis } from "../io/ports.ts";
import { byId, byName } from "./classic_members.ts";
import type { ConsumerGroup, ConsumerWorld, MigrationPolicy } from "./consumer_group.ts";
import { newConsumerGroup, setPossession } from "./consumer_group.ts";
import type { Group, GroupEffect, GroupSettings, Member } from "./group.ts";
import { GroupState, metadataFor, newGroup, recordOf, selectProtocol } from "./group.ts";
import { addConsumerMember, changed } from "./membership.ts";
import { dropMember, prepareRebalance, refuseJoin, refuseSync } from "./rebalance.ts";
import type { TopicPartitions } from "./topic_partitions.ts";
import { noPartitions } from "./topic_partitions.ts";

function allows(policy: MigrationPolicy, way: "upgrade" | "downgrade"): boolean {
  return policy === "bidirectional" || policy === way;
}

function metadataOf(group: Group, member: Member): Uint8Array {
  const name = group.protocolName ?? member.protocols[0]?.name ?? null;
  return metadataFor(member, name);
}

/** Why a classic group cannot be joined by the server-side protocol; null when it can. An empty one always can. */
export function whyNoUpgrade(group: Group, world: ConsumerWorld): string | null {
  if (group.members.size === 0) return null;
  if (!allows(world.settings.migration, "upgrade")) return "its members use the classic protocol, and upgrades are off";
  if (group.protocolType !== "consumer") return `its members are no consumers (${group.protocolType})`;
  if (group.members.size >= world.settings.maxSize) return "it has too many members";
  for (const member of group.members.values()) {
    if (world.embedded.readSubscription(metadataOf(group, member)) === null) {
      return "a member has an assignor of its own format";
    }
  }
  return null;
}

/**
 * The group as one of the server-side protocol: its generation becomes the epoch, members keep what they were
 * assigned, and hear by their next heartbeat that they are to join again. Who waits is sent back to join again.
 */
export function toConsumer(group: Group, world: ConsumerWorld, now: Millis, effects: GroupEffect[]): ConsumerGroup {
  const [assignor = ""] = world.settings.assignors;
  const consumer = newConsumerGroup(group.id, group.generation, assignor);
  consumer.emptyMs = group.emptyMs;
  const target = new Map<string, TopicPartitions>();
  for (const old of [...group.members.values()]) {
    // It does not know its id yet, so it cannot go on.
    if (old.isNew) {
      dropMember(group, old, "the group turns to the consumer protocol", now, effects);
      continue;
    }
    refuseJoin(old, "REBALANCE_IN_PROGRESS", effects);
    refuseSync(old, "REBALANCE_IN_PROGRESS", now, effects);
    const subscription = world.embedded.readSubscription(metadataOf(group, old));
    const member = addConsumerMember(consumer, old, old.memberId);
    member.rebalanceTimeoutMs = old.rebalanceTimeoutMs;
    member.topics = [...new Set(subscription?.topics ?? [])].sort();
    member.rackId = subscription?.rackId ?? null;
    member.epoch = group.generation;
    member.previousEpoch = group.generation;
    member.deadline = now + old.sessionTimeoutMs;
    member.classic = {
      protocols: old.protocols,
      sessionTimeoutMs: old.sessionTimeoutMs,
      version: subscription?.version ?? 0,
      joinDeadline: Infinity,
      syncDeadline: Infinity,
    };
    const assigned = byId(world.embedded.readAssignment(old.assignment) ?? [], world.topics);
    setPossession(consumer, member, assigned, noPartitions);
    target.set(member.memberId, assigned);
  }
  consumer.target = target;
  changed(consumer);
  return consumer;
}

/** Whether the last member of the server-side protocol is gone and classic ones are left. */
export function mayDowngrade(consumer: ConsumerGroup, world: ConsumerWorld): boolean {
  if (!allows(world.settings.migration, "downgrade")) return false;
  for (const { classic } of consumer.members.values()) if (classic === null) return false;
  return consumer.members.size > 0;
}

/** The group as a classic one, about to rebalance: its epoch becomes the generation, and who waits joins again. */
export function toClassic(
  consumer: ConsumerGroup,
  world: ConsumerWorld,
  now: Millis,
  settings: GroupSettings,
  effects: GroupEffect[],
): Group {
  const group = newGroup(consumer.id, now);
  // The epoch its members know, if that is no step back: with it they commit until they have joined again.
  group.generation = consumer.storedEpoch;
  group.protocolType = "consumer";
  group.state = GroupState.Stable;
  for (const { classic, ...member } of consumer.members.values()) {
    if (classic === null) continue;
    group.members.set(member.memberId, {
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: classic.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      protocols: classic.protocols,
      assignment: world.embedded.writeAssignment(classic.version, byName(member.assigned, world.topics)),
      isNew: false,
      joinRequest: null,
      syncRequest: null,
      deadline: now + classic.sessionTimeoutMs,
    });
    group.leader ??= member.memberId;
    if (member.instanceId !== null) group.staticMembers.set(member.instanceId, member.memberId);
  }
  group.protocolName = selectProtocol(group);
  for (const held of consumer.held.splice(0)) {
    const joins = held.effect.kind === "answer-join" || held.effect.kind === "answer-sync";
    effects.push(joins ? held.failed("REBALANCE_IN_PROGRESS") : held.effect);
  }
  effects.push({ kind: "store", group: group.id, record: recordOf(group), then: { kind: "nothing" } });
  prepareRebalance(group, "the last member of the consumer protocol left", now, settings, effects);
  return group;
}
