// HubHello (1000): makes a connection a hub's, once it has shown that it belongs to this cluster.
import { hubOf } from "../../engine/cluster_view.ts";
import { nonceBytes, proofOf } from "../../engine/hub_proof.ts";
import { HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type RequestOf, type ResponseOf, servedToHubs } from "../../wire/apis.ts";
import type { Identity } from "../identity.ts";
import type { HubServices, Peering, RequestContext } from "../services.ts";

type Request = RequestOf<"hubHello">;
type Answer = ResponseOf<"hubHello">;

/**
 * Where clients log in a hub needs the secret: an open door beside the locked one would be none. Where nobody logs in
 * and no secret is configured, whoever reaches the port may call itself a hub: the network is trusted then.
 */
export function helloHandlers(services: HubServices) {
  const { clock, random, trace } = services;

  const refuse = async (identity: Identity | undefined, error: HubError): Promise<Answer> => {
    if (identity) identity.phase = "failed";
    trace.event("warn", "hub_refused", { client: identity?.host ?? null, error: error.kind, why: error.message });
    trace.count("hubs_refused_total");
    await new Promise<void>((resolve) => void clock.after(limits.saslFailureDelayMs, resolve));
    return { errorCode: error.code, errorMessage: error.message };
  };

  const accept = (request: Request, identity: Identity, peering: Peering, proof: Uint8Array): Answer => {
    const { hubId, dirId, session } = request;
    identity.hub = { hubId, dirId, session };
    identity.greeting = null;
    if (identity.phase === "unknown") identity.phase = "known";
    return { ...own(services, peering), accepted: true, proof, apiKeys: servedToHubs() };
  };

  /** Two steps where there is a secret: the nonce that the proof is over comes from here. */
  const proven = (request: Request, identity: Identity, peering: Peering, secret: string): Answer => {
    const me = own(services, peering);
    if (request.nonce.length !== nonceBytes) throw denied("the other hub has no [cluster] secret, this one has");
    if (request.proof.length === 0) {
      identity.greeting = random.bytes(nonceBytes);
      return { ...me, nonce: identity.greeting };
    }
    if (identity.greeting === null) throw denied("a proof without a nonce to prove by");
    const introduction = { clusterId: request.clusterId, from: request, to: { ...me, nonce: identity.greeting } };
    const expected = proofOf(peering.hashing, secret, "caller", introduction);
    if (!peering.hashing.equal(expected, request.proof)) throw denied("the hubs have different [cluster] secrets");
    return accept(request, identity, peering, proofOf(peering.hashing, secret, "called", introduction));
  };

  return {
    async hubHello(request: Request, { identity }: RequestContext): Promise<Answer> {
      try {
        const peering = services.peering ?? null;
        if (!identity || peering === null) throw denied("this hub belongs to no cluster: it was started alone");
        if (identity.hub !== null) return pong(request, identity, services, peering);
        check(services, request);
        if (peering.secret !== null) return proven(request, identity, peering, peering.secret);
        if (services.access.logins.mechanisms.length > 0) {
          throw denied("clients log in here, so hubs need a [cluster] secret");
        }
        return accept(request, identity, peering, nothing);
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        return await refuse(identity, error);
      }
    },
  };
}

const nothing = new Uint8Array(0);

function denied(why: string): HubError {
  return new HubError("CLUSTER_AUTHORIZATION_FAILED", `A hub is not let in: ${why}`);
}

function own({ hubId, folder }: HubServices, { session }: Peering) {
  return { errorCode: 0, hubId, dirId: folder.directoryId, session };
}

function check({ clusterId, hubId }: HubServices, request: Request): void {
  if (request.clusterId !== clusterId) {
    throw new HubError("INCONSISTENT_CLUSTER_ID", `hub ${request.hubId} is of cluster ${request.clusterId}`);
  }
  if (request.toHubId !== hubId) {
    throw new HubError("INVALID_REQUEST", `hub ${request.toHubId} was called, this is hub ${hubId}`);
  }
  if (request.hubId === hubId) {
    throw new HubError("DUPLICATE_BROKER_REGISTRATION", `another hub calls itself hub ${hubId}, as this one is`);
  }
  if (!(request.hubId >= 0 && request.hubId < 64) || hubOf(`${request.hubId}:${request.dirId}`) !== request.hubId) {
    throw new HubError("INVALID_REQUEST", `${request.hubId} is no hub id: 0 to 63 are`);
  }
}

/** A connection keeps the name it began with. */
function pong(request: Request, identity: Identity, services: HubServices, peering: Peering): Answer {
  const { hubId, dirId, session } = identity.hub!;
  if (request.hubId !== hubId || request.dirId !== dirId || request.session !== session) {
    throw denied("a hub changed its name on its way");
  }
  return { ...own(services, peering), accepted: true };
}
