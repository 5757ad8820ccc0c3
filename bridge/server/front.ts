// All connections of a hub: what they may send and when they are read, and what ends them.
import type { Duplex } from "node:stream";
import type { Access } from "../auth.ts";
import { type Clock, limits, type Trace } from "../../hub/mod.ts";
import { connectRefusal } from "../wire/connect.ts";
import { decodePacket } from "../wire/decode.ts";
import { type Connect, MqttProblem, type Packet, PacketType, Reason } from "../wire/packet.ts";
import { PublishView, TopicMemo } from "../wire/publish.ts";
import { Connection, type ConnectionHost } from "./connection.ts";
import type { Client } from "./client.ts";
import { detourOf, type Elsewhere } from "./detour.ts";
import { FastLane } from "./fast_lane.ts";
import type { Counts } from "./figures.ts";
import type { Publisher } from "./publisher.ts";
import { TurnAway } from "./turn_away.ts";

export interface FrontOptions {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly counts: Counts;
  readonly publisher: Publisher;
  readonly onConnect: (connection: Connection, packet: Connect) => void;
  readonly ackTimeoutMs: number;
  readonly connectionsMax: number;
  readonly connectMsMax: number;
  readonly access: Access;
  /** Other hubs that have room; null: none is known. */
  readonly elsewhere?: () => Elsewhere | null;
}

