// What the bridge takes from the hub: its faces and bounds.
export { limits } from "../hub/limits.ts";
export type { Clock, Delivered, FactStore, Header, HubClient, OutRecord, Producer, Trace } from "../hub/mod.ts";
