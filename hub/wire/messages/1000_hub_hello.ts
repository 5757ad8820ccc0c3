// HubHello (1000): one hub tells another who it is; the first request of a hub's connection, and its ping afterwards.
import { array, bool, bytes, int16, int32, message, string } from "../schema.ts";

// Between hubs only (replication.md 2.11b): keys from 1000 on are never in ApiVersions.
const versions = { min: 0, max: 0, flexible: 0 };

export const hubHelloRequest = message("HubHelloRequest", versions, {
  clusterId: string(),
  hubId: int32(),
  dirId: string(),
  /** Of this run of the process. */
  session: string(),
  /** Whom the sender means to speak to. */
  toHubId: int32(),
  /** The sender's half of what both sign; empty where no secret is configured. */
  nonce: bytes(),
  /** Empty in the first of two hellos. */
  proof: bytes(),
});

export const hubHelloResponse = message("HubHelloResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  /** True: the connection is a hub's from here on. False without an error: a proof over `nonce` is wanted. */
  accepted: bool({ default: false }),
  hubId: int32({ default: -1 }),
  dirId: string({ default: "" }),
  session: string({ default: "" }),
  nonce: bytes({ default: new Uint8Array(0) }),
  /** The answering hub's own, once it has seen the sender's. */
  proof: bytes({ default: new Uint8Array(0) }),
  /** Every API that this hub answers to a hub; empty in the answer to a ping. */
  apiKeys: array({ apiKey: int16(), minVersion: int16(), maxVersion: int16() }, { default: [] }),
});
