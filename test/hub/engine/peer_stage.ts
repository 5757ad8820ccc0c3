// Two ends of a cluster's wire over real sockets: a server with an office that a test plays, and the hubs that call it.
import { openAccess } from "../../../hub/engine/access.ts";
import { Peers, type PeersOptions } from "../../../hub/engine/peers.ts";
import type { ReplicaOffice } from "../../../hub/engine/replica_office.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openHashing, openRandom } from "../../../hub/io/crypto.ts";
import { openNet } from "../../../hub/io/net.ts";
import { Acceptor } from "../../../hub/server/acceptor.ts";
import { guarded } from "../../../hub/server/guard.ts";
import type { Dispatch } from "../../../hub/server/handler.ts";
import { fetchHandlers } from "../../../hub/server/handlers/fetch.ts";
import { helloHandlers } from "../../../hub/server/handlers/hub_hello.ts";
import { metadataHandlers } from "../../../hub/server/handlers/metadata.ts";
import { replicationHandlers } from "../../../hub/server/handlers/replication.ts";
import type { HubServices } from "../../../hub/server/services.ts";
import { silentTrace } from "../../../hub/trace.ts";

export const clock = openClock();
export const random = openRandom();
export const hashing = openHashing();
export const net = openNet(clock);
export const clusterId = "c-1";

export interface ServerOptions {
  readonly hubId?: number;
  readonly secret?: string | null;
  readonly office?: Partial<ReplicaOffice>;
  readonly mechanisms?: readonly "SCRAM-SHA-256"[];
  readonly lone?: boolean;
  readonly port?: number;
}

export interface Server {
  readonly port: number;
  readonly acceptor: Acceptor;
  close(): Promise<void>;
}

const never = (): never => {
  throw new Error("not in this test");
};

/** The session, the guard and the handlers of replication as a hub has them; the replicas are the test's. */
export async function openServer(options: ServerOptions = {}): Promise<Server> {
  const { hubId = 1, secret = null, mechanisms = [] } = options;
  const office: ReplicaOffice = {
    vote: never,
    tryLead: never,
    reconfigure: never,
    states: never,
    range: never,
    led: never,
    ...options.office,
  };
  const facts = { entries: () => [], get: () => undefined, put: async () => {} } as never;
  const access = await openAccess({
    facts,
    clock,
    random,
    hashing,
    mechanisms,
    rules: false,
    superUsers: [],
    allowIfNoRule: true,
    firstUser: null,
    sessionLifetimeMs: 0,
  });
  const services = {
    hubId,
    clusterId,
    clock,
    random,
    trace: silentTrace,
    access,
    settings: new Map(),
    folder: { directoryId: `d${hubId}` },
    partitions: { topics: {}, get: () => undefined },
    peering: options.lone ? null : { session: `s${hubId}`, secret, hashing, office },
  } as unknown as HubServices;
  const handlers: Record<string, unknown> = {
    ...helloHandlers(services),
    ...replicationHandlers(services),
    ...fetchHandlers(services),
    ...metadataHandlers(services),
  };
  const plain = (async (api: string, request: never, context: never) =>
    (handlers[api] as (request: never, context: never) => unknown)(request, context)) as unknown as Dispatch;
  const acceptor = new Acceptor({ net, clock, trace: silentTrace, dispatch: guarded(plain, services), access });
  const port = await acceptor.listen(["127.0.0.1"], options.port ?? 0);
  return { port, acceptor, close: () => acceptor.close(0) };
}

/** The hubs as hub 2 calls them; `ports` may change. */
export function openPeers(ports: Map<number, number>, options: Partial<PeersOptions> = {}): Peers {
  return new Peers({
    net,
    clock,
    random,
    hashing,
    trace: silentTrace,
    me: { clusterId, hubId: 2, dirId: "d2", session: "s2" },
    secret: null,
    addressOf: (hub) => {
      const port = ports.get(hub);
      return port === undefined ? undefined : { host: "127.0.0.1", port };
    },
    ...options,
  });
}

/** Resolves once `holds`, looked at often; rejects with `what` after five seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = clock.now() + 5000;
  while (!holds()) {
    if (clock.now() > end) throw new Error(`not within 5 s: ${what}`);
    await new Promise<void>((resolve) => void setTimeout(resolve, 5));
  }
}
