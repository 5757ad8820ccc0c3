// The hub's own figures below $SYS, as mosquitto names them: retained messages that are in no log.
import type { Message } from "../session/message.ts";
import { Retained } from "../match/retained.ts";
import { noProperties } from "../wire/packet.ts";

/** What is counted since the start, and what there is now. */
export interface Counts {
  messagesReceived: number;
  messagesSent: number;
  publishReceived: number;
  publishSent: number;
  bytesReceived: number;
  bytesSent: number;
  connects: number;
}

export interface Present {
  readonly uptimeSeconds: number;
  readonly connected: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly retained: number;
}

export function noCounts(): Counts {
  return {
    messagesReceived: 0,
    messagesSent: 0,
    publishReceived: 0,
    publishSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
    connects: 0,
  };
}

const encoder = new TextEncoder();

export class Figures {
  readonly #retained = new Retained<Message>();
  readonly #version: string;

  constructor(version: string) {
    this.#version = version;
  }

  /** What a filter finds; nothing unless it names `$SYS`. */
  match(filter: string): readonly Message[] {
    return filter.startsWith("$SYS/") ? this.#retained.match(filter, 0) : [];
  }

  /** Takes the figures over; those that changed, to be sent to who is subscribed. */
  update(counts: Counts, present: Present): Message[] {
    const rows: readonly (readonly [string, string | number])[] = [
      ["version", this.#version],
      ["uptime", `${present.uptimeSeconds} seconds`],
      ["clients/connected", present.connected],
      ["clients/disconnected", Math.max(0, present.sessions - present.connected)],
      ["clients/total", Math.max(present.sessions, present.connected)],
      ["subscriptions/count", present.subscriptions],
      ["retained messages/count", present.retained],
      ["messages/received", counts.messagesReceived],
      ["messages/sent", counts.messagesSent],
      ["publish/messages/received", counts.publishReceived],
      ["publish/messages/sent", counts.publishSent],
      ["bytes/received", counts.bytesReceived],
      ["bytes/sent", counts.bytesSent],
      ["connections/total", counts.connects],
    ];
    return rows.flatMap(([name, value]) => this.#set(`$SYS/broker/${name}`, String(value)));
  }

  #set(topic: string, text: string): Message[] {
    const payload = encoder.encode(text);
    const before = this.#retained.get(topic, 0);
    if (before !== null && sameBytes(before.payload, payload)) return [];
    const base = { topic, payload, qos: 0, properties: noProperties, publisher: "", expiresAt: null } as const;
    this.#retained.set(topic, { ...base, retain: true }, payload.length, null);
    return [{ ...base, retain: false }];
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
