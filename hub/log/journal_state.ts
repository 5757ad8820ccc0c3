// The small state that the journal holds: partitions, log starts, facts. Folded from entries, written as a snapshot.
import type { PartitionEntry, SmallEntry } from "./frame.ts";
import { partitionKey } from "./settings.ts";
import type { LogSettings } from "./settings.ts";

/** One partition as the journal knows it. */
export interface KnownPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly name: string;
  readonly settings: LogSettings;
  readonly logStart: number;
  /** Everything below is known synced in the segments, as this state says; -1 for nothing known. */
  readonly syncedEnd: number;
}

export interface JournalState {
  readonly partitions: Map<string, KnownPartition>;
  readonly facts: Map<string, Uint8Array>;
  /** Bytes of keys and values in `facts`. */
  factBytes: number;
}

export function emptyState(): JournalState {
  return { partitions: new Map(), facts: new Map(), factBytes: 0 };
}

/** Applies one entry; order matters and nothing else. */
export function applyEntry(state: JournalState, entry: SmallEntry): void {
  switch (entry.type) {
    case "snapshot":
      state.partitions.clear();
      state.facts.clear();
      state.factBytes = 0;
      return;
    case "partition":
      return applyPartition(state, entry);
    case "tombstone":
      state.partitions.delete(partitionKey(entry.topicId, entry.partition));
      return;
    case "logStart":
      return change(state, entry, (known) => ({ logStart: Math.max(known.logStart, entry.offset) }));
    case "truncation":
      return change(state, entry, (known) => ({ syncedEnd: Math.min(known.syncedEnd, entry.offset) }));
    case "fact":
      return applyFact(state, entry.key, entry.value);
    default:
      throw new Error(`no such entry: ${String(entry satisfies never)}`);
  }
}

function applyPartition(state: JournalState, entry: PartitionEntry): void {
  const { topicId, partition, name, settings, syncedEnd } = entry;
  const key = partitionKey(topicId, partition);
  const before = state.partitions.get(key);
  state.partitions.set(key, {
    topicId,
    partition,
    name,
    settings,
    logStart: before?.logStart ?? 0,
    syncedEnd: Math.max(syncedEnd, before?.syncedEnd ?? -1),
  });
}

function change(
  state: JournalState,
  entry: { readonly topicId: string; readonly partition: number },
  changes: (known: KnownPartition) => Partial<KnownPartition>,
): void {
  const key = partitionKey(entry.topicId, entry.partition);
  const known = state.partitions.get(key);
  if (known) state.partitions.set(key, { ...known, ...changes(known) });
}

/** Sets or removes a fact and keeps the byte count right. */
export function applyFact(state: JournalState, key: string, value: Uint8Array | null): void {
  const before = state.facts.get(key);
  if (before) state.factBytes -= factBytes(key, before);
  if (value === null) {
    state.facts.delete(key);
    return;
  }
  state.facts.set(key, value);
  state.factBytes += factBytes(key, value);
}

/** Bytes that a fact takes in a snapshot: a UTF-8 key of at most three bytes a character, value, entry. */
export function factBytes(key: string, value: Uint8Array): number {
  return key.length * 3 + value.length + 10;
}

/** The entries that make this state out of nothing; `synced` gives what is known synced now. */
export function snapshotEntries(state: JournalState, chainStart: number): SmallEntry[] {
  const entries: SmallEntry[] = [{ type: "snapshot", chainStart }];
  for (const { topicId, partition, name, settings, logStart, syncedEnd } of state.partitions.values()) {
    entries.push({ type: "partition", topicId, partition, name, settings, syncedEnd });
    if (logStart > 0) entries.push({ type: "logStart", topicId, partition, offset: logStart });
  }
  for (const [key, value] of state.facts) entries.push({ type: "fact", key, value });
  return entries;
}
