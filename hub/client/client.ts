// Opens clients: of the hub in this process, or of any hub or Kafka cluster over the network.
import type { Clock, Net } from "../io/ports.ts";
import { openAdmin } from "./admin.ts";
import { openAppender } from "./appender.ts";
import { dial } from "./connection.ts";
import type { Connection } from "./connection.ts";
import { openConsumer } from "./consumer.ts";
import type { HubClient } from "./faces.ts";
import { type LocalDispatch, type LocalWays, openLocal } from "./local.ts";
import { openProducer } from "./producer.ts";
import { Routes } from "./routes.ts";
import type { Address } from "./routes.ts";

export interface LocalOptions {
  readonly dispatch: LocalDispatch;
  readonly clock: Clock;
  readonly clientId: string;
  /** In a cluster partitions are led elsewhere too. */
  readonly net?: Net;
  /** Takes batches, and is read, without a request. */
  readonly ways?: LocalWays;
  /** Whether an address is this hub's. */
  readonly isSelf?: (address: Address) => boolean;
  /** Connects to another hub of the cluster as a hub; null for an address that is none's. */
  readonly dialHub?: (address: Address, clientId: string) => Promise<Connection> | null;
}

export interface NetOptions {
  readonly net: Net;
  readonly clock: Clock;
  /** Hubs to ask first; one that answers is enough. */
  readonly bootstrap: readonly Address[];
  readonly clientId: string;
}

/** Clients of the hub in this process: no socket, no codec, batches by reference. */
export function connectLocal({ dispatch, ways, clock, clientId, net, isSelf, dialHub }: LocalOptions): HubClient {
  const bootstrap = [{ host: "local", port: 0 }];
  return clientOf(clock, bootstrap, clientId, async (address, id) => {
    if (!net || !isSelf || isSelf(address)) return openLocal(dispatch, id, ways);
    return await (dialHub?.(address, id) ?? dial({ net, clock, clientId: id, ...address }));
  });
}

/** Clients over the network. Nothing is dialled before it is needed; each client has connections of its own. */
export function connectNet({ net, clock, bootstrap, clientId }: NetOptions): HubClient {
  return clientOf(clock, bootstrap, clientId, ({ host, port }, id) => dial({ net, clock, clientId: id, host, port }));
}

function clientOf(
  clock: Clock,
  bootstrap: readonly Address[],
  clientId: string,
  open: (address: Address, clientId: string) => Promise<Connection>,
): HubClient {
  const closing = new Set<() => Promise<void>>();
  /** Wraps `close` so that the client closes what is still open, and lets go of what is not. */
  const tracked = <T extends { close(): Promise<void> }>(part: T, routes: Routes): T => {
    const close = part.close.bind(part);
    const closeAll = (): Promise<void> => {
      closing.delete(closeAll);
      return close().finally(() => routes.close());
    };
    closing.add(closeAll);
    part.close = closeAll;
    return part;
  };
  const routesFor = (id: string): Routes => new Routes({ clock, bootstrap, open: (address) => open(address, id) });
  return {
    producer(options) {
      const routes = routesFor(clientId);
      return tracked(openProducer(routes, options), routes);
    },
    appender() {
      const routes = routesFor(clientId);
      return tracked(openAppender(routes), routes);
    },
    consumer(options) {
      const routes = routesFor(options?.clientId ?? clientId);
      return tracked(openConsumer(routes, options), routes);
    },
    admin() {
      const routes = routesFor(clientId);
      return tracked(openAdmin(routes), routes);
    },
    async close() {
      await Promise.all([...closing].map((close) => close()));
    },
  };
}
