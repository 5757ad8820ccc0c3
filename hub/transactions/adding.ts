// What a transaction takes in: partitions, groups, and the offsets that wait for its decision. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";
import type { Image, LogRecord, Partitions, RequestId, Transaction, TransactionEffect } from "./transaction.ts";
import {
  answer,
  checkProducer,
  identityOf,
  isBusy,
  isPrepared,
  noGroups,
  noPartitions,
  refused,
  TransactionState,
  write,
} from "./transaction.ts";

/** Who asks: every call of a producer within a transaction begins with this. */
export interface ProducerClaim {
  readonly request: RequestId;
  readonly id: string;
  readonly producerId: number;
  readonly epoch: number;
}

/** AddPartitionsToTxn and AddOffsetsToTxn, or the first batch of a partition under transaction.version 2. */
export interface AddEvent extends ProducerClaim {
  readonly partitions: Partitions;
  readonly groups: ReadonlySet<string>;
  /** Wall clock, for those who look. */
  readonly wall: Millis;
}

/** TxnOffsetCommit. */
export interface OffsetsEvent extends ProducerClaim {
  readonly group: string;
  readonly offsets: readonly CommittedOffset[];
  /** The call adds its group by itself (v5, KIP-890). */
  readonly implicit: boolean;
  readonly wall: Millis;
}

/** Adds what is new; what is there already is answered without a write. */
export function onAdd(transaction: Transaction | undefined, event: AddEvent): TransactionEffect[] {
  const error = checkOpen(transaction, event);
  if (error !== "NONE" || !transaction?.image) return answer(event.request, refused(error));
  const { image } = transaction;
  const grown = grow(image, event);
  if (grown === image) return answer(event.request, identityOf(image));
  const record: LogRecord = { kind: "transaction", id: event.id, image: grown };
  return write(transaction, [record], { request: event.request, reply: identityOf(grown) });
}

/**
 * Whether a partition belongs to the open transaction (KIP-890): asked before a batch is appended for a producer that
 * has to add its partitions by itself.
 */
export function verify(
  transaction: Transaction | undefined,
  claim: ProducerClaim,
  topic: string,
  partition: number,
): ErrorName {
  const image = transaction?.image ?? null;
  const error = checkProducer(image, claim.producerId, claim.epoch);
  if (error !== "NONE" || image === null) return error;
  if (isPrepared(image)) return "CONCURRENT_TRANSACTIONS";
  const holds = image.state === TransactionState.Ongoing && image.partitions.get(topic)?.has(partition) === true;
  return holds ? "NONE" : "TRANSACTION_ABORTABLE";
}

/** Keeps offsets until the decision: with the transaction, in the same log. */
export function onOffsets(transaction: Transaction | undefined, event: OffsetsEvent): TransactionEffect[] {
  const error = checkOpen(transaction, event);
  if (error !== "NONE" || !transaction?.image) return answer(event.request, refused(error));
  const { image } = transaction;
  const belongs = image.state === TransactionState.Ongoing && image.groups.has(event.group);
  if (!belongs && !event.implicit) return answer(event.request, refused("TRANSACTION_ABORTABLE"));
  const grown = grow(image, { partitions: noPartitions, groups: new Set([event.group]), wall: event.wall });
  const offsets = merge(transaction.offsets.get(event.group) ?? [], event.offsets);
  const records: LogRecord[] = grown === image ? [] : [{ kind: "transaction", id: event.id, image: grown }];
  records.push({ kind: "offsets", id: event.id, group: event.group, offsets });
  return write(transaction, records, { request: event.request, reply: identityOf(grown) });
}

function checkOpen(transaction: Transaction | undefined, claim: ProducerClaim): ErrorName {
  const error = checkProducer(transaction?.image ?? null, claim.producerId, claim.epoch);
  if (error !== "NONE") return error;
  return transaction !== undefined && isBusy(transaction) ? "CONCURRENT_TRANSACTIONS" : "NONE";
}

/** The image with the additions in it; the same object when it has them all. */
function grow(image: Image, more: Pick<AddEvent, "partitions" | "groups" | "wall">): Image {
  const open = image.state === TransactionState.Ongoing;
  const partitions = new Map(open ? image.partitions : noPartitions);
  const groups = new Set(open ? image.groups : noGroups);
  let changed = !open;
  for (const [topic, added] of more.partitions) {
    const known = partitions.get(topic);
    const all = new Set([...(known ?? []), ...added]);
    if (all.size === (known?.size ?? 0)) continue;
    partitions.set(topic, all);
    changed = true;
  }
  for (const group of more.groups) {
    if (groups.has(group)) continue;
    groups.add(group);
    changed = true;
  }
  if (!changed) return image;
  const startedAt = open ? image.startedAt : more.wall;
  return { ...image, state: TransactionState.Ongoing, partitions, groups, startedAt };
}

/** The newer offset of a partition stands in the place of the older. */
function merge(before: readonly CommittedOffset[], more: readonly CommittedOffset[]): CommittedOffset[] {
  const keyOf = ({ topicId, partition }: CommittedOffset): string => `${topicId} ${partition}`;
  const merged = new Map(before.map((offset) => [keyOf(offset), offset]));
  for (const offset of more) merged.set(keyOf(offset), offset);
  return [...merged.values()];
}
