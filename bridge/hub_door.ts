// What the bridge takes from the hub: its faces, bounds and error catalogue.
export type { Delivered, Header, HubClient, OutRecord, Producer } from "../hub/client/faces.ts";
export { HubError } from "../hub/errors.ts";
export type { Clock } from "../hub/io/ports.ts";
export type { FactStore } from "../hub/io/registry.ts";
export { limits } from "../hub/limits.ts";
export type { Trace } from "../hub/trace.ts";
