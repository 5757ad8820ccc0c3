// Client quotas: whose quota holds for whom (KIP-13, KIP-546), and buckets that say how long to wait. Pure.
import { limits } from "../limits.ts";
import type { Millis } from "../io/ports.ts";

/** Who a quota is for. Left out = not part of the entity; null = the default of that part. */
export interface Entity {
  readonly user?: string | null;
  readonly clientId?: string | null;
  readonly ip?: string | null;
}

export type QuotaKey =
  | "producer_byte_rate"
  | "consumer_byte_rate"
  | "request_percentage"
  | "controller_mutation_rate"
  | "connection_creation_rate";

/** What is enforced here; the others are kept and told, as data. */
export type EnforcedKey = "producer_byte_rate" | "consumer_byte_rate" | "request_percentage";

/** `whole`: fractions mean nothing. `of`: which entities may have it. */
export const quotaKeys: Readonly<Record<QuotaKey, { readonly whole: boolean; readonly of: "client" | "ip" }>> = {
  producer_byte_rate: { whole: true, of: "client" },
  consumer_byte_rate: { whole: true, of: "client" },
  request_percentage: { whole: false, of: "client" },
  controller_mutation_rate: { whole: false, of: "client" },
  connection_creation_rate: { whole: true, of: "ip" },
};

/** One text for an entity: equal entities have equal texts. */
export function textOfEntity({ user, clientId, ip }: Entity): string {
  const part = (value: string | null | undefined): string | 0 | null => (value === undefined ? 0 : value);
  return JSON.stringify([part(user), part(clientId), part(ip)]);
}

/** The entity of such a text. */
export function entityOfText(text: string): Entity {
  const [user, clientId, ip] = JSON.parse(text) as (string | 0 | null)[];
  const part = (name: string, value: string | 0 | null | undefined) =>
    value === 0 || value === undefined ? {} : { [name]: value };
  return { ...part("user", user), ...part("clientId", clientId), ...part("ip", ip) };
}

/** A quota that holds for a client: its rate, and who shares its bucket. */
export interface Holding {
  readonly rate: number;
  readonly bucket: string;
}

/** Quotas by entity, and which one holds. */
export class QuotaTable {
  readonly #byEntity = new Map<string, ReadonlyMap<QuotaKey, number>>();

  get size(): number {
    return this.#byEntity.size;
  }

  all(): Iterable<readonly [string, ReadonlyMap<QuotaKey, number>]> {
    return this.#byEntity;
  }

  of(entity: Entity): ReadonlyMap<QuotaKey, number> | undefined {
    return this.#byEntity.get(textOfEntity(entity));
  }

  /** Replaces the entity's quotas; none removes it. */
  set(entity: Entity, values: ReadonlyMap<QuotaKey, number>): void {
    const text = textOfEntity(entity);
    if (values.size === 0) this.#byEntity.delete(text);
    else this.#byEntity.set(text, values);
  }

  /**
   * The first of KIP-13's eight places that has the key: user with client id before user before client id, a name
   * before the default. Clients that come by a default each have a bucket of their own.
   */
  holding(key: QuotaKey, user: string, clientId: string): Holding | null {
    for (const one of [user, null]) {
      for (const two of [clientId, null]) {
        const rate = this.of({ user: one, clientId: two })?.get(key);
        if (rate !== undefined) return { rate, bucket: JSON.stringify([key, user, clientId]) };
      }
      const rate = this.of({ user: one })?.get(key);
      if (rate !== undefined) return { rate, bucket: JSON.stringify([key, user, 0]) };
    }
    for (const two of [clientId, null]) {
      const rate = this.of({ clientId: two })?.get(key);
      if (rate !== undefined) return { rate, bucket: JSON.stringify([key, 0, clientId]) };
    }
    return null;
  }
}

/** What is left to spend. Below zero it is a debt, and its owner waits until it is paid. */
interface Bucket {
  left: number;
  at: Millis;
}

/** Token buckets that hold one second's worth; time is monotonic. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes `amount` from the bucket and answers how long its owner has to wait, 0..`quotaThrottleMsMax` ms. A debt that
   * is larger than that is not forgiven: the next request pays on. The least recently used bucket goes when there are
   * too many.
   */
  spend({ rate, bucket: name }: Holding, amount: number, now: Millis): Millis {
    const known = this.#buckets.get(name);
    const left = known === undefined ? rate : Math.min(rate, known.left + ((now - known.at) / 1000) * rate);
    const bucket = { left: left - amount, at: now };
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > limits.quotaBucketsMax) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.left >= 0) return 0;
    return Math.min(Math.ceil((-bucket.left / rate) * 1000), limits.quotaThrottleMsMax);
  }
}
