// What stands behind the broker in a hub: deliveries from its logs, sessions and retained messages in its own topics.
import type { Clock, HubClient, Trace } from "../hub/mod.ts";
import { openDeliveries } from "./deliver/deliveries.ts";
import type { Deliveries } from "./deliver/faces.ts";
import type { DownlinkConfig } from "./deliver/downlink.ts";
import type { KeepingHub, RetainedKeeper, SessionKeeper, SessionKeeperEvents } from "./keep/faces.ts";
import { keepersOf } from "./keep/open.ts";
import type { TopicMap } from "./topic_map.ts";

export interface Rooms {
  readonly deliveries: Deliveries;
  readonly keepers: (events: SessionKeeperEvents) => Keepers;
}

export interface Keepers {
  readonly sessions: SessionKeeper;
  readonly retained: RetainedKeeper;
}

export interface RoomsOptions {
  readonly hub: KeepingHub;
  /** Of the hub in this process. */
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly map: TopicMap;
  readonly downlinks?: readonly DownlinkConfig[];
}

export function openRooms(options: RoomsOptions): Rooms {
  const { hub } = options;
  return {
    deliveries: openDeliveries(hub.isClustered ? options : { ...options, clockSkewMs: 0 }),
    keepers: (events) => keepersOf(options, events),
  };
}
