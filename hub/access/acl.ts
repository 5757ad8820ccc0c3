// Access rules: who may do what to which resource, and why not (KIP-11, KIP-290). Pure.

/** What can be protected, with Kafka's numbers. */
export const Resource = {
  Any: 1,
  Topic: 2,
  Group: 3,
  Cluster: 4,
  TransactionalId: 5,
  DelegationToken: 6,
  User: 7,
} as const;

/** How the name of a rule meets the name of a resource; `Any` and `Match` stand in filters only. */
export const Pattern = { Any: 1, Match: 2, Literal: 3, Prefixed: 4 } as const;

export const Operation = {
  Any: 1,
  All: 2,
  Read: 3,
  Write: 4,
  Create: 5,
  Delete: 6,
  Alter: 7,
  Describe: 8,
  ClusterAction: 9,
  DescribeConfigs: 10,
  AlterConfigs: 11,
  IdempotentWrite: 12,
  CreateTokens: 13,
  DescribeTokens: 14,
  TwoPhaseCommit: 15,
} as const;

export const Permission = { Any: 1, Deny: 2, Allow: 3 } as const;

/** The one name of the cluster as a resource. */
export const clusterName = "kafka-cluster";
/** A literal name that stands for every name. */
const everyName = "*";
const everybody = "User:*";
const everyHost = "*";

export interface Rule {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly patternType: number;
  /** "User:<name>"; "User:*" is everybody. */
  readonly principal: string;
  /** An address, or "*". */
  readonly host: string;
  readonly operation: number;
  readonly permission: number;
}

/** Null and `Any` match everything. */
export interface RuleFilter {
  readonly resourceType: number;
  readonly resourceName: string | null;
  readonly patternType: number;
  readonly principal: string | null;
  readonly host: string | null;
  readonly operation: number;
  readonly permission: number;
}

/** Who asks. */
export interface Subject {
  readonly principal: string;
  readonly host: string;
}

/** What a permission brings along: whoever may read a topic may know that it is there. */
const implies: ReadonlyMap<number, readonly number[]> = new Map([
  [Operation.Describe, [Operation.Read, Operation.Write, Operation.Delete, Operation.Alter]],
  [Operation.DescribeConfigs, [Operation.AlterConfigs]],
]);

/** One text for a rule: equal rules have equal texts. */
export function textOfRule(rule: Rule): string {
  const { resourceType, patternType, resourceName, principal, host, operation, permission } = rule;
  return JSON.stringify([resourceType, patternType, resourceName, principal, host, operation, permission]);
}

/** The rule of such a text; null when it is none. */
export function ruleOfText(text: string): Rule | null {
  const [resourceType, patternType, resourceName, principal, host, operation, permission, ...rest] = JSON.parse(text);
  const numbers = [resourceType, patternType, operation, permission].every(Number.isInteger);
  const texts = [resourceName, principal, host].every((one) => typeof one === "string");
  if (!numbers || !texts || rest.length > 0) return null;
  return { resourceType, patternType, resourceName, principal, host, operation, permission };
}

export function matches(filter: RuleFilter, rule: Rule): boolean {
  return (
    (filter.resourceType === Resource.Any || filter.resourceType === rule.resourceType) &&
    (filter.operation === Operation.Any || filter.operation === rule.operation) &&
    (filter.permission === Permission.Any || filter.permission === rule.permission) &&
    (filter.principal === null || filter.principal === rule.principal) &&
    (filter.host === null || filter.host === rule.host) &&
    matchesName(filter, rule)
  );
}

function matchesName({ patternType, resourceName }: RuleFilter, rule: Rule): boolean {
  if (patternType === Pattern.Literal || patternType === Pattern.Prefixed) {
    return rule.patternType === patternType && (resourceName === null || resourceName === rule.resourceName);
  }
  if (resourceName === null) return true;
  return patternType === Pattern.Match ? covers(rule, resourceName) : rule.resourceName === resourceName;
}

/** Whether a rule speaks of the resource of this name. */
function covers(rule: Rule, name: string): boolean {
  if (rule.patternType === Pattern.Prefixed) return name.startsWith(rule.resourceName);
  return rule.resourceName === name || rule.resourceName === everyName;
}

function speaksOf(rule: Rule, { principal, host }: Subject): boolean {
  return (
    (rule.principal === principal || rule.principal === everybody) && (rule.host === host || rule.host === everyHost)
  );
}

