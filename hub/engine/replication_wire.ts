// Between the typed values of replication and its messages: votes, elections, changes of config, states. Pure.
import type { ConfigId, ElectionKind, PartitionConfig, ReplicaSet } from "../cluster/types.ts";
import { codeOf, errorNameOf, HubError } from "../errors.ts";
import type { CallOf, ReplyOf, RequestOf, ResponseOf } from "../wire/apis.ts";
import type {
  PartitionKey,
  ReconfigureAsked,
  ReconfigureTold,
  ReplicaReport,
  TryLeadAsked,
  TryLeadTold,
  VoteAsked,
  VoteTold,
} from "./replica_office.ts";

const kinds: readonly ElectionKind[] = ["clean", "roll-call", "unclean"];
const results: readonly TryLeadTold["result"][] = ["led", "failed", "not-here"];

function malformed(what: string): HubError {
  return new HubError("INVALID_REQUEST", `${what} cannot be read`);
}

function parsed(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(what);
  }
}

function isSet(value: unknown): value is ReplicaSet {
  const { members, m } = (value ?? {}) as Partial<ReplicaSet>;
  if (!Array.isArray(members) || !members.every((member) => typeof member === "string")) return false;
  return Number.isInteger(m) && m! >= 1 && m! <= members.length;
}

function isId(value: unknown): value is ConfigId {
  const { epoch, n } = (value ?? {}) as Partial<ConfigId>;
  return Number.isInteger(epoch) && Number.isInteger(n);
}

const texts = new WeakMap<PartitionConfig, string>();

/** A config as it travels; remembered with the object, since a leader tells one config many times. */
export function configText(config: PartitionConfig): string {
  let text = texts.get(config);
  if (text === undefined) {
    const { id, old, next } = config;
    text = JSON.stringify({ id, old, next });
    texts.set(config, text);
  }
  return text;
}

/** @throws HubError INVALID_REQUEST */
export function configOf(text: string): PartitionConfig {
  const value = parsed("a config", text) as Partial<PartitionConfig> | null;
  if (!isId(value?.id) || !isSet(value.old) || !(value.next === null || isSet(value.next))) throw malformed("a config");
  const config = { id: value.id, old: value.old, next: value.next };
  texts.set(config, text);
  return config;
}

// ---- Vote

export function voteCall(asked: readonly VoteAsked[]): CallOf<"vote"> {
  return {
    partitions: asked.map(({ topicId, partition, epoch, candidate, config }) => {
      return { topicId, partition, epoch, candidate, config: configText(config) };
    }),
  };
}

/** @throws HubError INVALID_REQUEST */
export function votesAsked({ partitions }: RequestOf<"vote">): VoteAsked[] {
  return partitions.map(({ config, ...rest }) => ({ ...rest, config: configOf(config) }));
}

export function voteAnswer(told: readonly VoteTold[]): ResponseOf<"vote"> {
  return {
    errorCode: 0,
    partitions: told.map((one) => {
      const { topicId, partition } = one;
      if ("error" in one) return { topicId, partition, errorCode: codeOf(one.error) };
      return { topicId, partition, errorCode: 0, ...one.reply, config: configText(one.reply.config) };
    }),
  };
}

/** @throws HubError the refusal of the whole request, or INVALID_REQUEST */
export function votesTold(reply: ReplyOf<"vote">): VoteTold[] {
  throwRefusal(reply);
  return reply.partitions.map(({ topicId, partition, errorCode, config, ...rest }) => {
    if (errorCode !== 0) return { topicId, partition, error: errorNameOf(errorCode) };
    return { topicId, partition, reply: { ...rest, config: configOf(config) } };
  });
}

// ---- TryLead

export function tryLeadCall(ctlEpoch: number, asked: readonly TryLeadAsked[]): CallOf<"tryLead"> {
  return { ctlEpoch, partitions: asked.map(({ kind, ...rest }) => ({ ...rest, kind: kinds.indexOf(kind) })) };
}

/** @throws HubError INVALID_REQUEST */
export function triesAsked({ partitions }: RequestOf<"tryLead">): TryLeadAsked[] {
  return partitions.map(({ kind, ...rest }) => {
    if (kinds[kind] === undefined) throw malformed(`an election of kind ${kind}`);
    return { ...rest, kind: kinds[kind] };
  });
}

