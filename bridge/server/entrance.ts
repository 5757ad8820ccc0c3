// CONNECT: who may come in, in an orderly line when everybody comes at once, one connection for each client id.
import { randomUUID } from "node:crypto";
import type { Access } from "../auth.ts";
import { type Clock, limits, type Trace } from "../../hub/mod.ts";
import type { SessionKeeper } from "../keep/faces.ts";
import { admit, type Admitted } from "../session/admit.ts";
import { type Admission, checkConnect, refuse } from "../session/connect.ts";
import type { Past } from "../session/record.ts";
import { type Connack, type Connect, Reason, type ReasonCode } from "../wire/packet.ts";
import type { Client } from "./client.ts";
import type { Connection } from "./connection.ts";

/** The clients of this hub, as the entrance needs them. */
export interface Roster {
  get(clientId: string): Client | undefined;
  /** Sessions that are kept for clients, connected or not. */
  readonly size: number;
  /** A session begins; `past`: what its record says. */
  make(clientId: string, past: Past | null, epoch: number): Client;
}

export interface EntranceOptions {
  readonly access: Access;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly sessions: SessionKeeper;
  readonly roster: Roster;
}

export class Entrance {
  readonly #options: EntranceOptions;
  /** Client ids that are being claimed, each with the last one in line. */
  readonly #claims = new Map<string, Promise<void>>();

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** The first packet of a connection. */
  connect(connection: Connection, packet: Connect): void {
    connection.version = packet.version;
    connection.isGreeted = true;
    const checked = checkConnect(packet, `auto-${randomUUID()}`);
    if (checked.kind === "refuse") return this.#refuse(connection, packet, "connect", checked.connack);
    const { admission } = checked;
    const principal = this.#authenticate(connection, packet, admission);
    if (principal === null) return;
    connection.sendLimits = {
      problemInformation: admission.wantsProblems,
      ...(admission.outbound.packetBytesMax === null ? {} : { maximumPacketSize: admission.outbound.packetBytesMax }),
    };
    connection.scanner.maximum = limits.mqttPacketBytesMax;
    connection.scanner.strict = admission.version === 5;
    const { sessions } = this.#options;
    if (!sessions.isShared) this.#enter(connection, admission, principal, null, 0);
    else this.#claim(connection, admission, principal);
  }

  #authenticate(connection: Connection, packet: Connect, { clientId, will }: Admission): string | null {
    const { access } = this.#options;
    const { username, password, version } = packet;
    const { remoteAddress } = connection;
    const answer = access.connect({ clientId, remoteAddress, username, password });
    if (!answer.admitted) {
      const code = reasons[answer.returnCode];
      this.#refuse(connection, packet, "not-admitted", refuse(version, code, answer.reason), answer.reason);
      return null;
    }
    if (will !== null && !access.publish(answer.principal, will.topic)) {
      const detail = "the will's topic is not authorised";
      this.#refuse(connection, packet, "not-admitted", refuse(version, Reason.notAuthorized, detail), detail);
      return null;
    }
    return answer.principal;
  }

  /** Another hub may own the client: it lets go first. CONNECTs of one client id take turns. */
  #claim(connection: Connection, admission: Admission, principal: string): void {
    const { sessions, trace, roster } = this.#options;
    const { clientId } = admission;
    const before = this.#claims.get(clientId) ?? Promise.resolve();
    const turn = before.then(async () => {
      if (connection.isOver) return;
      try {
        const { past, epoch } = await sessions.claim(clientId);
        if (connection.isOver) return;
        this.#enter(connection, admission, principal, roster.get(clientId) === undefined ? past : null, epoch);
      } catch (error) {
        const detail = (error as Error).message;
        trace.event("warn", "mqtt_claim_failed", { client: clientId, reason: detail });
        const connack = refuse(admission.version, Reason.serverUnavailable, detail);
        this.#end(connection, connack);
      }
    });
    this.#claims.set(clientId, turn);
    void turn.then(() => {
      if (this.#claims.get(clientId) === turn) this.#claims.delete(clientId);
    });
  }

  #enter(connection: Connection, admission: Admission, principal: string, past: Past | null, epoch: number): void {
    const { access, roster, trace, clock } = this.#options;
    const { clientId } = admission;
    let client = roster.get(clientId) ?? (past === null ? undefined : roster.make(clientId, past, epoch));
    if (client === undefined && roster.size >= limits.mqttSessionsMax && admission.expirySeconds > 0) {
      const detail = `more than ${limits.mqttSessionsMax} sessions`;
      trace.count("mqtt_connections_refused_total", 1, { reason: "sessions" });
      return this.#end(connection, refuse(admission.version, Reason.quotaExceeded, detail));
    }
    let made: Client | null = null;
    const make = (): Client["session"] => {
      made = roster.make(clientId, null, epoch);
      return made.session;
    };
    const mayRead = (filter: string): boolean => access.subscribe(principal, filter);
    const admitted = admit(client?.session ?? null, admission, mayRead, make, clock.wall(), (before) => {
      perform(client!, before);
    });
    client = made ?? client!;
    client.session.epoch = Math.max(client.session.epoch, epoch);
    client.principal = principal;
    client.connection = connection;
    connection.client = client;
    trace.count("mqtt_connects_total");
    perform(client, admitted.effects);
  }

  #refuse(connection: Connection, packet: Connect, kind: string, connack: Connack | null, detail = ""): void {
    const { trace } = this.#options;
    trace.count("mqtt_connections_refused_total", 1, { reason: kind });
    const reason = detail === "" ? (connack?.properties.reasonString ?? `code ${connack?.code}`) : detail;
    const fields = { client: packet.clientId, address: connection.remoteAddress, reason };
    trace.event("warn", "mqtt_connection_refused", fields);
    this.#end(connection, connack);
  }

  #end(connection: Connection, connack: Connack | null): void {
    if (connack !== null) connection.send(connack);
    connection.end();
  }
}

function perform(client: Client, effects: Admitted["effects"]): void {
  for (const effect of effects) client.push(effect);
  client.perform();
}

/** What 3.1.1 and `Access` say, in the words of 5. */
const reasons: Readonly<Record<2 | 4 | 5, ReasonCode>> = {
  2: Reason.clientIdNotValid,
  4: Reason.badUserNameOrPassword,
  5: Reason.notAuthorized,
};
