// One PUBLISH on its way into the log; pooled, so that a message costs no closure of ours.
import type { Delivered } from "../../hub/mod.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";
import type { Author } from "./memo.ts";
import { codeOf } from "./outcome.ts";

/** What one record costs beside its payload, in bytes: objects, headers, the batch's own framing. */
const overheadBytes = 1_536;
const pooledMax = 4_096;

export class Flight {
  author: Author | null = null;
  ticket = 0;
  /** The hub topic, if the author has not stored anything there before. */
  news: string | null = null;
  bytes = 0;
  /** Commits that are awaited. */
  parts = 0;
  code: ReasonCode = Reason.success;
  error: Error | null = null;
  settled: ((flight: Flight) => void) | null = null;
  readonly delivered: Delivered = (error) => {
    if (error === null) this.done(Reason.success);
    else this.failed(error);
  };

  done(code: ReasonCode): void {
    if (code >= 0x80) this.code = code;
    this.parts--;
    if (this.parts === 0) this.settled?.(this);
  }

  failed(error: Error): void {
    this.error = error;
    this.done(codeOf(error));
  }
}

export class Flights {
  readonly #pool: Flight[] = [];

  take(author: Author, ticket: number, payloadBytes: number): Flight {
    const flight = this.#pool.pop() ?? new Flight();
    flight.author = author;
    flight.ticket = ticket;
    flight.bytes = payloadBytes + overheadBytes;
    flight.parts = 1; // that of the caller
    flight.code = Reason.success;
    flight.error = null;
    flight.news = null;
    return flight;
  }

  give(flight: Flight): void {
    flight.author = null;
    flight.error = null;
    if (this.#pool.length < pooledMax) this.#pool.push(flight);
  }
}
