// Sessions and retained messages as the broker keeps them in memory, put into bounds; QoS 2 ids go to the hub.
import type { FilterTree } from "./filter_tree.ts";
import { limits, type Trace } from "../hub/mod.ts";
import type { Qos2 } from "./qos2.ts";
import { filterProblem } from "./topic_map.ts";

/** Who a call is about. */
export interface Owner {
  readonly id: string;
  readonly clean?: boolean;
}

export interface StoredPacket {
  readonly cmd: string;
  readonly topic?: string;
  readonly payload?: Uint8Array | string;
  readonly messageId?: number | undefined;
  /** Set on the way in: the id was not known, so the record is being appended now. */
  fresh?: boolean;
}

interface Subscription {
  readonly topic: string;
  readonly qos: number;
}

/** The part of the broker's in-memory persistence that is changed here; every method is called by the broker alone. */
export interface Persistence {
  subscriptionsByClient(owner: Owner): Promise<Subscription[]>;
  addSubscriptions(owner: Owner, subscriptions: readonly Subscription[]): Promise<void>;
  removeSubscriptions(owner: Owner, filters: readonly string[]): Promise<void>;
  cleanSubscriptions(owner: Owner): Promise<unknown>;
  storeRetained(packet: StoredPacket): Promise<void>;
  outgoingEnqueueCombi(subscriptions: readonly { clientId: string }[], packet: StoredPacket): Promise<void>;
  outgoingUpdate(owner: Owner, packet: StoredPacket): Promise<unknown>;
  outgoingClearMessageId(owner: Owner, packet: StoredPacket): Promise<StoredPacket | undefined>;
  outgoingStream(owner: Owner): AsyncIterable<StoredPacket>;
  streamWill(): Iterable<StoredPacket>;
  incomingGetPacket(owner: Owner, packet: StoredPacket): Promise<StoredPacket>;
  incomingStorePacket(owner: Owner, packet: StoredPacket): Promise<void>;
  incomingDelPacket(owner: Owner, packet: StoredPacket): Promise<void>;
  cleanIncoming(owner: Owner): Promise<void>;
}

/**
 * A filter that no topic matches. The broker says "session present" (MQTT 3.1.1 section 3.2.2.2) only to a client with
 * subscriptions; a publisher with open QoS 2 ids has a session too, and is given this one when it comes back.
 */
export const sessionMark = "$partidor/session";

/** Changes `persistence` in place. `tree` learns the filters of sessions that outlive their connection. */
export function boundPersistence(persistence: Persistence, tree: FilterTree, qos2: Qos2, trace: Trace): void {
  boundSubscriptions(persistence, tree, qos2);
  boundQueues(persistence, trace);
  boundRetained(persistence, trace);
  persistence.incomingGetPacket = async (owner, packet) => {
    if (packet.fresh === true) throw new Error("the packet id is new");
    if (packet.cmd === "publish") await qos2.committed(owner.id, packet.messageId!);
    else if (!qos2.has(owner.id, packet.messageId!)) throw new Error("no such packet id");
    return packet;
  };
  persistence.incomingStorePacket = (owner, packet) => qos2.committed(owner.id, packet.messageId!);
  persistence.incomingDelPacket = (owner, packet) =>
    qos2.release(owner.id, packet.messageId!).catch((error: Error) => {
      // PUBCOMP must not leave while the id may come back: the client sends PUBREL again on its next connection
      trace.event("warn", "mqtt_qos2_release_failed", { client: owner.id, reason: error.message });
      return new Promise<never>(() => {});
    });
  persistence.cleanIncoming = (owner) => qos2.clear(owner.id);
  // wills of brokers that died: there are no others, and ours are all of living connections
  persistence.streamWill = () => [];
}

