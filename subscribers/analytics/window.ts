// Tumbling windows in event time over one partition, closed by each device's own watermark. Pure.
//
// DESIGN. The state is a function of the records alone (no wall clock), and of few of them: for each device of those
// from `needs` on. So a reader that goes back to `resumeFrom` and drops what is closed before the offset it had
// reached (`emitted`) writes exactly the aggregates of a reader that was never interrupted:
//  - the watermark of a device is its highest event time minus the lateness, so it depends on one record, the
//    "peak". A window remembers the peak that was in force when it opened; from that record on, every later decision
//    about lateness comes out the same, whatever was read before.
//  - a silent device is forgotten, and its windows closed, by a rule over records as well: two other devices' record
//    times are further on than `idleMs`, or `idleRecordsMax` records have passed. One device with a wild clock can
//    neither close the windows of others (its watermark is its own) nor make them idle (it takes two).
//  - windows that were closed already may be built again in part while reading again; each of them closes again
//    before `emitted`, so it is never written.
// Above `devicesMax` devices in one partition the one that was silent longest is forgotten early; only then an
// aggregate may come in two parts (with different `first`), also after a restart.
import type { Aggregate } from "../messages.ts";
import type { Sample } from "../sample.ts";

export interface WindowOptions {
  /** Length of a window in ms; windows begin at whole multiples of it since the Unix epoch. */
  readonly sizeMs: number;
  /** How long a window stays open for readings out of order, in the device's event time. */
  readonly lateMs: number;
  /** Silence, in record time, after which a device is forgotten. */
  readonly idleMs: number;
  /** Silence, in records of the partition, after which a device is forgotten whatever the clocks say. */
  readonly idleRecordsMax: number;
  readonly devicesMax: number;
}

export const windowOptionsDefault: WindowOptions = {
  sizeMs: 60_000,
  lateMs: 10_000,
  idleMs: 180_000,
  idleRecordsMax: 1_000_000,
  devicesMax: 20_000,
};

/** Silent devices are looked for once in so many offsets: the cost per record stays small with many devices. */
const lookRoundRecords = 64;

interface Window {
  readonly metric: string;
  readonly start: number;
  /** Offset from which the records must be read again to build this window as it is. */
  readonly needs: number;
  readonly first: number;
  last: number;
  count: number;
  min: number;
  max: number;
  /** Neumaier's sum: `sum + lost` is exact to the last bit or two, whatever the order of magnitude of the values. */
  sum: number;
  lost: number;
  /** Running mean, taken instead when the sum overflows. */
  mean: number;
  unit: string;
  late: number;
}

interface DeviceState {
  /** Highest event time seen, and the offset of the record that set it. */
  peak: number;
  peakOffset: number;
  lastOffset: number;
  lastTime: number;
  /** Open windows by `start/metric`; the watermark keeps them to one or two per metric. */
  readonly windows: Map<string, Window>;
}

interface LastRecord {
  readonly device: string;
  readonly time: number;
  readonly offset: number;
}

/** The windows of one partition. Devices stand in order of their last record: the first was silent longest. */
export interface Windows {
  readonly source: string;
  readonly options: WindowOptions;
  readonly devices: Map<string, DeviceState>;
  /** The last record, and the last record of another device than that: what tells how far time went on. */
  latest: LastRecord | null;
  other: LastRecord | null;
}

/** @param source `<topic>-<partition>`, which makes the ids of aggregates unique. */
export function newWindows(source: string, options: WindowOptions = windowOptionsDefault): Windows {
  return { source, options, devices: new Map(), latest: null, other: null };
}

/**
 * Takes the record at `offset` (offsets grow) and returns what it closes, oldest window first.
 * @param recordTime the record's timestamp, in ms since the Unix epoch.
 */
export function onSample(windows: Windows, sample: Sample, offset: number, recordTime: number): Aggregate[] {
  const closed = forgetIdle(windows, sample.device, offset, recordTime);
  const { sizeMs, lateMs } = windows.options;
  let device = windows.devices.get(sample.device);
  if (device === undefined) {
    device = { peak: sample.t, peakOffset: offset, lastOffset: offset, lastTime: recordTime, windows: new Map() };
  } else {
    windows.devices.delete(sample.device);
  }
  windows.devices.set(sample.device, device);
  device.lastOffset = offset;
  device.lastTime = recordTime;
  if (sample.t >= device.peak) {
    device.peak = sample.t;
    device.peakOffset = offset;
  }
  const watermark = device.peak - lateMs;
  const start = floorTo(sample.t, sizeMs);
  if (start + sizeMs <= watermark) {
    const oldest = openWindow(device, sample.metric, floorTo(watermark, sizeMs), offset);
    oldest.late += 1;
    oldest.last = offset;
  } else {
    addValue(openWindow(device, sample.metric, start, offset), sample, offset);
  }
  closed.push(...closeThrough(windows, sample.device, device, watermark));
  return closed;
}

