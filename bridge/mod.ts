// The door of bridge/: MQTT on TCP ports and on any byte stream, into the hub's log.
import type { Duplex } from "node:stream";
import { type Access, anonymousAccess, isLoopback } from "./auth.ts";
import { type Broker, startBroker } from "./broker.ts";
import { type Clock, type HubClient, limits, type Trace } from "../hub/mod.ts";
import { Ingress } from "./ingress.ts";
import { listenAll } from "./listen.ts";
import { type OnceStore, Qos2 } from "./qos2.ts";
import { type Delivery, Tail } from "./tail.ts";
import { defaultRoutes, type RouteConfig, type Routed, TopicMap } from "./topic_map.ts";

export { type Access, type Admission, anonymousAccess, type Credentials } from "./auth.ts";
export type { OnceStore } from "./qos2.ts";
export { defaultRoutes, type RouteConfig, RouteError, type Routed, TopicMap } from "./topic_map.ts";

export interface BridgeOptions {
  readonly client: HubClient;
  /** For QoS 2: a record and its packet id in one journal group. */
  readonly store: OnceStore;
  readonly host: string | readonly string[];
  /** 0 picks a free port. */
  readonly port: number;
  /** `defaultRoutes` when left out. */
  readonly routes?: readonly RouteConfig[];
  readonly trace: Trace;
  readonly clock: Clock;
  /** Anonymous clients from this machine alone when left out. */
  readonly access?: Access;
  /** A PUBLISH not committed for so long ends its connection; `mqttAckTimeoutMs` when left out. */
  readonly ackTimeoutMs?: number;
  /** The hub is one of a cluster: subscribers get what was published on any hub. */
  readonly clustered?: boolean;
  /** Bounds other than those of limits.ts. */
  readonly connectionsMax?: number;
  readonly connectMsMax?: number;
  readonly inFlightBytesMax?: number;
  readonly inFlightPerConnectionMax?: number;
}

export interface BridgeStats {
  readonly connections: number;
  readonly subscriptions: number;
  /** Payload bytes (and a fixed amount per message) accepted and not yet committed. */
  readonly inFlightBytes: number;
  /** Connections that are not read because the hub or the connection has too much in flight. */
  readonly paused: number;
  /** QoS 2 packet ids that wait for their PUBREL. */
  readonly qos2Open: number;
}

export interface Bridge {
  readonly port: number;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /**
   * Serves MQTT on a byte stream, such as a WebSocket of the subprotocol `mqtt`. Without an address it counts as coming
   * from this machine when the bridge listens on loopback alone, else from anywhere.
   */
  accept(stream: Duplex, remoteAddress?: string): void;
  /** What would happen to a PUBLISH; stores nothing. */
  testRoute(mqttTopic: string, clientId?: string): Routed;
  stats(): BridgeStats;
  /** Stops reading, waits (at most the ack timeout) for what is in flight, then closes every connection. */
  close(): Promise<void>;
}

/**
 * Starts the MQTT bridge.
 * @throws RouteError for a route that cannot be used; Error with one sentence when a port cannot be opened.
 */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { client, clock, trace } = options;
  const map = new TopicMap(options.routes ?? defaultRoutes);
  const access = options.access ?? anonymousAccess("loopback");
  const ackTimeoutMs = options.ackTimeoutMs ?? limits.mqttAckTimeoutMs;
  const qos2 = new Qos2(options.store);
  const ingress = new Ingress({ ...options, client, map, access, clock, trace, ackTimeoutMs });
  const deliver = (message: Delivery): Promise<void> => broker.deliver(message);
  const tail = options.clustered ? new Tail({ client, clock, trace, deliver }) : null;
  const broker: Broker = await startBroker({ ...options, ingress, qos2, access, clock, trace, tail });
  const hosts = typeof options.host === "string" ? [options.host] : options.host;
  const listening = await listenAll(hosts, options.port, (socket) => {
    broker.accept(socket, socket.remoteAddress ?? "");
  }).catch(async (error: unknown) => {
    await broker.close();
    throw error;
  });
  const fromHere = hosts.every((host) => host === "localhost" || isLoopback(host)) ? "127.0.0.1" : "";
  return {
    port: listening.port,
    addresses: listening.addresses,
    accept: (stream, remoteAddress = fromHere) => broker.accept(stream, remoteAddress),
    testRoute: (mqttTopic, clientId = "client-id") => map.route(mqttTopic, clientId),
    stats: () => ({
      ...broker.stats(),
      inFlightBytes: ingress.inFlightBytes,
      paused: ingress.waiting,
      qos2Open: qos2.size,
    }),
    async close() {
      broker.quiesce();
      const closed = listening.close();
      await orAfter(clock, ackTimeoutMs, ingress.whenIdle());
      // the acknowledgements of the last turn are written in the next one
      await new Promise<void>((resolve) => clock.soon(() => clock.soon(resolve)));
      await tail?.close();
      await broker.close();
      await closed;
      await orAfter(clock, ackTimeoutMs, ingress.whenIdle());
      await ingress.close();
    },
  };
}

function orAfter(clock: Clock, delayMs: number, done: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, resolve);
    void done.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
