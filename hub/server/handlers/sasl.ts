// SaslHandshake (17), SaslAuthenticate (36): a login, and its repetition on the same connection (KIP-368).
import { codeOf, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";
import type { Identity } from "../identity.ts";

type Answer = ResponseOf<"saslAuthenticate">;

const nothing = new Uint8Array(0);

export function saslHandlers(services: HubServices) {
  const { logins, sessionLifetimeMs } = services.access;

  /** The last answer of a connection comes late, so that guessing takes its time. */
  const fail = async (identity: Identity, why: string): Promise<void> => {
    identity.phase = "failed";
    identity.exchange = null;
    services.trace.event("warn", "login_failed", { client: identity.host, why });
    services.trace.count("logins_failed_total");
    await new Promise<void>((resolve) => void services.clock.after(limits.saslFailureDelayMs, resolve));
  };

  return {
    async saslHandshake(
      request: RequestOf<"saslHandshake">,
      context: RequestContext,
    ): Promise<ResponseOf<"saslHandshake">> {
      const { identity } = context;
      const again = identity?.phase === "known";
      if (!identity || identity.phase === "open" || (again && sessionLifetimeMs === 0)) {
        return { errorCode: codeOf("ILLEGAL_SASL_STATE"), mechanisms: [] };
      }
      if (identity.exchange !== null) {
        await fail(identity, "a handshake within a login");
        return { errorCode: codeOf("ILLEGAL_SASL_STATE"), mechanisms: [] };
      }
      const mechanisms = again ? [identity.mechanism!] : [...logins.mechanisms];
      const exchange = mechanisms.includes(request.mechanism) ? logins.begin(request.mechanism) : null;
      if (exchange === null) {
        await fail(identity, "a mechanism that is not offered");
        return { errorCode: codeOf("UNSUPPORTED_SASL_MECHANISM"), mechanisms };
      }
      identity.exchange = exchange;
      identity.bare = context.version === 0;
      return { errorCode: 0, mechanisms };
    },

    async saslAuthenticate(request: RequestOf<"saslAuthenticate">, context: RequestContext): Promise<Answer> {
      const { identity } = context;
      const exchange = identity?.exchange;
      if (!identity || !exchange) {
        if (identity?.phase === "unknown") await fail(identity, "a token without a handshake");
        return refusal(new HubError("ILLEGAL_SASL_STATE", "SaslAuthenticate needs a SaslHandshake before it"));
      }
      try {
        const { token, user } = await exchange.step(request.authBytes);
        if (user === null) return { errorCode: 0, errorMessage: null, authBytes: token };
        loggedIn(identity, `User:${user}`, exchange.mechanism);
        if (sessionLifetimeMs > 0) identity.expiresAt = services.clock.now() + sessionLifetimeMs;
        services.trace.count("logins_total");
        return { errorCode: 0, errorMessage: null, authBytes: token, sessionLifetimeMs };
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        await fail(identity, error.message);
        return refusal(error);
      }
    },
  };
}

function loggedIn(identity: Identity, principal: string, mechanism: string): void {
  if (identity.phase === "known" && identity.principal !== principal) {
    const detail = `Cannot become ${principal} on a connection of ${identity.principal}`;
    throw new HubError("SASL_AUTHENTICATION_FAILED", detail);
  }
  identity.phase = "known";
  identity.principal = principal;
  identity.mechanism = mechanism;
  identity.exchange = null;
  identity.bare = false;
}

function refusal(error: HubError): Answer {
  return { errorCode: error.code, errorMessage: error.message, authBytes: nothing };
}
