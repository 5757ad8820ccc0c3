// UnregisterBroker (64): takes a hub out of the cluster, once its replicas are elsewhere (KIP-500).
import { int8, int16, int32, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const unregisterBrokerRequest = message("UnregisterBrokerRequest", versions, {
  brokerId: int32(),
  /** Ours: 0 remove, 1 only move its replicas away, 2 let it stay after all, 3 its earlier folders are lost. */
  how: int8({ tag: 100, default: 0 }),
});

export const unregisterBrokerResponse = message("UnregisterBrokerResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
});
