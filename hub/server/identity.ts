// Who is on a connection, and how far their login is.
import type { Exchange } from "../engine/access_login.ts";
import type { HubPrincipal } from "../engine/replica_office.ts";
import type { Millis } from "../io/ports.ts";
import type { ApiName } from "../wire/apis.ts";

/** Nobody asked, so nobody said. */
export const anonymous = "User:ANONYMOUS";

/** What may be asked before a login. */
const beforeLogin: ReadonlySet<ApiName> = new Set(["apiVersions", "saslHandshake", "saslAuthenticate", "hubHello"]);

/**
 * `open`: nobody is asked who they are. `unknown` until a login succeeds, then `known`. `failed`: the answer under way
 * is the last one.
 */
export type Phase = "open" | "unknown" | "known" | "failed";

/** One connection's side of access control. Handlers of SASL change it, guards and quotas read it. */
export class Identity {
  readonly host: string;
  phase: Phase;
  principal = anonymous;
  /** The login under way; on a known connection a repeated one (KIP-368). */
  exchange: Exchange | null = null;
  /** The mechanism of the login that holds. */
  mechanism: string | null = null;
  /** The next frames are bare tokens: what follows a handshake of v0. */
  bare = false;
  /** The hub that this connection is: its hello held, which stands for a login. */
  hub: HubPrincipal | null = null;
  /** The nonce of a hello under way. */
  greeting: Uint8Array | null = null;
  /** Monotonic; the login holds until then. */
  expiresAt: Millis = Number.POSITIVE_INFINITY;

  constructor(host: string, asked: boolean) {
    this.host = host;
    this.phase = asked ? "unknown" : "open";
  }

  /** The name that quotas go by. */
  get user(): string {
    return this.principal.slice(this.principal.indexOf(":") + 1);
  }

  /** Whether this connection may ask for this now. */
  admits(api: ApiName, now: Millis): boolean {
    if (this.phase === "open") return true;
    if (this.phase === "failed") return false;
    if (api === "saslHandshake" || api === "saslAuthenticate") return true;
    if (this.phase === "known") return now <= this.expiresAt;
    return beforeLogin.has(api) && this.exchange === null;
  }
}
