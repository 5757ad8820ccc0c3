// The newest version of each API that this client fills: beyond it requests need what the client does not keep.
import { type ApiName, apis } from "../wire/apis.ts";

/**
 * Produce 13, Fetch 13, OffsetCommit 10 and OffsetFetch 10 name topics by id (KIP-516); the client names them by name,
 * which every broker still takes. Produce 12 promises a producer that ends its transactions as transaction.version 2
 * has it (KIP-890). JoinGroup 9 may ask a static leader to skip the assignment (KIP-814).
 */
const caps: { readonly [N in ApiName]?: number } = {
  produce: 11,
  fetch: 12,
  offsetCommit: 9,
  offsetFetch: 9,
  joinGroup: 8,
};

/** The highest version that the client sends, whatever the other side serves. */
export function newestSent(api: ApiName): number {
  return Math.min(apis[api].max, caps[api] ?? Infinity);
}