export function tryLeadAnswer(told: readonly TryLeadTold[]): ResponseOf<"tryLead"> {
  return {
    errorCode: 0,
    partitions: told.map((one) => ({
      topicId: one.topicId,
      partition: one.partition,
      result: results.indexOf(one.result),
      epoch: one.result === "not-here" ? -1 : one.epoch,
      why: one.result === "failed" ? JSON.stringify(one.why) : null,
    })),
  };
}

/** @throws HubError the refusal of the whole request, or INVALID_REQUEST */
export function triesTold(reply: ReplyOf<"tryLead">): TryLeadTold[] {
  throwRefusal(reply);
  return reply.partitions.map(({ topicId, partition, result, epoch, why }) => {
    const name = results[result];
    if (name === "led") return { topicId, partition, result: name, epoch };
    if (name === "not-here") return { topicId, partition, result: name };
    if (name !== "failed" || why === null) throw malformed("the end of an election");
    return { topicId, partition, result: name, epoch, why: parsed("the end of an election", why) as never };
  });
}

// ---- Reconfigure

export function reconfigureCall(ctlEpoch: number, asked: readonly ReconfigureAsked[]): CallOf<"reconfigure"> {
  return {
    ctlEpoch,
    partitions: asked.map((one) => {
      const { topicId, partition } = one;
      if ("handoverTo" in one) return { topicId, partition, handoverTo: one.handoverTo };
      return { topicId, partition, target: JSON.stringify({ ...one.target, lost: one.lost }) };
    }),
  };
}

/** @throws HubError INVALID_REQUEST */
export function reconfigurationsAsked({ partitions }: RequestOf<"reconfigure">): ReconfigureAsked[] {
  return partitions.map(({ topicId, partition, target, handoverTo }) => {
    if (target === null) return { topicId, partition, handoverTo };
    const set = parsed("a target", target);
    if (!isSet(set)) throw malformed("a target");
    const { lost } = set as { lost?: unknown };
    if (!Array.isArray(lost) || !lost.every((one) => typeof one === "string")) throw malformed("a target");
    return { topicId, partition, target: { members: set.members, m: set.m }, lost };
  });
}

export function reconfigureAnswer(told: readonly ReconfigureTold[]): ResponseOf<"reconfigure"> {
  return {
    errorCode: 0,
    partitions: told.map(({ topicId, partition, error, message }) => {
      return { topicId, partition, errorCode: codeOf(error), errorMessage: message };
    }),
  };
}

/** @throws HubError the refusal of the whole request */
export function reconfigurationsTold(reply: ReplyOf<"reconfigure">): ReconfigureTold[] {
  throwRefusal(reply);
  return reply.partitions.map(({ topicId, partition, errorCode, errorMessage }) => {
    return { topicId, partition, error: errorNameOf(errorCode), message: errorMessage };
  });
}

// ---- ReplicaStates

export function statesCall(which: readonly PartitionKey[] | null): CallOf<"replicaStates"> {
  return { partitions: which };
}

export function statesAnswer(reports: readonly ReplicaReport[]): ResponseOf<"replicaStates"> {
  return {
    errorCode: 0,
    partitions: reports.map(({ state, published, ...rest }) => ({
      ...rest,
      state: JSON.stringify(state),
      published: published === null ? null : JSON.stringify(published),
    })),
  };
}

/** @throws HubError the refusal of the whole request, or INVALID_REQUEST */
export function statesTold(reply: ReplyOf<"replicaStates">): ReplicaReport[] {
  throwRefusal(reply);
  return reply.partitions.map(({ state, published, ...rest }) => ({
    ...rest,
    state: parsed("a replica's state", state) as never,
    published: published === null ? null : (parsed("a published state", published) as never),
  }));
}

function throwRefusal({ errorCode, errorMessage }: { errorCode: number; errorMessage: string | null }): void {
  if (errorCode !== 0) throw new HubError(errorNameOf(errorCode), errorMessage ?? undefined);
}
