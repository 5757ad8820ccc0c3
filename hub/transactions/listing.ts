// What operators see of transactions: DescribeTransactions and ListTransactions (KIP-664, KIP-994, KIP-1152). Pure.
import type { Millis } from "../io/ports.ts";
import type { TransactionCoordinator } from "./coordinator.ts";
import type { Image } from "./transaction.ts";
import { TransactionState, transientStates } from "./transaction.ts";

export interface ListFilter {
  /** Empty: all. Names as KIP-664 has them. */
  readonly states: readonly string[];
  /** Empty: all. */
  readonly producerIds: readonly number[];
  /** Only those open for longer; below 0: all. */
  readonly durationMs: Millis;
  /** Tells whether an id is wanted. */
  readonly matches: (id: string) => boolean;
}

export interface ListedTransaction {
  readonly id: string;
  readonly producerId: number;
  readonly state: TransactionState;
}

/** The wanted transactions, and the states of the filter that do not exist. */
export function listTransactions(
  coordinator: TransactionCoordinator,
  filter: ListFilter,
  wall: Millis,
): { readonly unknownStates: readonly string[]; readonly transactions: readonly ListedTransaction[] } {
  const known = new Set<string>([...Object.values(TransactionState), ...transientStates]);
  const unknownStates = filter.states.filter((state) => !known.has(state));
  const states = new Set(filter.states);
  const producerIds = new Set(filter.producerIds);
  const transactions: ListedTransaction[] = [];
  for (const { id, image } of coordinator.transactions.values()) {
    if (image === null) continue;
    if (states.size > 0 && !states.has(image.state)) continue;
    if (producerIds.size > 0 && !producerIds.has(image.producerId)) continue;
    if (filter.durationMs >= 0 && !(image.startedAt >= 0 && wall - image.startedAt > filter.durationMs)) continue;
    if (!filter.matches(id)) continue;
    transactions.push({ id, producerId: image.producerId, state: image.state });
  }
  return { unknownStates, transactions };
}

/** null: TRANSACTIONAL_ID_NOT_FOUND. */
export function describeTransaction(coordinator: TransactionCoordinator, id: string): Image | null {
  return coordinator.transactions.get(id)?.image ?? null;
}
