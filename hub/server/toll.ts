// What a request costs its client under quotas (KIP-13, KIP-124): waiting time, told in the answer (KIP-219).
import type { Holding } from "../access/quota.ts";
import type { Quotas } from "../engine/access_quotas.ts";
import type { Millis } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Request } from "../wire/apis.ts";

/** One request's account. */
export class Toll {
  readonly #quotas: Quotas;
  readonly #bytes: Holding | null;
  readonly #time: Holding | null;
  readonly #isFetch: boolean;
  /** How long the client has to wait for what it did so far. */
  waitMs: Millis = 0;

  constructor(quotas: Quotas, request: Request, user: string) {
    this.#quotas = quotas;
    this.#isFetch = request.api === "fetch";
    const key = this.#isFetch ? "consumer_byte_rate" : request.api === "produce" ? "producer_byte_rate" : null;
    this.#bytes = key === null ? null : quotas.holding(key, user, request.clientId);
    this.#time = quotas.holding("request_percentage", user, request.clientId);
  }

  /** A request that arrived, with its size. */
  arrived(bytes: number): void {
    if (!this.#isFetch && this.#bytes !== null) this.#spend(this.#bytes, bytes);
  }

  /** An answer that leaves, with its size. */
  leaves(bytes: number): void {
    if (this.#isFetch && this.#bytes !== null) this.#spend(this.#bytes, bytes);
  }

  /** Time on the hub's one thread. A quota of 100 (percent) is all of it. */
  took(ms: Millis): void {
    if (this.#time !== null) this.#spend({ ...this.#time, rate: this.#time.rate * 10 }, ms);
  }

  /** A fetch brings no more than what some seconds of its quota pay for, one batch aside. */
  bounded(request: Request): Request {
    if (request.api !== "fetch" || this.#bytes === null) return request;
    const bytesMax = Math.ceil(this.#bytes.rate * limits.quotaFetchSecondsMax);
    if (request.body.maxBytes <= bytesMax) return request;
    return { ...request, body: { ...request.body, maxBytes: bytesMax } };
  }

  #spend(holding: Holding, amount: number): void {
    this.waitMs = Math.max(this.waitMs, this.#quotas.spend(holding, amount));
  }
}
