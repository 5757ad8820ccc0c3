// The Kafka listeners: accepts sockets, gives each a session, closes idle ones, drains at the end.
import type { Clock, Listener, Net, Timer } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { Access } from "../engine/access.ts";
import type { Dispatch } from "./handler.ts";
import { type ConnectionBounds, type ConnectionInfo, defaultBounds, Session } from "./session.ts";

export interface AcceptorOptions {
  readonly net: Net;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly dispatch: Dispatch;
  /** Who may come in and what traffic costs them; without it everybody may, and nothing does. */
  readonly access?: Access;
  /** Kafka's settings of connections; the hub's limits when left out. */
  readonly bounds?: ConnectionBounds;
}

const idleSweepMs = 10_000;
const drainStepMs = 10;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #bounds: ConnectionBounds;
  readonly #sessions = new Set<Session>();
  readonly #unanswered = { bytes: 0 };
  #listeners: Listener[] = [];
  #sweep: Timer | null = null;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#bounds = options.bounds ?? defaultBounds;
  }

  get connections(): number {
    return this.#sessions.size;
  }

  /** Who is connected, in the order they came. */
  list(): ConnectionInfo[] {
    return [...this.#sessions].map((session) => session.about());
  }

  /**
   * Listens on every host with one port; with port 0 the first one picks it and the others follow. A second family that
   * the machine does not have (::1 without IPv6) is left out. Rejects with EADDRINUSE, EACCES ...
   */
  async listen(hosts: readonly string[], port: number): Promise<number> {
    let chosen = port;
    for (const host of hosts) {
      try {
        const listener = await this.#options.net.listen(host, chosen, (socket) => this.#accept(socket));
        this.#listeners.push(listener);
        chosen = listener.port;
      } catch (error) {
        const code = (error as { code?: string }).code;
        const missing = code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
        if (!missing || this.#listeners.length === 0) throw error;
      }
    }
    this.#sweepLater();
    return chosen;
  }

  #accept(socket: Parameters<Parameters<Net["listen"]>[2]>[0]): void {
    const { dispatch, clock, trace, access } = this.#options;
    if (this.#sessions.size >= this.#bounds.connectionsMax) {
      trace.event("warn", "connections_full", { client: socket.remoteAddress, connections: this.#sessions.size });
      trace.count("connections_refused_total");
      socket.destroy();
      return;
    }
    const session: Session = new Session({
      bounds: this.#bounds,
      socket,
      dispatch,
      clock,
      trace,
      access: access ?? null,
      unanswered: this.#unanswered,
      closed: () => void this.#sessions.delete(session),
    });
    this.#sessions.add(session);
  }

  #sweepLater(): void {
    this.#sweep = this.#options.clock.after(idleSweepMs, () => {
      const now = this.#options.clock.now();
      for (const session of this.#sessions) {
        if (session.idleUntil < now) session.close();
      }
      this.#sweepLater();
    });
  }

  /** Stops accepting, lets answers under way leave for up to `graceMs`, then closes what is left. */
  async close(graceMs: number): Promise<void> {
    this.#sweep?.cancel();
    const { clock } = this.#options;
    const until = clock.now() + graceMs;
    for (const session of this.#sessions) session.drain();
    while ([...this.#sessions].some((session) => session.busy) && clock.now() < until) {
      await new Promise<void>((resolve) => void clock.after(drainStepMs, resolve));
    }
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    this.#listeners = [];
  }
}
