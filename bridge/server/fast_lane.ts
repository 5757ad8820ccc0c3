// The fast lane: a plain PUBLISH goes from the read buffer straight into the open batch of its partition.
import type { PublishView, TopicMemo } from "../wire/publish.ts";
import type { Client } from "./client.ts";
import { headersOf, type Memo } from "./memo.ts";
import type { Publisher } from "./publisher.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";
import { codeOf } from "./outcome.ts";
import type { Delivered } from "../../hub/mod.ts";

const pooledMax = 8_192;
/** What one record costs beside its payload, in bytes: objects, headers, the batch's own framing. */
const overheadBytes = 1_536;

/**
 * QoS 0 and 1, not retained, without properties or DUP, to a topic that is stored: nothing of it has to be looked at
 * beyond its topic, which the connection has had routed and authorised before. All else takes the session's own way;
 * both ways append in the order of arrival, and acknowledgements leave in that order.
 */
export class FastLane {
  readonly #publisher: Publisher;
  readonly #topics: TopicMemo;
  readonly #pool: FastFlight[] = [];

  constructor(publisher: Publisher, topics: TopicMemo) {
    this.#publisher = publisher;
    this.#topics = topics;
  }

  /** False: it is not for this lane, and nothing was done. Throws MqttProblem for a topic that is none. */
  take(client: Client, view: PublishView, now: number): boolean {
    const { qos } = view;
    if (qos === 2 || view.retain || view.dup || view.hasProperties) return false;
    const memo = this.#memo(client, view);
    const { routed } = memo;
    if (routed.kind !== "store") return false;
    const flight = this.#pool.pop() ?? new FastFlight(this);
    flight.packetId = view.packetId;
    flight.at = now;
    flight.code = null;
    if (qos === 1 && !client.session.inbound.begin(flight)) {
      this.#pool.push(flight);
      return false;
    }
    flight.client = client;
    flight.isAwaited = qos === 1;
    flight.news = memo.isUsed ? null : this.#publisher.newsOf(memo);
    flight.bytes = view.payloadEnd - view.payloadStart + overheadBytes;
    client.session.touch(now);
    this.#publisher.hold(client, flight.bytes);
    const producer = this.#publisher.producer(routed.acks);
    const prepared = memo.prepared[qos] ?? this.#prepare(client, memo, qos);
    producer.sendPrepared(prepared, view.bytes, view.payloadStart, view.payloadEnd, flight.delivered);
    return true;
  }

  /** The topic that mostly follows the last one, or the same again, is known by its bytes alone. */
  #memo(client: Client, view: PublishView): Memo {
    const last = client.lastMemo;
    if (last !== null) {
      const { next } = last;
      if (next !== null && view.isTopic(next.topicBytes)) return (client.lastMemo = next);
      if (view.isTopic(last.topicBytes)) return last;
    }
    const memo = this.#publisher.memo(client, view.topic(this.#topics));
    if (last !== null) last.next = memo;
    return memo;
  }

  #prepare(client: Client, memo: Memo, qos: 0 | 1): NonNullable<Memo["prepared"][number]> {
    const { routed } = memo;
    if (routed.kind !== "store") throw new Error("nothing to prepare");
    const producer = this.#publisher.producer(routed.acks);
    return (memo.prepared[qos] = producer.prepare(routed.topic, memo.key!, headersOf(memo, client, qos * 2)));
  }

  onDelivered(flight: FastFlight, error: Error | null): void {
    const client = flight.client!;
    if (error !== null) this.#publisher.failed(client, error);
    this.#publisher.release(client, flight.bytes);
    flight.client = null;
    if (flight.news !== null) this.#publisher.told(flight.news);
    if (!flight.isAwaited) return this.give(flight);
    flight.code = error === null ? Reason.success : codeOf(error);
    client.settled();
  }

  give(flight: FastFlight): void {
    if (this.#pool.length < pooledMax) this.#pool.push(flight);
  }
}

/** A message of the fast lane on its way; pooled, so that it costs no closure. It is its own place in the order. */
class FastFlight {
  client: Client | null = null;
  isAwaited = false;
  news: string | null = null;
  packetId = 0;
  readonly qos = 1;
  bytes = 0;
  at = 0;
  code: ReasonCode | null = null;
  readonly #lane: FastLane;
  readonly delivered: Delivered = (error) => this.#lane.onDelivered(this, error);

  constructor(lane: FastLane) {
    this.#lane = lane;
  }

  left(): void {
    this.#lane.give(this);
  }
}
