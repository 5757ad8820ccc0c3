// One kept connection to another hub: dialled on demand, again at once when it breaks, then ever later.
import type { Connection } from "../client/connection.ts";
import { HubError } from "../errors.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ApiName, CallOf, ReplyOf } from "../wire/apis.ts";

export interface LinkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Opens the connection, the hello included; `closed` is called once when it closes. */
  dial(closed: () => void): Promise<Connection>;
  opened(): void;
  failed(error: unknown): void;
  /** An open connection closed, and not by us. */
  lost(): void;
}

export class PeerLink {
  readonly #options: LinkOptions;
  #connection: Connection | null = null;
  #dialling: Promise<Connection> | null = null;
  #waiting = 0;
  #openedAt: Millis = 0;
  #restUntil: Millis = 0;
  #retryMs: Millis = limits.peerRetryMs;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#connection?.open ?? false;
  }

  /** Dials unless it is open, being dialled, or at rest after a failure. */
  reach(): void {
    if (this.open || this.#closed || this.#dialling !== null) return;
    if (this.#options.clock.now() >= this.#restUntil) this.#dial();
  }

  /**
   * Sends now where the connection is open, else once it is. Rejects with NETWORK_EXCEPTION at once while the link
   * rests after a failed dial, and with what `Connection.call` rejects with.
   */
  send<N extends ApiName>(api: N, request: CallOf<N>, timeoutMs: Millis): Promise<ReplyOf<N>> {
    const connection = this.#connection;
    if (connection?.open) return connection.call(api, request, timeoutMs);
    this.reach();
    if (this.#dialling === null) return refused("the hub cannot be reached");
    if (this.#waiting >= limits.peerCallsWaitingMax) return refused("too many calls wait for a connection to the hub");
    this.#waiting += 1;
    const dialled = this.#dialling.finally(() => {
      this.#waiting -= 1;
    });
    return dialled.then((opened) => opened.call(api, request, timeoutMs));
  }

  close(): void {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  #dial(): void {
    let own: Connection | null = null;
    const closed = (): void => {
      if (own !== null && this.#connection === own) this.#lost();
    };
    const dialling = this.#options.dial(closed).then(
      (connection) => {
        this.#dialling = null;
        if (this.#closed || !connection.open) {
          connection.close();
          throw unreachable("the connection closed as soon as it was open");
        }
        own = connection;
        this.#connection = connection;
        this.#openedAt = this.#options.clock.now();
        this.#options.opened();
        return connection;
      },
      (error: unknown) => {
        this.#dialling = null;
        this.#rest();
        if (!this.#closed) this.#options.failed(error);
        throw error;
      },
    );
    this.#dialling = dialling;
    dialling.catch(() => {}); // told by `failed`, and to whoever waits
  }

  /** The first redial comes at once, unless the connection broke as soon as it was made. */
  #lost(): void {
    this.#connection = null;
    if (this.#closed) return;
    if (this.#options.clock.now() - this.#openedAt < limits.peerRetryMsMax) this.#rest();
    else this.#retryMs = limits.peerRetryMs;
    this.#options.lost();
  }

  #rest(): void {
    const { clock, random } = this.#options;
    this.#restUntil = clock.now() + this.#retryMs * (0.5 + random.float() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, limits.peerRetryMsMax);
  }
}

function unreachable(why: string): HubError {
  return new HubError("NETWORK_EXCEPTION", why);
}

function refused(why: string): Promise<never> {
  return Promise.reject(unreachable(why));
}
