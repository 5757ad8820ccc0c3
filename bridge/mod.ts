// The door of bridge/: MQTT on TCP ports and on any byte stream, into the hub's log and out of it.
import type { Duplex } from "node:stream";
import { type Access, anonymousAccess, isLoopback } from "./auth.ts";
import { Broker, type BrokerStats } from "./broker.ts";
import type { DownlinkConfig } from "./deliver/downlink.ts";
import { type Clock, type HubClient, limits, type Trace } from "../hub/mod.ts";
import type { KeepingHub } from "./keep/faces.ts";
import { listenAll } from "./listen.ts";
import { openRooms, type Rooms } from "./rooms.ts";
import type { Elsewhere } from "./server/detour.ts";
import { defaultRoutes, type RouteConfig, type Routed, TopicMap } from "./topic_map.ts";

export { type Access, type Admission, anonymousAccess, type Credentials } from "./auth.ts";
export { compileDownlinks, type DownlinkConfig, DownlinkError } from "./deliver/downlink.ts";
export type { KeepingHub } from "./keep/faces.ts";
export type { Rooms } from "./rooms.ts";
export { defaultRoutes, type RouteConfig, RouteError, type Routed, TopicMap } from "./topic_map.ts";

export interface BridgeOptions {
  readonly client: HubClient;
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
  /** The hub in this process. */
  readonly hub: KeepingHub;
  /** What stands behind the broker, in place of the hub's own. */
  readonly rooms?: Rooms;
  /** Hub topics whose records are published to devices. */
  readonly downlinks?: readonly DownlinkConfig[];
  /** Comings and goings become records of `mqtt.presence`; they do not when left out. */
  readonly presence?: boolean;
  /** Other hubs that have room for clients, which are told of them; null: none is known. */
  readonly elsewhere?: () => Elsewhere | null;
  /** Bounds other than those of limits.ts. */
  readonly connectionsMax?: number;
  readonly connectMsMax?: number;
  readonly inFlightBytesMax?: number;
  readonly inFlightPerConnectionMax?: number;
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
  stats(): BrokerStats;
  /** One more client may connect. */
  readonly hasRoom: boolean;
  /** Stops reading, waits (at most the ack timeout) for what is in flight, then closes every connection. */
  close(): Promise<void>;
}

/**
 * Starts the MQTT bridge.
 * @throws RouteError for a route that cannot be used; Error with one sentence when a port cannot be opened.
 */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { clock } = options;
  const map = new TopicMap(options.routes ?? defaultRoutes);
  const rooms = options.rooms ?? openRooms({ ...options, map });
  const access = options.access ?? anonymousAccess("loopback");
  const ackTimeoutMs = options.ackTimeoutMs ?? limits.mqttAckTimeoutMs;
  const broker = new Broker({ ...options, ...rooms, map, access, ackTimeoutMs });
  const hosts = typeof options.host === "string" ? [options.host] : options.host;
  const listen = async (): ReturnType<typeof listenAll> => {
    await broker.start();
    return await listenAll(hosts, options.port, (socket) => broker.accept(socket, socket.remoteAddress ?? ""));
  };
  const listening = await listen().catch(async (error: unknown) => {
    await broker.close();
    throw error;
  });
  const fromHere = hosts.every((host) => host === "localhost" || isLoopback(host)) ? "127.0.0.1" : "";
  return {
    port: listening.port,
    addresses: listening.addresses,
    accept: (stream, remoteAddress = fromHere) => broker.accept(stream, remoteAddress),
    testRoute: (mqttTopic, clientId = "client-id") => map.route(mqttTopic, clientId),
    stats: () => broker.stats(),
    get hasRoom() {
      return broker.hasRoom;
    },
    async close() {
      broker.quiesce();
      const closed = listening.close();
      await orAfter(clock, ackTimeoutMs, broker.whenIdle());
      // the acknowledgements of the last turn are written in the next one
      await new Promise<void>((resolve) => clock.soon(() => clock.soon(resolve)));
      await broker.close();
      await closed;
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
