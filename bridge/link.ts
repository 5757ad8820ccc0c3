// One MQTT connection and its packets: what is ours beside the broker's own objects of them.
import type { Duplex } from "node:stream";
import { limits } from "../hub/mod.ts";
import { FrameGuard } from "./frame_guard.ts";
import type { Intake, Publish } from "./intake.ts";

/** Packet fields that only ever live inside this process. */
export interface InnerPacket extends Publish {
  cmd: string;
  qos: number;
  fresh?: boolean;
  /** Not to be delivered: its record was refused. */
  dropped?: boolean;
}

export const brokerId = "partidor";
/**
 * aedes drops as a duplicate what it emits to a client after a younger message, and QoS 0 overtakes QoS 1 in it. So it
 * is to remember nothing; a client whose filters overlap gets a copy for each (MQTT 3.1.1 section 3.3.5 allows it).
 */
export const nothingSeen = Object.defineProperty({}, brokerId, { get: () => 0, set() {} });

export class Link {
  readonly stream: Duplex;
  readonly remoteAddress: string;
  readonly guard = new FrameGuard(limits.mqttPacketBytesMax);
  client: { readonly _keepaliveTimer: NodeJS.Timeout | null } | null = null;
  intake: Intake | null = null;
  /** Nothing more is read. */
  stopped = false;
  /** Since when the client has not taken what is queued for it; null while it does. */
  stuckSince: number | null = null;

  constructor(stream: Duplex, remoteAddress: string) {
    this.stream = stream;
    this.remoteAddress = remoteAddress;
  }

  /** Why the connection is to be ended now; null while nothing is wrong. Called about once a second. */
  problem(now: number): string | null {
    const { intake, stream } = this;
    if (intake?.overdue(now)) return "a message was not acknowledged within the ack timeout";
    if (stream.writableLength <= limits.mqttOutBytesMax) this.stuckSince = null;
    else if (this.stuckSince === null) this.stuckSince = now;
    else if (now - this.stuckSince > limits.mqttDrainMsMax) return "the client does not read";
    // a connection that we do not read cannot show that it is alive
    if (intake !== null && (this.stopped || intake.busy || !intake.mayRead())) this.client?._keepaliveTimer?.refresh();
    return null;
  }
}
