// Client quotas, kept as facts, and what a client's traffic costs it in waiting time.
import {
  Buckets,
  type EnforcedKey,
  type Entity,
  entityOfText,
  type Holding,
  type QuotaKey,
  QuotaTable,
  quotaKeys,
  textOfEntity,
} from "../access/quota.ts";
import { HubError } from "../errors.ts";
import type { Clock, Millis } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { Turns } from "./turns.ts";

const prefix = "access/quota/";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** A whole number may have come through a float. */
const wholeSlack = 1e-6;

/** null removes the key. */
export type QuotaChange = readonly { readonly key: string; readonly value: number | null }[];

export class Quotas {
  readonly #facts: FactStore;
  readonly #clock: Clock;
  readonly #table = new QuotaTable();
  readonly #buckets = new Buckets();
  readonly #turns = new Turns();

  constructor(facts: FactStore, clock: Clock) {
    this.#facts = facts;
    this.#clock = clock;
    for (const [key, value] of facts.entries(prefix)) this.learn(key, value);
  }

  /** Takes over a fact, as stored here or changed on another hub; null removes. Keys of others are passed over. */
  learn(key: string, value: Uint8Array | null): void {
    if (!key.startsWith(prefix)) return;
    const stored = value === null ? {} : (JSON.parse(decoder.decode(value)) as Record<QuotaKey, number>);
    this.#table.set(entityOfText(key.slice(prefix.length)), new Map(Object.entries(stored)) as Map<QuotaKey, number>);
  }

  /** False: nothing is looked up and nothing is measured. */
  get any(): boolean {
    return this.#table.size > 0;
  }

  holding(key: EnforcedKey, user: string, clientId: string | null): Holding | null {
    return this.any ? this.#table.holding(key, user, clientId ?? "") : null;
  }

  /** Takes the amount (bytes, or milliseconds of the hub's thread) and answers how long the client has to wait. */
  spend(holding: Holding, amount: number): Millis {
    return this.#buckets.spend(holding, amount, this.#clock.now());
  }

  all(): { readonly entity: Entity; readonly values: ReadonlyMap<QuotaKey, number> }[] {
    return [...this.#table.all()].map(([text, values]) => ({ entity: entityOfText(text), values }));
  }

  /** In force once durable. Throws INVALID_REQUEST, POLICY_VIOLATION. */
  alter(entity: Entity, changes: QuotaChange, validateOnly: boolean): Promise<void> {
    // One after another: a change builds on what the one before it left.
    return this.#turns.take(prefix, () => this.#alter(entity, changes, validateOnly));
  }

  async #alter(entity: Entity, changes: QuotaChange, validateOnly: boolean): Promise<void> {
    const before = this.#table.of(entity);
    const values = new Map(before);
    for (const { key, value } of changes) {
      checkKey(entity, key, value);
      if (value === null) values.delete(key as QuotaKey);
      else values.set(key as QuotaKey, quotaKeys[key as QuotaKey].whole ? Math.round(value) : value);
    }
    if (before === undefined && values.size > 0 && this.#table.size >= limits.quotasMax) {
      throw new HubError("POLICY_VIOLATION", `Quotas of ${limits.quotasMax} entities are kept at most`);
    }
    if (validateOnly) return;
    const stored = values.size === 0 ? null : encoder.encode(JSON.stringify(Object.fromEntries(values)));
    await this.#facts.put([[prefix + textOfEntity(entity), stored]]);
    this.#table.set(entity, values);
  }
}

function checkKey(entity: Entity, key: string, value: number | null): void {
  const bad = (detail: string): HubError => new HubError("INVALID_REQUEST", detail);
  if (!Object.hasOwn(quotaKeys, key)) throw bad(`There is no quota ${key.slice(0, 100)}`);
  const { whole, of } = quotaKeys[key as QuotaKey];
  if ((of === "ip") !== (entity.ip !== undefined)) {
    throw bad(`${key} is for ${of === "ip" ? "addresses" : "users and client ids"}`);
  }
  if (value === null) return;
  if (!(value > 0 && Number.isFinite(value))) throw bad(`${key} must be greater than 0`);
  if (whole && Math.abs(value - Math.round(value)) > wholeSlack) throw bad(`${key} must be a whole number`);
  if (whole && Math.round(value) < 1) throw bad(`${key} must be at least 1`);
}
