// Connections beyond the bound: closed after a while of their own, those of MQTT 5 told of a hub that has room.
import type { Duplex } from "node:stream";
import type { Access } from "../auth.ts";
import { type Clock, limits, type Trace } from "../../hub/mod.ts";
import { checkConnect, refuse } from "../session/connect.ts";
import { decodePacket } from "../wire/decode.ts";
import { encodePacket } from "../wire/encode.ts";
import { FrameScanner } from "../wire/frames.ts";
import { MqttProblem, PacketType } from "../wire/packet.ts";
import { canDial, detourOf, type Elsewhere } from "./detour.ts";

export interface TurnAwayOptions {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly access: Access;
  readonly elsewhere: () => Elsewhere | null;
}

export class TurnAway {
  readonly #options: TurnAwayOptions;
  /** Refused and not closed yet. */
  #size = 0;
  #turn = 0;

  constructor(options: TurnAwayOptions) {
    this.#options = options;
  }

  /** Not all of them may come back at once: each is closed at a time of its own. */
  take(stream: Duplex, remoteAddress: string): void {
    const { trace, clock } = this.#options;
    trace.count("mqtt_connections_refused_total", 1, { reason: "too-many" });
    stream.on("error", () => {});
    if (this.#size >= limits.mqttTurnedAwayMax) return void stream.destroy();
    this.#size++;
    stream.once("close", () => this.#size--);
    clock.after(Math.random() * limits.mqttTurnAwayMsMax, () => stream.destroy());
    if (canDial(stream)) this.#listen(stream, remoteAddress);
  }

  /** One CONNECT is read; whatever else comes waits for the end. */
  #listen(stream: Duplex, remoteAddress: string): void {
    const scanner = new FrameScanner(limits.mqttConnectBytesMax);
    const onData = (chunk: Buffer): void => {
      let answer: Uint8Array | null = null;
      try {
        scanner.push(chunk);
        if (!scanner.next()) return;
        answer = this.#answer(scanner, remoteAddress);
      } catch (error) {
        if (!(error instanceof MqttProblem)) throw error;
      }
      stream.off("data", onData);
      if (answer === null) return void stream.pause();
      stream.end(answer);
      stream.resume(); // unread bytes would turn the end into a reset
    };
    stream.on("data", onData);
  }

  /** Who would not be let in is told nothing. */
  #answer({ type, flags, bytes, start, end }: FrameScanner, remoteAddress: string): Uint8Array | null {
    if (type !== PacketType.connect) return null;
    const packet = decodePacket(type, flags, bytes, start, end, 5, "client");
    if (packet.kind !== "connect" || packet.version !== 5 || checkConnect(packet, "-").kind === "refuse") return null;
    const { clientId, username, password } = packet;
    const { access, trace, elsewhere } = this.#options;
    const detour = detourOf(elsewhere(), this.#turn++);
    if (detour === null || !access.connect({ clientId, remoteAddress, username, password }).admitted) return null;
    trace.count("mqtt_connections_sent_elsewhere_total");
    const connack = refuse(5, detour.code, "", detour.reference);
    const { maximumPacketSize } = packet.properties;
    return connack && encodePacket(connack, 5, maximumPacketSize === undefined ? {} : { maximumPacketSize });
  }
}
