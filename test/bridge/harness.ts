// A bridge on a free port in front of the stand-in hub, and a trace that can be asked.
import { type Bridge, type BridgeOptions, startBridge } from "../../bridge/mod.ts";
import type { Fields, Trace } from "../../hub/trace.ts";
import { openStandInHub, type StandInHub, testClock } from "./stand_in_hub.ts";

export interface Recorder extends Trace {
  readonly events: { readonly event: string; readonly fields: Fields }[];
  counted(name: string): number;
}

export function openRecorder(): Recorder {
  const events: { event: string; fields: Fields }[] = [];
  const counts = new Map<string, number>();
  return {
    events,
    counted: (name) => counts.get(name) ?? 0,
    event: (_level, event, fields = {}) => void events.push({ event, fields }),
    count: (name, by = 1) => void counts.set(name, (counts.get(name) ?? 0) + by),
    gauge() {},
    observe() {},
  };
}

export interface Setup {
  readonly bridge: Bridge;
  readonly hub: StandInHub;
  readonly trace: Recorder;
}

/** Runs `body` with a bridge and closes it, whatever happens. */
export async function withBridge(
  options: Partial<Omit<BridgeOptions, "hub">> & { readonly hub?: StandInHub },
  body: (setup: Setup) => Promise<void>,
): Promise<void> {
  const { hub = openStandInHub(), ...rest } = options;
  const trace = openRecorder();
  const bridge = await startBridge({
    client: hub.client,
    hub: hub.face,
    rooms: hub.rooms(),
    host: "127.0.0.1",
    port: 0,
    trace,
    clock: testClock,
    ackTimeoutMs: 5_000,
    ...rest,
  });
  try {
    await body({ bridge, hub, trace });
  } finally {
    hub.hold = false;
    hub.release();
    await bridge.close();
  }
}
