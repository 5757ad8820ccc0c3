// Opens what the broker keeps its state with, as the hub is: alone, or one of a cluster.
import type { RetainedKeeper, SessionKeeper, SessionKeeperEvents } from "./faces.ts";
import { KeptRetained } from "./retained_keeper.ts";
import { type KeeperOptions, LoneSessionKeeper } from "./session_keeper.ts";
import { SharedSessionKeeper } from "./shared_keeper.ts";

/** Both are to be opened before they are used. */
export function keepersOf(
  options: KeeperOptions,
  events: SessionKeeperEvents,
): { readonly sessions: SessionKeeper; readonly retained: RetainedKeeper } {
  const sessions = options.hub.isClustered ? new SharedSessionKeeper(options, events) : new LoneSessionKeeper(options);
  return { sessions, retained: new KeptRetained(options) };
}
