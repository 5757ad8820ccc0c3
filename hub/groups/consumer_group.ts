// One group of the server-side protocol (KIP-848) as plain data: members, epochs, who holds which partition. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { GroupEffect, Protocol } from "./group.ts";
import type { TopicPartitions } from "./topic_partitions.ts";

/** States of such a group, spelled as Kafka's tools print them. */
export const ConsumerGroupState = {
  Empty: "Empty",
  Assigning: "Assigning",
  Reconciling: "Reconciling",
  Stable: "Stable",
  Dead: "Dead",
} as const;
export type ConsumerGroupState = (typeof ConsumerGroupState)[keyof typeof ConsumerGroupState];

/** Epochs a member sends that are no epochs. */
export const SpecialEpoch = { Join: 0, Leave: -1, LeaveStatic: -2 } as const;

/** Where a member stands on its way to its target. */
export const MemberState = {
  /** Has what its target of this epoch names. */
  Stable: "stable",
  /** Was told to give partitions back and has not said that it did. */
  Unrevoked: "unrevoked",
  /** Waits for partitions that others still hold. */
  Unreleased: "unreleased",
} as const;
export type MemberState = (typeof MemberState)[keyof typeof MemberState];

/** What only a member that speaks the classic protocol has (a group under online upgrade). */
export interface ClassicSide {
  readonly protocols: readonly Protocol[];
  readonly sessionTimeoutMs: Millis;
  /** Version of its embedded subscription: its assignments are written in it. */
  readonly version: number;
  /** It was asked to join again and does not until then: it goes. Infinity while nothing is asked. */
  joinDeadline: Millis;
  /** It has joined and asks for no assignment until then: it goes. */
  syncDeadline: Millis;
}

export interface ConsumerMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  rackId: string | null;
  clientId: string;
  clientHost: string;
  /** Whose rights decide what an expression of this member finds; "" is one of the hub's own rooms. */
  principal: string;
  rebalanceTimeoutMs: Millis;
  /** Names, sorted, none twice. */
  topics: readonly string[];
  /** "" when the member subscribes by name alone. */
  regex: string;
  /** null: it leaves the choice to the hub. */
  assignor: string | null;
  state: MemberState;
  /** 0 while joining, -2 while a static member is away. */
  epoch: number;
  previousEpoch: number;
  /** What it was told to own. */
  assigned: TopicPartitions;
  /** What it was told to give back and may still use. */
  revoking: TopicPartitions;
  /** It was told that it is fenced: it owns nothing when it joins again. */
  fenced: boolean;
  /** Monotonic time at which its session ends. */
  deadline: Millis;
  /** Monotonic time by which `revoking` must be given back. */
  revokeDeadline: Millis;
  /** `ConsumerGroup.changes` when it changed last. */
  changedAt: number;
  classic: ClassicSide | null;
}

/** An answer that leaves once the state it speaks of is stored. */
export interface HeldAnswer {
  readonly change: number;
  readonly effect: GroupEffect;
  /** The same answer when the state could not be stored. */
  readonly failed: (error: ErrorName) => GroupEffect;
}

/**
 * Invariants: `assignmentEpoch <= epoch`; no member's epoch is above `assignmentEpoch`; a partition has at most one
 * holder, who has it in `assigned` or `revoking`; epochs never decrease.
 */
export interface ConsumerGroup {
  readonly id: string;
  epoch: number;
  assignmentEpoch: number;
  readonly members: Map<string, ConsumerMember>;
  /** instance id -> member id */
  readonly staticMembers: Map<string, string>;
  /** Member id -> what the assignor wants it to have. */
  target: ReadonlyMap<string, TopicPartitions>;
  /** The assignor that made the target. */
  assignor: string;
  /** Subscribed topics that exist, and their partition counts, as the target knows them: topic id -> count. */
  counts: ReadonlyMap<string, number>;
  /** `TopicCatalogue.changes` when `counts` was taken; -1: look again. */
  topicsSeen: number;
  /** What the members' expressions match, until topics change: an expression may cost some time. */
  found: { readonly changes: number; readonly byRegex: ReadonlyMap<string, readonly CatalogueTopic[]> };
  /** Topic id -> partition -> member id. Follows from the members. */
  readonly holders: Map<string, Map<number, string>>;
  /** Counts changes of what must survive; `stored` is the last one the registry has, `storing` the one under way. */
  changes: number;
  stored: number;
  /** 0: nothing is under way. */
  storing: number;
  held: HeldAnswer[];
  /** The epoch the registry was given last: generations of a classic successor may not be below it. */
  storedEpoch: number;
  /** Observed time without members, as `Group.emptyMs`. */
  emptyMs: Millis;
}

/** Topics as the groups see them. */
export interface CatalogueTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly internal: boolean;
}

export interface TopicCatalogue {
  /** Grows whenever a topic is made, grows or goes. */
  changes(): number;
  topic(name: string): CatalogueTopic | undefined;
  topics(): Iterable<CatalogueTopic>;
}

/** Which way a group with members may change between the protocols (group.consumer.migration.policy). */
export const migrationPolicies = ["disabled", "downgrade", "upgrade", "bidirectional"] as const;
export type MigrationPolicy = (typeof migrationPolicies)[number];

