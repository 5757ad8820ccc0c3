// What the guards ask of the rules, for one request of one connection.
import { clusterName, Operation, Resource, type Subject } from "../access/acl.ts";
import type { Rules } from "../engine/access_rules.ts";
import type { Topics } from "../engine/topics.ts";
import { codeOf } from "../errors.ts";
import type { ApiName, RequestOf, ResponseOf } from "../wire/apis.ts";

/** Set when a client did not ask for its authorised operations (KIP-430). */
const notAsked = -2_147_483_648;

/** A topic as some request names it: by one of two fields, or by id. */
export interface TopicRef {
  readonly name?: string | null;
  readonly topic?: string;
  readonly topicName?: string;
  readonly topicId?: string;
}

export class Asker {
  readonly version: number;
  readonly #rules: Rules;
  readonly #topics: Topics;
  readonly #subject: Subject;

  constructor(rules: Rules, topics: Topics, subject: Subject, version: number) {
    this.#rules = rules;
    this.#topics = topics;
    this.#subject = subject;
    this.version = version;
  }

  may(operation: number, resourceType: number, name: string): boolean {
    return this.#rules.allows(this.#subject, operation, resourceType, name);
  }

  cluster(operation: number): boolean {
    return this.may(operation, Resource.Cluster, clusterName);
  }

  group(operation: number, name: string): boolean {
    return this.may(operation, Resource.Group, name);
  }

  transaction(operation: number, name: string): boolean {
    return this.may(operation, Resource.TransactionalId, name);
  }

  /** An id that no topic has is let through: the handler says so, and there is nothing to protect. */
  topic(operation: number, ref: TopicRef | string): boolean {
    const name = typeof ref === "string" ? ref : this.nameOf(ref);
    return name === null || this.may(operation, Resource.Topic, name);
  }

  nameOf(ref: TopicRef): string | null {
    const name = ref.name ?? ref.topic ?? ref.topicName ?? "";
    if (name !== "") return name;
    return (ref.topicId === undefined ? undefined : this.#topics.byId(ref.topicId)?.name) ?? null;
  }

  exists(topic: string): boolean {
    return this.#topics.byName(topic) !== undefined;
  }

  /** Whether there can be a topic that may be written to. */
  writesSomewhere(): boolean {
    return this.#rules.allowsSomewhere(this.#subject, Operation.Write, Resource.Topic);
  }

  /** Of the operations a handler says are possible, those that are allowed, as bits of KIP-430. */
  operations(possible: number | undefined, resourceType: number, name: string): number {
    if (possible === undefined || possible === notAsked) return notAsked;
    let allowed = 0;
    for (const operation of Object.values(Operation)) {
      const bit = 1 << operation;
      if ((possible & bit) !== 0 && this.may(operation, resourceType, name)) allowed |= bit;
    }
    return allowed;
  }
}

/** Lets a request through to its handler, whole or in part, and answers for what is refused. */
export type Guard<N extends ApiName> = (
  request: RequestOf<N>,
  asker: Asker,
  go: (request: RequestOf<N>) => Promise<ResponseOf<N> | null>,
) => ResponseOf<N> | null | Promise<ResponseOf<N> | null>;

export type Guards<N extends ApiName> = { readonly [K in N]: Guard<K> };

export function split<T>(all: readonly T[], allowed: (one: T) => boolean): { readonly yes: T[]; readonly no: T[] } {
  const [yes, no]: [T[], T[]] = [[], []];
  for (const one of all) (allowed(one) ? yes : no).push(one);
  return { yes, no };
}

export const denied = {
  topic: codeOf("TOPIC_AUTHORIZATION_FAILED"),
  group: codeOf("GROUP_AUTHORIZATION_FAILED"),
  cluster: codeOf("CLUSTER_AUTHORIZATION_FAILED"),
  transaction: codeOf("TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
} as const;

/** The sentence beside a code, where the protocol has room for one. */
export const why = "Not authorised";