/** The offset to read again from so that every open window is rebuilt; `next` when none is open. O(devices). */
export function resumeFrom(windows: Windows, next: number): number {
  let from = next;
  for (const device of windows.devices.values()) {
    from = Math.min(from, device.peakOffset);
    for (const window of device.windows.values()) from = Math.min(from, window.needs);
  }
  return from;
}

/** Open windows, for bounds and gauges. */
export function openCount(windows: Windows): number {
  let count = 0;
  for (const device of windows.devices.values()) count += device.windows.size;
  return count;
}

function floorTo(time: number, sizeMs: number): number {
  return Math.floor(time / sizeMs) * sizeMs;
}

function openWindow(device: DeviceState, metric: string, start: number, offset: number): Window {
  const key = `${start}/${metric}`;
  const present = device.windows.get(key);
  if (present !== undefined) return present;
  const window: Window = {
    metric,
    start,
    needs: Math.min(device.peakOffset, offset),
    first: offset,
    last: offset,
    count: 0,
    min: Infinity,
    max: -Infinity,
    sum: 0,
    lost: 0,
    mean: 0,
    unit: "",
    late: 0,
  };
  device.windows.set(key, window);
  return window;
}

function addValue(window: Window, sample: Sample, offset: number): void {
  const { v } = sample;
  window.last = offset;
  window.count += 1;
  window.min = Math.min(window.min, v);
  window.max = Math.max(window.max, v);
  const sum = window.sum + v;
  window.lost += Math.abs(window.sum) >= Math.abs(v) ? window.sum - sum + v : v - sum + window.sum;
  window.sum = sum;
  window.mean += v / window.count - window.mean / window.count;
  if (sample.unit !== "") window.unit = sample.unit;
}

function closeThrough(windows: Windows, name: string, device: DeviceState, watermark: number): Aggregate[] {
  const { sizeMs } = windows.options;
  const closed: Aggregate[] = [];
  for (const [key, window] of device.windows) {
    if (window.start + sizeMs > watermark) continue;
    device.windows.delete(key);
    closed.push(aggregateOf(windows, name, window));
  }
  return closed.length < 2 ? closed : closed.sort((a, b) => a.start - b.start || (a.metric < b.metric ? -1 : 1));
}

function forgetIdle(windows: Windows, name: string, offset: number, time: number): Aggregate[] {
  const { idleMs, idleRecordsMax, devicesMax } = windows.options;
  const { latest } = windows;
  if (latest !== null && latest.device !== name) windows.other = latest;
  windows.latest = { device: name, time, offset };
  const closed: Aggregate[] = [];
  const forget = (silent: string, device: DeviceState): void => {
    windows.devices.delete(silent);
    closed.push(...closeThrough(windows, silent, device, Infinity));
  };
  if (windows.devices.size >= devicesMax && !windows.devices.has(name)) {
    for (const [silent, device] of windows.devices) {
      forget(silent, device);
      break;
    }
  }
  // Which records look round is a matter of their offset, so that a second reading forgets at the same place.
  if (latest === null || Math.floor(offset / lookRoundRecords) === Math.floor(latest.offset / lookRoundRecords)) {
    return closed;
  }
  const agreed = windows.other === null ? -Infinity : Math.min(time, windows.other.time);
  for (const [silent, device] of windows.devices) {
    if (silent === name) continue;
    if (agreed - device.lastTime > idleMs || offset - device.lastOffset > idleRecordsMax) forget(silent, device);
  }
  return closed;
}

function aggregateOf(windows: Windows, device: string, window: Window): Aggregate {
  const sum = window.sum + window.lost;
  const mean = Number.isFinite(sum) ? sum / window.count : window.mean;
  const empty = window.count === 0;
  return {
    id: `${windows.source}-${window.first}/${window.metric}/${window.start}`,
    device,
    metric: window.metric,
    start: window.start,
    end: window.start + windows.options.sizeMs,
    count: window.count,
    min: empty ? null : window.min,
    mean: empty ? null : Math.min(window.max, Math.max(window.min, mean)),
    max: empty ? null : window.max,
    unit: window.unit,
    late: window.late,
    first: window.first,
    last: window.last,
  };
}
