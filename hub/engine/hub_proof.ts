// What two hubs show each other to prove that both know the cluster's secret; nothing secret travels. Pure.
import type { HubId } from "../cluster/types.ts";
import type { Hashing } from "../io/ports.ts";

/** Bytes of each side's nonce. */
export const nonceBytes = 32;

/** Everything both sides said of themselves: what is proven for one connection holds for no other. */
export interface Introduction {
  readonly clusterId: string;
  readonly from: {
    readonly hubId: HubId;
    readonly dirId: string;
    readonly session: string;
    readonly nonce: Uint8Array;
  };
  readonly to: { readonly hubId: HubId; readonly dirId: string; readonly session: string; readonly nonce: Uint8Array };
}

const encoder = new TextEncoder();

/**
 * HMAC-SHA256 under the secret of all that was said; `side` tells the two proofs apart, so that neither can be sent
 * back to whom it came from.
 */
export function proofOf(
  hashing: Hashing,
  secret: string,
  side: "caller" | "called",
  { clusterId, from, to }: Introduction,
): Uint8Array {
  const said = (one: Introduction["from"]) => [one.hubId, one.dirId, one.session, [...one.nonce]];
  const text = JSON.stringify(["partidor hub hello", side, clusterId, said(from), said(to)]);
  return hashing.hmac("sha256", encoder.encode(secret), encoder.encode(text));
}
