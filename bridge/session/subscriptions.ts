// What one session is subscribed to: SUBSCRIBE, UNSUBSCRIBE, and what a message means for it. Pure.
import { limits } from "../../hub/mod.ts";
import { SparseMap } from "./sparse.ts";
import { filterMatches, isFilter, isShared, parseShared } from "../match/filter.ts";
import { type Both, join, type Options, single } from "../match/merged.ts";
import {
  MqttProblem,
  Reason,
  type ReasonCode,
  type Subscribe,
  type SubscriptionRequest,
  type Unsubscribe,
  type Version,
} from "../wire/packet.ts";
import { isStream, parseStart, parseStream, type StreamStart, streamOffset } from "./stream.ts";

export interface Subscription {
  readonly filter: string;
  readonly options: Options;
  /**
   * Milliseconds; records that arrived earlier are not for it. A replacement keeps it: nothing is lost by one. What its
   * client missed at QoS 0 is not kept for it, and does not come because it asks for more now.
   */
  readonly since: number;
}

/** A filter that is subscribed to, for the first time or anew. */
export interface Subscribed {
  readonly filter: string;
  readonly options: Options;
  readonly isNew: boolean;
  /** Its retained messages are to be sent ([MQTT-3.3.1-9] to -11). */
  readonly wantsRetained: boolean;
  /** Where a replay begins that is asked for anew; null: it is none, or goes on where it was. */
  readonly stream: StreamStart | null;
}

/** Whether the client may read what the filter (of a shared one: its filter part) matches. */
export type MayRead = (filter: string) => boolean;

const latest: StreamStart = { kind: "latest" };

export class Subscriptions {
  readonly #byFilter = new SparseMap<string, Subscription>();

  constructor(stored: readonly Subscription[] = []) {
    for (const subscription of stored) this.#byFilter.set(subscription.filter, subscription);
  }

  get size(): number {
    return this.#byFilter.size;
  }

  list(): readonly Subscription[] {
    return [...this.#byFilter.values()];
  }

  /**
   * One code for each filter ([MQTT-3.8.4-6]), and what changed. `beganAt`: when its client connected.
   * @throws MqttProblem when the packet breaks the standard; nothing has changed then.
   */
  subscribe(
    packet: Subscribe,
    version: Version,
    mayRead: MayRead,
    now: number,
    beganAt: number,
  ): { readonly codes: readonly number[]; readonly changes: readonly Subscribed[] } {
    if (packet.subscriptions.length === 0) throw new MqttProblem(Reason.protocolError, "no filter [MQTT-3.8.3-2]");
    const ids = packet.properties.subscriptionIds ?? [];
    if (ids.length > 1 || ids[0] === 0) {
      throw new MqttProblem(Reason.protocolError, "one subscription identifier above 0 (MQTT5 3.8.2.1.2)");
    }
    for (const { filter, noLocal } of packet.subscriptions) {
      if (noLocal && isShared(filter)) {
        throw new MqttProblem(Reason.protocolError, "No Local on a shared subscription [MQTT-3.8.3-4]");
      }
    }
    const asked = packet.properties.userProperties?.find(([name]) => name === streamOffset)?.[1];
    const start = version === 4 ? null : parseStart(asked ?? "latest");
    const changes: Subscribed[] = [];
    const codes = packet.subscriptions.map((request) => {
      const refusal = this.#refusal(request, mayRead, start);
      if (refusal !== null) return version === 5 ? refusal : Reason.unspecified; // 3.1.1 knows 0x80 alone
      changes.push(this.#add(request, ids[0] ?? 0, beganAt, now, asked === undefined ? null : start));
      return request.qos;
    });
    return { codes, changes };
  }

  /** One code for each filter ([MQTT-3.10.4-6]; 3.1.1 has none), and the filters that are gone. */
  unsubscribe(packet: Unsubscribe): { readonly codes: readonly number[]; readonly gone: readonly string[] } {
    if (packet.filters.length === 0) throw new MqttProblem(Reason.protocolError, "no filter [MQTT-3.10.3-2]");
    const gone: string[] = [];
    const codes = packet.filters.map((filter) => {
      if (this.#byFilter.delete(filter)) gone.push(filter);
      else if (!isFilter(filter) || (isShared(filter) && parseShared(filter) === null))
        return Reason.topicFilterInvalid;
      else return Reason.noSubscriptionExisted;
      return Reason.success;
    });
    return { codes, gone };
  }

  /** The session ends: all filters. */
  clear(): readonly string[] {
    const filters = [...this.#byFilter.keys()];
    this.#byFilter.clear();
    return filters;
  }

  /** What a message means for this session; shared subscriptions have their own ways. Null: nothing. */
  match(topic: string, arrivedAt: number): Both | null {
    let both: Both | null = null;
    for (const { filter, options, since } of this.#byFilter.values()) {
      if (arrivedAt < since || isShared(filter) || !filterMatches(filter, topic)) continue;
      both = both === null ? single(options) : join(both, single(options));
    }
    return both;
  }

  #refusal({ filter }: SubscriptionRequest, mayRead: MayRead, start: StreamStart | null): ReasonCode | null {
    const shared = parseShared(filter);
    if (!isFilter(filter) || (isShared(filter) && shared === null)) return Reason.topicFilterInvalid;
    if (isStream(filter)) {
      if (parseStream(filter) === null) return Reason.topicFilterInvalid;
      if (start === null) return Reason.implementationSpecific; // no place to begin, or not MQTT 5
      if (!this.#byFilter.has(filter) && this.#streams() >= limits.mqttStreamsPerClientMax) return Reason.quotaExceeded;
    }
    if (!mayRead(shared?.filter ?? filter)) return Reason.notAuthorized;
    const isFull = this.#byFilter.size >= limits.mqttSubscriptionsPerClientMax && !this.#byFilter.has(filter);
    return isFull ? Reason.quotaExceeded : null;
  }

  #streams(): number {
    let count = 0;
    for (const filter of this.#byFilter.keys()) if (isStream(filter)) count++;
    return count;
  }

  #add(request: SubscriptionRequest, id: number, beganAt: number, now: number, start: StreamStart | null): Subscribed {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = request;
    const options = { qos, noLocal, retainAsPublished, id };
    const before = this.#byFilter.get(filter);
    const kept = before?.options.qos === 0 && qos > 0 ? Math.max(before.since, beganAt) : before?.since;
    this.#byFilter.set(filter, { filter, options, since: kept ?? now }); // [MQTT-3.8.4-3], -4
    const isNew = before === undefined;
    // a shared subscription is not sent them (MQTT5 section 4.8.2)
    const isAsked = retainHandling === 0 || (retainHandling === 1 && isNew);
    const wantsRetained = isAsked && !isShared(filter) && !isStream(filter);
    const fresh = start ?? (isNew ? latest : null);
    return { filter, options, isNew, wantsRetained, stream: isStream(filter) ? fresh : null };
  }
}