/** A denial is exact; a permission implies others. */
function decides(rule: Rule, operation: number): boolean {
  if (rule.operation === operation || rule.operation === Operation.All) return true;
  return rule.permission === Permission.Allow && (implies.get(operation)?.includes(rule.operation) ?? false);
}

interface Shelf {
  readonly literal: Map<string, Rule[]>;
  readonly prefixed: Rule[];
}

/** All rules, found by the resource they speak of. */
export class RuleSet {
  readonly #byText = new Map<string, Rule>();
  readonly #shelves = new Map<number, Shelf>();

  get size(): number {
    return this.#byText.size;
  }

  all(): Iterable<Rule> {
    return this.#byText.values();
  }

  has(rule: Rule): boolean {
    return this.#byText.has(textOfRule(rule));
  }

  add(rule: Rule): void {
    const text = textOfRule(rule);
    if (this.#byText.has(text)) return;
    this.#byText.set(text, rule);
    const shelf = this.#shelf(rule.resourceType);
    if (rule.patternType === Pattern.Prefixed) shelf.prefixed.push(rule);
    else shelf.literal.set(rule.resourceName, [...(shelf.literal.get(rule.resourceName) ?? []), rule]);
  }

  remove(rule: Rule): void {
    const text = textOfRule(rule);
    const held = this.#byText.get(text);
    if (held === undefined) return;
    this.#byText.delete(text);
    const shelf = this.#shelf(held.resourceType);
    if (held.patternType === Pattern.Prefixed) shelf.prefixed.splice(shelf.prefixed.indexOf(held), 1);
    else {
      const left = (shelf.literal.get(held.resourceName) ?? []).filter((other) => other !== held);
      if (left.length === 0) shelf.literal.delete(held.resourceName);
      else shelf.literal.set(held.resourceName, left);
    }
  }

  matching(filter: RuleFilter): Rule[] {
    return [...this.#byText.values()].filter((rule) => matches(filter, rule));
  }

  /**
   * One denial outweighs every permission. `otherwise` decides about a resource that no rule speaks of at all
   * (Kafka's allow.everyone.if.no.acl.found).
   */
  allows(subject: Subject, operation: number, resourceType: number, name: string, otherwise: boolean): boolean {
    const shelf = this.#shelves.get(resourceType);
    if (shelf === undefined) return otherwise;
    let allowed = false;
    let any = false;
    const look = (rule: Rule): boolean => {
      any = true;
      if (!speaksOf(rule, subject) || !decides(rule, operation)) return false;
      if (rule.permission === Permission.Allow) allowed = true;
      return rule.permission === Permission.Deny;
    };
    if (shelf.literal.get(name)?.some(look) || shelf.literal.get(everyName)?.some(look)) return false;
    for (const rule of shelf.prefixed) if (name.startsWith(rule.resourceName) && look(rule)) return false;
    return any ? allowed : otherwise;
  }

  /** Whether there can be any resource of the type that the subject may do this to (KIP-679: idempotent writes). */
  allowsSomewhere(subject: Subject, operation: number, resourceType: number, otherwise: boolean): boolean {
    const shelf = this.#shelves.get(resourceType);
    const rules = [...(shelf?.literal.values() ?? [])].flat().concat(shelf?.prefixed ?? []);
    const mine = rules.filter((rule) => speaksOf(rule, subject) && decides(rule, operation));
    const denials = mine.filter((rule) => rule.permission === Permission.Deny);
    if (denials.some((rule) => rule.patternType === Pattern.Literal && rule.resourceName === everyName)) return false;
    const outweighed = (rule: Rule): boolean => denials.some((denial) => swallows(denial, rule));
    return otherwise || mine.some((rule) => rule.permission === Permission.Allow && !outweighed(rule));
  }

  #shelf(resourceType: number): Shelf {
    let shelf = this.#shelves.get(resourceType);
    if (shelf === undefined) {
      shelf = { literal: new Map(), prefixed: [] };
      this.#shelves.set(resourceType, shelf);
    }
    return shelf;
  }
}

/** Whether every name of the permission falls under the denial. */
function swallows(denial: Rule, permission: Rule): boolean {
  if (permission.patternType === Pattern.Literal && permission.resourceName === everyName) return false;
  if (denial.patternType === Pattern.Prefixed) return permission.resourceName.startsWith(denial.resourceName);
  return permission.patternType === Pattern.Literal && denial.resourceName === permission.resourceName;
}