export class Front implements ConnectionHost {
  readonly outBytes = { used: 0 };
  readonly stuck = new Set<Connection>();
  readonly counts: Counts;
  readonly #options: FrontOptions;
  readonly #connections = new Set<Connection>();
  /** Connections that wait for their turn to say CONNECT. */
  readonly #line = new Set<Connection>();
  #connectsLeft: number = limits.mqttConnectsPerTurnMax;
  #isTurning = false;
  #toFlush: Connection[] = [];
  #committed: Client[] = [];
  #isScheduled = false;
  #isClosing = false;
  /** Called when the last connection is gone; of `close`. */
  #emptied: (() => void) | null = null;
  readonly #view = new PublishView();
  readonly #topics = new TopicMemo(1_024);
  readonly #lane: FastLane;
  readonly #away: TurnAway;
  readonly #elsewhere: () => Elsewhere | null;
  /** Milliseconds since the epoch: one look at the clock for all packets of a read. */
  #wall = 0;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.counts = options.counts;
    this.#elsewhere = options.elsewhere ?? (() => null);
    this.#away = new TurnAway({ ...options, elsewhere: this.#elsewhere });
    this.#lane = new FastLane(options.publisher, this.#topics);
  }

  get size(): number {
    return this.#connections.size;
  }

  now(): number {
    return this.#options.clock.now();
  }

  accept(stream: Duplex, remoteAddress: string): void {
    if (this.#isClosing) return void stream.on("error", () => {}).destroy();
    if (this.#connections.size >= this.#options.connectionsMax) return this.#away.take(stream, remoteAddress);
    this.#connections.add(new Connection(stream, remoteAddress, this));
  }

  mayRead(connection: Connection): boolean {
    const { client } = connection;
    if (client === null) return this.#mayConnect(connection);
    if (client.session.isFull) return false; // read on by `Client.flush` or when CONNACK left
    return this.#options.publisher.mayRead(client) && connection.waitingBytes <= limits.mqttOutBytesMax;
  }

  onRead(): void {
    this.#wall = this.#options.clock.wall();
  }

  onFrame(connection: Connection): void {
    const { scanner, version, client } = connection;
    const { type, flags, bytes, start, end } = scanner;
    const { counts } = this;
    counts.messagesReceived++;
    counts.bytesReceived += end - start + 2;
    if (client === null) return this.#onFirst(connection);
    const now = this.#wall;
    if (type === PacketType.publish) {
      counts.publishReceived++;
      const view = this.#view;
      view.look(bytes, flags, start, end, version);
      if (this.#lane.take(client, view, now)) return;
      client.session.receive([view.decode("client", this.#topics)], now, client);
    } else {
      client.session.receive([decodePacket(type, flags, bytes, start, end, version, "client")], now, client);
    }
    client.perform();
  }

  onProblem(connection: Connection, problem: MqttProblem): void {
    const { trace } = this.#options;
    const { client, remoteAddress: address } = connection;
    const kind = refusals.get(problem.code) ?? (client === null ? "not-connect" : "protocol");
    trace.count("mqtt_connection_errors_total");
    if (client === null) trace.count("mqtt_connections_refused_total", 1, { reason: kind });
    // sizes and versions are for the operator to mend; all sorts of bytes come to an open port
    const level = kind === "packet-too-large" || kind === "protocol-version" ? "info" : "debug";
    const fields = { client: client?.clientId ?? "", address, reason: `${kind}: ${problem.message}` };
    trace.event(level, "mqtt_connection_refused", fields);
    if (client === null) connection.end();
    else client.act((session, now) => session.disconnect(problem.code, "", now, client, problem.message));
  }

  onWritable(connection: Connection, isWritable: boolean): void {
    const { client } = connection;
    client?.act((session, now) => session.onWritable(isWritable, now, client));
  }

  onClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#line.delete(connection);
    if (this.#connections.size === 0) this.#emptied?.();
    const { client } = connection;
    if (client === null) return;
    client.session.connectionLost(client.now, client);
    client.detach("lost");
    client.perform();
  }

  scheduleFlush(connection: Connection): void {
    this.#toFlush.push(connection);
    this.#schedule();
  }

  /** The client has commits to tell its session of. */
  scheduleCommitted(client: Client): void {
    this.#committed.push(client);
    this.#schedule();
  }

  /** Called about once a second: who is slow, silent, or waits too long. */
  tick(): void {
    const { clock, connectMsMax, ackTimeoutMs } = this.#options;
    const [now, wall] = [clock.now(), clock.wall()];
    for (const connection of [...this.stuck]) {
      if (connection.stuckFor(now) > limits.mqttDrainMsMax) this.#cut(connection, "the client does not read");
    }
    for (const connection of this.#connections) {
      const { client } = connection;
      if (client === null) {
        const age = now - connection.openedAt;
        const ageMax = connection.isGreeted ? limits.mqttClaimMsMax : connectMsMax;
        // one that ends has its chance to read the last word
        if (connection.isEnding ? connection.endsFor(now) > limits.mqttEndMsMax : age > ageMax) {
          connection.destroy();
        }
        continue;
      }
      client.report();
      // a connection that we do not read cannot show that it is alive
      if (connection.isPaused) client.session.touch(wall);
      const { oldestAt } = client.session.inbound;
      if (oldestAt !== null && wall - oldestAt > ackTimeoutMs) {
        this.#cut(connection, "a message was not acknowledged within the ack timeout");
      }
    }
  }

  /** Nothing is read any more; connections stay open for their acknowledgements. */
  quiesce(): void {
    this.#isClosing = true;
    for (const connection of this.#connections) connection.stop();
  }

  /** Ends every connection; those with a session say why. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const known = this.#elsewhere();
    let turn = 0;
    for (const connection of [...this.#connections]) {
      const { client, version } = connection;
      const detour = version === 5 && connection.canDial ? detourOf(known, turn++) : null;
      const { code, reference } = detour ?? { code: Reason.serverShuttingDown, reference: "" };
      if (client === null) connection.end();
      else client.act((session, now) => session.disconnect(code, reference, now, client));
    }
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
        this.#options.clock.after(limits.mqttEndMsMax, resolve);
      });
    }
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #onFirst(connection: Connection): void {
    const { type, flags, bytes, start, end, padded } = connection.scanner;
    if (type !== PacketType.connect) {
      throw new MqttProblem(Reason.protocolError, "the first packet is no CONNECT [MQTT-3.1.0-1]");
    }
    this.#connectsLeft--;
    let packet: Packet;
    try {
      packet = decodePacket(type, flags, bytes, start, end, 5, "client");
    } catch (error) {
      if (!(error instanceof MqttProblem)) throw error;
      const refusal = connectRefusal(bytes, start, end, error);
      if (refusal !== null) connection.write(refusal);
      throw error;
    }
    if (packet.kind !== "connect") throw new MqttProblem(Reason.protocolError, "no CONNECT");
    if (padded && packet.version === 5) throw new MqttProblem(Reason.malformedPacket, "a padded length [MQTT-1.5.5-1]");
    this.counts.connects++;
    this.#options.onConnect(connection, packet);
  }

  /** CONNECTs come in by so many a turn, first come first served, so that those who are in are not held up by them. */
  #mayConnect(connection: Connection): boolean {
    if (connection.isGreeted) return false;
    if (!this.#isTurning) {
      this.#isTurning = true;
      this.#options.clock.soon(() => this.#nextTurn());
    }
    if (this.#connectsLeft > 0 && (this.#line.size === 0 || this.#line.delete(connection))) return true;
    this.#line.add(connection);
    return false;
  }

  #nextTurn(): void {
    this.#isTurning = false;
    this.#connectsLeft = limits.mqttConnectsPerTurnMax;
    for (const connection of this.#line) {
      if (this.#connectsLeft <= 0) break;
      connection.resume();
    }
  }

  #cut(connection: Connection, reason: string): void {
    const { trace } = this.#options;
    trace.count("mqtt_connections_ended_total");
    const client = connection.client?.clientId ?? "";
    trace.event("warn", "mqtt_connection_ended", { client, address: connection.remoteAddress, reason });
    connection.destroy();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.clock.soon(() => {
      this.#isScheduled = false;
      const committed = this.#committed;
      this.#committed = [];
      for (const client of committed) client.flush();
      const toFlush = this.#toFlush;
      this.#toFlush = [];
      for (const connection of toFlush) connection.flush();
    });
  }
}

const refusals: ReadonlyMap<number, string> = new Map([
  [Reason.packetTooLarge, "packet-too-large"],
  [Reason.unsupportedVersion, "protocol-version"],
  [Reason.malformedPacket, "malformed"],
]);
