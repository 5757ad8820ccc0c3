// Settings that clients change while the hub runs: of the hub, of all hubs, of groups; facts in the journal.
import { type BrokerSetting, brokerSettings, checkSetting, groupSettings, placeOf } from "../broker_settings.ts";
import { HubError } from "../errors.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { Turns } from "./turns.ts";

/** Whose settings: this hub's own, the default of all hubs, or one group's. */
export type Scope =
  | { readonly kind: "hub" }
  | { readonly kind: "all hubs" }
  | { readonly kind: "group"; readonly group: string };

type Values = ReadonlyMap<string, string>;

const none: Values = new Map();
const prefix = "settings/";
const groupPrefix = "settings/group/";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The settings that a scope may hold. */
export function tableOf(scope: Scope): ReadonlyMap<string, BrokerSetting> {
  return scope.kind === "group" ? groupSettings : brokerSettings;
}

/**
 * What is in force for a hub: set for this hub, else for all hubs, else in the file, else the built-in default (Kafka's
 * order). A change is visible at once and durable when `configure` resolves.
 */
export class Settings {
  readonly #facts: FactStore;
  readonly #fromFile: Values;
  readonly #hubId: number;
  readonly #scopes = new Map<string, Values>();
  readonly #inForce = new Map<string, string>();
  readonly #turns = new Turns();
  #changed: () => Promise<void> = () => Promise.resolve();

  constructor(facts: FactStore, fromFile: Values, hubId: number) {
    this.#facts = facts;
    this.#fromFile = fromFile;
    this.#hubId = hubId;
    for (const [key, value] of facts.entries(prefix)) {
      this.#scopes.set(key, new Map(Object.entries(JSON.parse(decoder.decode(value)) as Record<string, string>)));
    }
    this.#merge();
  }

  /** Takes over a fact that was changed on another hub; null removes. Keys of others are passed over. */
  async learn(key: string, value: Uint8Array | null): Promise<void> {
    if (!key.startsWith(prefix)) return;
    const values = value === null ? {} : (JSON.parse(decoder.decode(value)) as Record<string, string>);
    this.#set(key, new Map(Object.entries(values)));
    if (!key.startsWith(groupPrefix)) await this.#changed();
  }

  /** Called after each change of the hub's settings, before it is answered. */
  onChange(changed: () => Promise<void>): void {
    this.#changed = changed;
  }

  /**
   * Values that are set, not defaults: topic defaults under the topic's names (retention.ms), others under their own.
   * The map stays the same and follows every change.
   */
  get inForce(): Values {
    return this.#inForce;
  }

  get fromFile(): Values {
    return this.#fromFile;
  }

  /** What clients set in this scope, under the names they used. */
  own(scope: Scope): Values {
    return this.#scopes.get(this.#key(scope)) ?? none;
  }

  /** Groups with settings of their own. */
  groups(): string[] {
    const keys = [...this.#scopes.keys()].filter((key) => key.startsWith(groupPrefix));
    return keys.map((key) => key.slice(groupPrefix.length));
  }

  /** One setting of a group: its own, else the hub's `group.` setting of the same name, else that one's default. */
  ofGroup(group: string, name: string): string {
    return this.own({ kind: "group", group }).get(name) ?? this.#groupDefault(name);
  }

  /**
   * Replaces what clients set in this scope by what `change` makes of it. Changes of one scope take turns.
   * @throws HubError INVALID_CONFIG (unknown, not a client's to change, or refused), POLICY_VIOLATION (too many
   *   groups), KAFKA_STORAGE_ERROR
   */
  configure(scope: Scope, change: (own: Values) => Values, validateOnly: boolean): Promise<void> {
    return this.#turns.take(this.#key(scope), () => this.#configure(scope, change, validateOnly));
  }

  async #configure(scope: Scope, change: (own: Values) => Values, validateOnly: boolean): Promise<void> {
    const table = tableOf(scope);
    const before = this.own(scope);
    const next = change(before);
    // what is set already was good once; an older program's word for it must not be in the way of other changes
    for (const [name, value] of next) if (before.get(name) !== value) checkSetting(table, name, value);
    const key = this.#key(scope);
    this.#checkTogether(scope, next);
    if (!this.#scopes.has(key) && next.size > 0 && this.#scopes.size >= limits.settingsScopesMax) {
      throw new HubError("POLICY_VIOLATION", `${limits.settingsScopesMax} groups have settings of their own already`);
    }
    if (validateOnly) return;
    this.#set(key, next);
    try {
      const value = next.size === 0 ? null : encoder.encode(JSON.stringify(Object.fromEntries(next)));
      await this.#facts.put([[key, value]]);
    } catch (error) {
      this.#set(key, before);
      throw error;
    }
    if (scope.kind !== "group") await this.#changed();
  }

  #checkTogether(scope: Scope, next: Values): void {
    if (scope.kind !== "group") return;
    const value = (name: string): number => Number(next.get(name) ?? this.#groupDefault(name));
    if (value("consumer.session.timeout.ms") <= value("consumer.heartbeat.interval.ms")) {
      const detail = "consumer.session.timeout.ms needs to be above consumer.heartbeat.interval.ms";
      throw new HubError("INVALID_CONFIG", detail);
    }
  }

  #groupDefault(name: string): string {
    return this.#inForce.get(`group.${name}`) ?? brokerSettings.get(`group.${name}`)!.default!;
  }

  #set(key: string, values: Values): void {
    if (values.size === 0) this.#scopes.delete(key);
    else this.#scopes.set(key, values);
    this.#merge();
  }

  #merge(): void {
    this.#inForce.clear();
    for (const [name, value] of this.#fromFile) this.#inForce.set(name, value);
    for (const scope of [{ kind: "all hubs" }, { kind: "hub" }] as const) {
      for (const [name, value] of this.own(scope)) {
        const setting = brokerSettings.get(name);
        // a name that a later program does not know does no harm
        if (setting) this.#inForce.set(placeOf(setting), value);
      }
    }
  }

  #key(scope: Scope): string {
    if (scope.kind === "group") return groupPrefix + scope.group;
    return scope.kind === "hub" ? `settings/hub/${this.#hubId}` : "settings/hubs";
  }
}