/** How often members of a group are to beat, and after how long a silence they are dropped. */
export interface ConsumerPace {
  readonly heartbeatMs: Millis;
  readonly sessionMs: Millis;
}

export interface ConsumerSettings extends ConsumerPace {
  /** group.consumer.heartbeat.interval.ms */
  readonly heartbeatMs: Millis;
  /** group.consumer.session.timeout.ms */
  readonly sessionMs: Millis;
  /** What one group sets for itself in place of the two above; left out, all groups are alike. */
  readonly ofGroup?: (group: string) => ConsumerPace;
  /** group.consumer.max.size */
  readonly maxSize: number;
  /** group.consumer.assignors: the first is the default. */
  readonly assignors: readonly string[];
  readonly migration: MigrationPolicy;
  /** Bounds of subscriptions. */
  readonly subscribedTopicsMax: number;
  readonly regexLengthMax: number;
  readonly rebalanceTimeoutMsMax: Millis;
}

/** What a classic consumer embeds in JoinGroup. */
export interface Subscription {
  readonly version: number;
  readonly topics: readonly string[];
  /** Topic name -> partitions it holds; empty for eager assignors. */
  readonly owned: readonly (readonly [string, readonly number[]])[];
  readonly rackId: string | null;
}

/** The consumer's own protocol inside the classic one; bytes are the wire's business. */
export interface EmbeddedProtocol {
  /** null when the bytes are no subscription. */
  readSubscription(metadata: Uint8Array): Subscription | null;
  /** Topic name -> partitions; null when the bytes are no assignment. */
  readAssignment(assignment: Uint8Array): readonly (readonly [string, readonly number[]])[] | null;
  writeAssignment(version: number, partitions: readonly (readonly [string, readonly number[]])[]): Uint8Array;
}

/** What the machine is handed besides the group and the event. */
export interface ConsumerWorld {
  readonly settings: ConsumerSettings;
  readonly topics: TopicCatalogue;
  readonly embedded: EmbeddedProtocol;
  /** Whether a member may know of a topic that its expression finds; left out, everybody may know of all. */
  readonly maySee?: (viewer: Viewer, topic: string) => boolean;
}

/** Who looks for topics. */
export type Viewer = Pick<ConsumerMember, "principal" | "clientHost">;

/** The pace of one group: its own settings (consumer.session.timeout.ms ...) or the hub's. */
export function paceOf({ settings }: ConsumerWorld, group: string): ConsumerPace {
  return settings.ofGroup?.(group) ?? settings;
}

/** A group nobody has joined, at the epoch its classic past ended with. */
export function newConsumerGroup(id: string, epoch: number, assignor: string): ConsumerGroup {
  return {
    id,
    epoch,
    assignmentEpoch: epoch,
    members: new Map(),
    staticMembers: new Map(),
    target: new Map(),
    assignor,
    counts: new Map(),
    topicsSeen: -1,
    found: { changes: -1, byRegex: new Map() },
    holders: new Map(),
    changes: 0,
    stored: 0,
    storing: 0,
    held: [],
    storedEpoch: epoch,
    emptyMs: 0,
  };
}

/** Gives the member what it holds now: partitions it held before and holds no more have no holder. */
export function setPossession(
  group: ConsumerGroup,
  member: ConsumerMember,
  assigned: TopicPartitions,
  revoking: TopicPartitions,
): void {
  release(group, member);
  member.assigned = assigned;
  member.revoking = revoking;
  for (const possession of [assigned, revoking]) {
    for (const [topicId, partitions] of possession) {
      let holders = group.holders.get(topicId);
      if (holders === undefined) {
        holders = new Map();
        group.holders.set(topicId, holders);
      }
      for (const partition of partitions) holders.set(partition, member.memberId);
    }
  }
}

/** Takes the member's partitions out of the table of holders. */
export function release(group: ConsumerGroup, member: ConsumerMember): void {
  for (const possession of [member.assigned, member.revoking]) {
    for (const [topicId, partitions] of possession) {
      const holders = group.holders.get(topicId);
      if (holders === undefined) continue;
      for (const partition of partitions) {
        if (holders.get(partition) === member.memberId) holders.delete(partition);
      }
      if (holders.size === 0) group.holders.delete(topicId);
    }
  }
}

/** State of the group as tools print it; looks at every member, so it is for listings. */
export function consumerGroupState(group: ConsumerGroup): ConsumerGroupState {
  if (group.members.size === 0) return ConsumerGroupState.Empty;
  if (group.epoch > group.assignmentEpoch) return ConsumerGroupState.Assigning;
  for (const member of group.members.values()) {
    const away = member.epoch === SpecialEpoch.LeaveStatic;
    if (!away && (member.state !== MemberState.Stable || member.epoch !== group.assignmentEpoch)) {
      return ConsumerGroupState.Reconciling;
    }
  }
  return ConsumerGroupState.Stable;
}

/** The moment at which a tick has something to do; looks at every member. */
export function nextConsumerDeadline(group: ConsumerGroup): Millis {
  let next = Infinity;
  for (const member of group.members.values()) {
    next = Math.min(next, member.deadline, member.revokeDeadline);
    if (member.classic !== null) next = Math.min(next, member.classic.joinDeadline, member.classic.syncDeadline);
  }
  return next;
}
