// Deliveries that wait: those handed over for a connection, and those that are in no log; bounded. Pure.
import { limits } from "../../hub/mod.ts";
import { giveBack } from "./cursors.ts";
import type { Cursor, Delivery } from "./flight.ts";
import { keepOwn, weight } from "./message.ts";

/** Bytes that all sessions of a hub share. */
export interface Budget {
  used: number;
  readonly max: number;
}

/** A queue with its weight. */
export class Waiting {
  #items: Delivery[] = [];
  #head = 0;
  #bytes = 0;

  get count(): number {
    return this.#items.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  first(): Delivery | undefined {
    return this.#items[this.#head];
  }

  push(delivery: Delivery): void {
    keepOwn(delivery.message);
    this.#items.push(delivery);
    this.#bytes += weight(delivery.message);
  }

  shift(): Delivery | undefined {
    const delivery = this.#items[this.#head];
    if (delivery === undefined) return undefined;
    this.#head++;
    this.#bytes -= weight(delivery.message);
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return delivery;
  }

  /** Takes out what comes from one cursor; it was put back there. */
  remove(cursor: Cursor): void {
    const held = this.drain();
    for (const delivery of held) {
      if (delivery.cursor !== cursor) this.push(delivery);
      else giveBack(cursor, delivery.offset);
    }
  }

  /** Empties it; what it held. */
  drain(): Delivery[] {
    const held = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
    return held;
  }

  list(): readonly Delivery[] {
    return this.#items.slice(this.#head);
  }
}

/** Whether one more delivery may be handed to a connection that has `waiting` already. */
export function hasRoom(waiting: Waiting): boolean {
  return waiting.count < limits.mqttOutPendingMax && waiting.bytes < limits.mqttOutPendingBytesMax;
}

/** Deliveries that no log holds, in the hub's memory: bounded for one session and for all of them. */
export class Queued {
  readonly #waiting = new Waiting();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get count(): number {
    return this.#waiting.count;
  }

  /** False: there is no room. */
  keep(delivery: Delivery): boolean {
    const bytes = weight(delivery.message);
    if (this.count >= limits.mqttQueuedPerSessionMax || this.#budget.used + bytes > this.#budget.max) return false;
    this.#waiting.push(delivery);
    this.#budget.used += bytes;
    return true;
  }

  take(): Delivery | undefined {
    const delivery = this.#waiting.shift();
    if (delivery !== undefined) this.#budget.used -= weight(delivery.message);
    return delivery;
  }

  clear(): void {
    while (this.take() !== undefined);
  }
}
