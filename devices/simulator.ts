// The demo fleet: dozens of devices that replay recorded readings over MQTT connections of their own.
import { Device } from "./device.ts";
import { recordedStations, replay, type Station } from "./replay.ts";
import { seededRandom } from "./sensors.ts";

export interface FleetOptions {
  readonly host: string;
  readonly port: number;
  /** 1 to 2,000; 30 when left out. */
  readonly devices?: number;
  /** Times the demo's own pace (a row per device each 0.5 to 2 s); 1 when left out, > 0 and <= 1,000. */
  readonly speed?: number;
  /** The same seed gives the same devices, phases and paces; 1 when left out. */
  readonly seed?: number;
}

/** What the whole fleet has done so far. */
export interface FleetCounts {
  readonly devices: number;
  readonly connected: number;
  readonly taken: number;
  readonly acknowledged: number;
  readonly dropped: number;
}

export interface Fleet {
  counts(): FleetCounts;
  /** Stops all timers and disconnects every device. Idempotent. */
  stop(): Promise<void>;
}

const devicesMax = 2_000;
const speedMax = 1_000;
const stepMsMin = 500;
const stepMsMax = 2_000;

/** What the plan gives one device. */
export interface PlannedDevice {
  readonly name: string;
  readonly station: Station;
  /** Where in the recording it begins, in [0, 1). */
  readonly phase: number;
  /** Milliseconds from row to row. */
  readonly stepMs: number;
}

/** Chooses name, recording, phase and pace of each device; pure, so that the same seed is the same fleet. */
export function planFleet(stations: readonly Station[], options: Omit<FleetOptions, "host" | "port">): PlannedDevice[] {
  const { devices = 30, speed = 1, seed = 1 } = options;
  if (!Number.isSafeInteger(devices) || devices < 1 || devices > devicesMax) {
    throw new RangeError(`devices must be a whole number from 1 to ${devicesMax}, not ${devices}`);
  }
  if (!(speed > 0 && speed <= speedMax))
    throw new RangeError(`speed must be above 0 and at most ${speedMax}, not ${speed}`);
  const random = seededRandom(seed);
  return Array.from({ length: devices }, (_, index) => {
    const station = stations[index % stations.length]!;
    const number = Math.floor(index / stations.length) + 1;
    return {
      name: `${station.name}-${String(number).padStart(2, "0")}`,
      station,
      phase: random(),
      stepMs: (stepMsMin + random() * (stepMsMax - stepMsMin)) / speed,
    };
  });
}

/** Starts the fleet and returns at once; the devices connect on their own, and again whenever the hub comes back. */
export function startFleet(options: FleetOptions): Fleet {
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const devices = planFleet(recordedStations(), options).map((plan) => {
    const device = new Device({ host: options.host, port: options.port, name: plan.name });
    device.start();
    play(device, plan, timers);
    return device;
  });
  return {
    counts: () => sum(devices),
    async stop() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      await Promise.all(devices.map((device) => device.stop()));
    },
  };
}

function play(device: Device, plan: PlannedDevice, timers: Set<ReturnType<typeof setTimeout>>): void {
  const rows = replay(plan.station, plan.phase);
  const next = (delayMs: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      const now = Date.now();
      const row = rows.next().value as number[];
      plan.station.series.forEach((series, column) => {
        device.publish(series.metric, { t: now, v: row[column]!, u: series.unit });
      });
      next(plan.stepMs);
    }, delayMs);
    timers.add(timer);
  };
  next(plan.phase * plan.stepMs);
}

function sum(devices: readonly Device[]): FleetCounts {
  let connected = 0;
  let taken = 0;
  let acknowledged = 0;
  let dropped = 0;
  for (const device of devices) {
    const counts = device.counts();
    if (device.connected) connected++;
    taken += counts.taken;
    acknowledged += counts.acknowledged;
    dropped += counts.dropped;
  }
  return { devices: devices.length, connected, taken, acknowledged, dropped };
}
