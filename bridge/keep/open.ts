// Opens what the broker keeps its state with, as the hub is: alone, or one of a cluster.
import type { RetainedKeeper, SessionKeeper, SessionKeeperEvents } from "./faces.ts";
import { KeptRetained } from "./retained_keeper.ts";
import { type KeeperOptions, LoneSessionKeeper } from "./session_keeper.ts";

/** Both are to be opened before they are used. */
export function keepersOf(
  options: KeeperOptions,
  _events: SessionKeeperEvents,
): { readonly sessions: SessionKeeper; readonly retained: RetainedKeeper } {
  return { sessions: new LoneSessionKeeper(options), retained: new KeptRetained(options) };
}
