// Watches the room on the disk: soft and hard line, the reserve, the way back from full (storage.md section 5).
import type { Clock, Disk, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { Tuning } from "./settings.ts";
import { writeFully } from "./small_file.ts";

const reserveFile = "meta/reserve";
const stepBytes = 1024 * 1024;

export interface SpaceOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly tuning: Tuning;
  readonly isFull: () => boolean;
  /** Free room fell below the hard line. */
  readonly onHard: (freeBytes: number) => void;
  /** Free room fell below the soft line: time to delete what may be deleted. */
  readonly onSoft: () => void;
  /** There is room again, and the reserve stands. */
  readonly onRoom: () => void;
}

export class Space {
  readonly #options: SpaceOptions;
  #timer: Timer | null = null;
  #stopped = false;
  #making = false;
  #hasReserve = false;

  constructor(options: SpaceOptions) {
    this.#options = options;
    this.#hasReserve = options.disk.exists(reserveFile);
  }

  start(): void {
    if (this.#stopped) return;
    const { clock, isFull } = this.#options;
    if (!this.#hasReserve && !isFull()) clock.soon(() => this.#makeReserve(() => {}));
    this.#timer = clock.after(limits.diskRetryMs, () => {
      this.poll();
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The lines, lowered on a small file system so that they leave most of it to use. */
  lines(totalBytes: number): { readonly soft: number; readonly hard: number } {
    const { softLineBytes, hardLineBytes } = this.#options.tuning;
    return {
      soft: Math.min(Math.max(totalBytes * 0.05, softLineBytes), totalBytes / 4),
      hard: Math.min(hardLineBytes, totalBytes / 16),
    };
  }

  poll(): void {
    const { disk, isFull, onHard, onSoft, trace } = this.#options;
    if (this.#stopped) return;
    const { freeBytes, totalBytes } = disk.space();
    trace.gauge("disk_free_bytes", freeBytes);
    const { soft, hard } = this.lines(totalBytes);
    if (isFull()) {
      if (freeBytes >= hard + (this.#hasReserve ? 0 : this.#options.tuning.reserveBytes)) this.#heal();
      else onSoft();
    } else if (freeBytes < hard) onHard(freeBytes);
    else if (freeBytes < soft) onSoft();
  }

  /** The reserve is also the probe: when it can be written, there is room. */
  #heal(): void {
    this.#makeReserve(() => this.#options.onRoom());
  }

  /** Gives the reserve back to the file system, so that a checkpoint can be written when it is full. */
  free(): void {
    this.#hasReserve = false;
    this.#options.disk.remove(reserveFile);
  }

  /** Written in steps, so that nothing waits long; pages that were never written would be no reserve. */
  #makeReserve(done: () => void): void {
    if (this.#hasReserve) return done();
    if (this.#making || this.#stopped) return;
    const { disk, clock, tuning, trace } = this.#options;
    this.#making = true;
    const zeros = new Uint8Array(Math.min(stepBytes, tuning.reserveBytes));
    const file = disk.open(`${reserveFile}.tmp`, "any");
    let at = 0;
    const end = (): void => {
      this.#making = false;
      file.close();
    };
    const step = (): void => {
      if (this.#stopped) return end();
      try {
        if (at < tuning.reserveBytes) {
          writeFully(file, zeros, at);
          at += zeros.length;
          return clock.soon(step);
        }
        end();
        disk.rename(`${reserveFile}.tmp`, reserveFile);
        this.#hasReserve = true;
      } catch (error) {
        end();
        disk.remove(`${reserveFile}.tmp`);
        trace.event("warn", "disk_reserve_not_made", { error: (error as Error).message });
        return;
      }
      done();
    };
    step();
  }
}
