// The QoS 1 and 2 deliveries of one session that are on their way, by packet id, in the order of their sending. Pure.
import { SparseMap } from "./sparse.ts";
import type { Content, Delivery, Flight } from "./flight.ts";
import { keepOwn, weight } from "./message.ts";

const idMax = 65_535;

export class Flights {
  readonly #byId = new SparseMap<number, Flight>();
  #lastId = 0;
  #bytes = 0;
  #live = 0;

  /** Packet ids in use. */
  get size(): number {
    return this.#byId.size;
  }

  /** Bytes of the messages that are held for them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those that count against the receive maximum of this connection. */
  get live(): number {
    return this.#live;
  }

  get(packetId: number): Flight | undefined {
    return this.#byId.get(packetId);
  }

  /** A list of its own: flights may be settled while it is gone through. */
  list(): Flight[] {
    return [...this.#byId.values()];
  }

  /** Takes one over from a record. */
  restore(flight: Flight): void {
    this.#byId.set(flight.packetId, flight);
    this.#lastId = flight.packetId;
  }

  /** `isStored`: its packet id has to be stored before it is used. */
  add({ message, subscriptionIds, qos, retain, cursor, offset }: Delivery, isStored: boolean): Flight {
    const flight: Flight = {
      packetId: this.#freeId(),
      qos: qos === 2 ? 2 : 1,
      retain,
      cursor,
      offset,
      stage: isStored ? "storing" : "publish",
      content: null,
      sent: false,
      live: false,
      received: 0,
    };
    this.give(flight, { message, subscriptionIds });
    this.#byId.set(flight.packetId, flight);
    return flight;
  }

  give(flight: Flight, content: Content): void {
    this.forget(flight);
    keepOwn(content.message);
    flight.content = content;
    this.#bytes += weight(content.message);
  }

  /** Its message is not held any longer. */
  forget(flight: Flight): void {
    if (flight.content !== null) this.#bytes -= weight(flight.content.message);
    flight.content = null;
  }

  setLive(flight: Flight, isLive: boolean): void {
    if (flight.live !== isLive) this.#live += isLive ? 1 : -1;
    flight.live = isLive;
  }

  /** Its packet id is free. */
  settle(flight: Flight): void {
    this.forget(flight);
    this.setLive(flight, false);
    this.#byId.delete(flight.packetId);
  }

  clear(): void {
    for (const flight of this.list()) this.settle(flight);
  }

  /** [MQTT-2.2.1-4]; one is free, as the window is smaller than the range. */
  #freeId(): number {
    do this.#lastId = this.#lastId >= idMax ? 1 : this.#lastId + 1;
    while (this.#byId.has(this.#lastId));
    return this.#lastId;
  }
}
