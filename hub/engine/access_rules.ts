// Access rules, kept as facts, and the one question they answer: may this one do that?
import {
  clusterName,
  Operation,
  Pattern,
  Permission,
  Resource,
  type Rule,
  type RuleFilter,
  RuleSet,
  ruleOfText,
  type Subject,
  textOfRule,
} from "../access/acl.ts";
import { HubError } from "../errors.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { Turns } from "./turns.ts";

const prefix = "access/rule/";
const present = new Uint8Array([1]);

export interface RulesOptions {
  /** False: everybody may do everything, and rules are neither kept nor told (SECURITY_DISABLED). */
  readonly enabled: boolean;
  /** Principals for whom no rule counts. */
  readonly superUsers: readonly string[];
  /** What holds for a resource that no rule speaks of (Kafka's allow.everyone.if.no.acl.found). */
  readonly allowIfNoRule: boolean;
}

export class Rules {
  readonly #facts: FactStore;
  readonly #options: RulesOptions;
  readonly #superUsers: ReadonlySet<string>;
  readonly #rules = new RuleSet();
  readonly #turns = new Turns();
  #changes = 0;

  constructor(facts: FactStore, options: RulesOptions) {
    this.#facts = facts;
    this.#options = options;
    this.#superUsers = new Set(options.superUsers);
    for (const [key, value] of facts.entries(prefix)) this.learn(key, value);
  }

  /** Takes over a fact, as stored here or changed on another hub; null removes. Keys of others are passed over. */
  learn(key: string, value: Uint8Array | null): void {
    const rule = key.startsWith(prefix) ? ruleOfText(key.slice(prefix.length)) : null;
    if (rule === null) return;
    if (value === null) this.#rules.remove(rule);
    else if (!this.#rules.has(rule)) this.#rules.add(rule);
    this.#changes += 1;
  }

  get enabled(): boolean {
    return this.#options.enabled;
  }

  /** Grows with each change of the rules. */
  get changes(): number {
    return this.#changes;
  }

  allows(subject: Subject, operation: number, resourceType: number, name: string): boolean {
    if (this.#superUsers.has(subject.principal)) return true;
    return this.#rules.allows(subject, operation, resourceType, name, this.#options.allowIfNoRule);
  }

  allowsSomewhere(subject: Subject, operation: number, resourceType: number): boolean {
    if (this.#superUsers.has(subject.principal)) return true;
    return this.#rules.allowsSomewhere(subject, operation, resourceType, this.#options.allowIfNoRule);
  }

  matching(filter: RuleFilter): Rule[] {
    return this.#rules.matching(filter);
  }

  /** In force once durable; a rule that is there already changes nothing. One answer per rule, null for success. */
  add(rules: readonly Rule[]): Promise<(HubError | null)[]> {
    return this.#turns.take(prefix, () => this.#add(rules));
  }

  async #add(rules: readonly Rule[]): Promise<(HubError | null)[]> {
    let room = limits.accessRulesMax - this.#rules.size;
    const errors = rules.map((rule) => {
      const wrong = whatIsWrong(rule);
      if (wrong !== null || this.#rules.has(rule)) return wrong;
      if (--room >= 0) return null;
      return new HubError("POLICY_VIOLATION", `${limits.accessRulesMax} access rules are kept at most`);
    });
    const good = rules.filter((_, i) => errors[i] === null);
    if (good.length > 0) await this.#facts.put(good.map((rule) => [prefix + textOfRule(rule), present]));
    for (const rule of good) this.#rules.add(rule);
    this.#changes += good.length;
    return errors;
  }

  /** Gone once durable. */
  remove(rules: readonly Rule[]): Promise<void> {
    return this.#turns.take(prefix, () => this.#remove(rules));
  }

  async #remove(rules: readonly Rule[]): Promise<void> {
    if (rules.length > 0) await this.#facts.put(rules.map((rule) => [prefix + textOfRule(rule), null]));
    for (const rule of rules) this.#rules.remove(rule);
    this.#changes += rules.length;
  }
}

const has = (kinds: Readonly<Record<string, number>>, value: number): boolean => Object.values(kinds).includes(value);

function whatIsWrong(rule: Rule): HubError | null {
  const { resourceType, patternType, resourceName, principal, host, operation, permission } = rule;
  const bad = (detail: string): HubError => new HubError("INVALID_REQUEST", detail);
  if (resourceType === Resource.Any || !has(Resource, resourceType)) return bad("A rule needs a resource type");
  if (patternType !== Pattern.Literal && patternType !== Pattern.Prefixed) {
    return bad("A rule's name is literal or a prefix");
  }
  if (operation === Operation.Any || !has(Operation, operation)) return bad("A rule needs an operation");
  if (permission !== Permission.Allow && permission !== Permission.Deny) return bad("A rule allows or denies");
  if (resourceName === "") return bad("The resource has no name");
  if (resourceType === Resource.Cluster && resourceName !== clusterName) {
    return bad(`The only name of a cluster is ${clusterName}`);
  }
  if (host === "") return bad("The host is empty");
  const separator = principal.indexOf(":");
  if (separator < 1 || separator === principal.length - 1) return bad(`${principal} is no principal, such as User:ann`);
  if (!principal.startsWith("User:")) return new HubError("INVALID_PRINCIPAL_TYPE");
  if ([resourceName, principal, host].some((text) => text.length > limits.accessNameLengthMax)) {
    return bad(`Names have at most ${limits.accessNameLengthMax} characters`);
  }
  return null;
}

/** What is wrong with a filter, or null. */
export function wrongFilter(filter: RuleFilter): HubError | null {
  const known =
    has(Resource, filter.resourceType) &&
    has(Pattern, filter.patternType) &&
    has(Operation, filter.operation) &&
    has(Permission, filter.permission);
  return known ? null : new HubError("INVALID_REQUEST", "The filter asks for what does not exist");
}