function boundSubscriptions(persistence: Persistence, tree: FilterTree, qos2: Qos2): void {
  const { subscriptionsByClient, addSubscriptions, removeSubscriptions, cleanSubscriptions } = bind(persistence);
  const filters = new Map<string, Set<string>>();
  const drop = (owner: Owner, gone: Iterable<string>): void => {
    const own = filters.get(owner.id);
    if (own === undefined) return;
    for (const filter of gone) if (own.delete(filter)) tree.remove(filter);
    if (own.size === 0) filters.delete(owner.id);
  };
  persistence.subscriptionsByClient = async (owner) => {
    const subscriptions = await subscriptionsByClient(owner);
    return subscriptions.length === 0 && qos2.holdsState(owner.id) ? [{ topic: sessionMark, qos: 0 }] : subscriptions;
  };
  persistence.addSubscriptions = async (owner, subscriptions) => {
    let own = filters.get(owner.id);
    if (own === undefined) {
      if (filters.size >= limits.mqttSessionsMax) throw new Error(`more than ${limits.mqttSessionsMax} sessions`);
      own = new Set();
      filters.set(owner.id, own);
    }
    const legal: Subscription[] = [];
    for (const subscription of subscriptions) {
      const { topic } = subscription;
      if (filterProblem(topic) !== null) continue;
      if (!own.has(topic)) {
        if (own.size >= limits.mqttSubscriptionsPerClientMax) continue;
        own.add(topic);
        tree.add(topic);
      }
      legal.push(subscription);
    }
    if (own.size === 0) filters.delete(owner.id);
    else await addSubscriptions(owner, legal);
  };
  persistence.removeSubscriptions = (owner, gone) => {
    drop(owner, gone);
    return removeSubscriptions(owner, gone);
  };
  persistence.cleanSubscriptions = async (owner) => {
    drop(owner, [...(filters.get(owner.id) ?? [])]);
    await cleanSubscriptions(owner);
    // the queue of a session that was ended is not emptied by the broker
    for await (const packet of persistence.outgoingStream(owner))
      await persistence.outgoingClearMessageId(owner, packet);
  };
}

function boundQueues(persistence: Persistence, trace: Trace): void {
  const { outgoingEnqueueCombi, outgoingUpdate, outgoingClearMessageId } = bind(persistence);
  const counts = new Map<string, number>();
  let bytes = 0;
  persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
    const size = packet.payload?.length ?? 0;
    const taken = subscriptions.filter(({ clientId }) => {
      const count = counts.get(clientId) ?? 0;
      if (count >= limits.mqttQueuedPerSessionMax || bytes + size > limits.mqttQueuedBytesMax) {
        trace.count("mqtt_queued_dropped_total");
        return false;
      }
      counts.set(clientId, count + 1);
      bytes += size;
      return true;
    });
    return outgoingEnqueueCombi(taken, packet);
  };
  persistence.outgoingUpdate = (owner, packet) =>
    // what found no room in the queue is delivered live all the same
    outgoingUpdate(owner, packet).catch(() => {});
  persistence.outgoingClearMessageId = async (owner, packet) => {
    const gone = await outgoingClearMessageId(owner, packet);
    if (gone === undefined) return gone;
    const count = (counts.get(owner.id) ?? 1) - 1;
    if (count === 0) counts.delete(owner.id);
    else counts.set(owner.id, count);
    bytes -= gone.payload?.length ?? 0;
    return gone;
  };
}

function boundRetained(persistence: Persistence, trace: Trace): void {
  const { storeRetained } = bind(persistence);
  const sizes = new Map<string, number>();
  let bytes = 0;
  persistence.storeRetained = async (packet) => {
    const topic = packet.topic!;
    const size = packet.payload?.length ?? 0;
    const before = sizes.get(topic);
    const added = size - (before ?? 0);
    const full = before === undefined && sizes.size >= limits.mqttRetainedMax;
    if (size > 0 && (full || bytes + added > limits.mqttRetainedBytesMax)) {
      trace.count("mqtt_retained_dropped_total");
      return;
    }
    bytes += added;
    if (size === 0) sizes.delete(topic);
    else sizes.set(topic, size);
    await storeRetained(packet);
  };
}

/** The present methods, each bound to its object. */
function bind(persistence: Persistence): Persistence {
  return new Proxy(persistence, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
