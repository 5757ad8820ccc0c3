// A real disk whose journal answers a sync only when the test lets it: writes wait as behind a slow SD card.
import type { Disk, File } from "../../hub/io/ports.ts";

export class SlowDisk {
  #held: (() => void)[] = [];
  #arrived: (() => void)[] = [];
  #holding = false;

  /** From now on each sync of a journal file waits. */
  hold(): void {
    this.#holding = true;
  }

  /** Resolves when a sync waits. */
  async waits(): Promise<void> {
    while (this.#held.length === 0) await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }

  /** Lets what waits now go; the next one waits again. */
  step(): void {
    for (const go of this.#held.splice(0)) go();
  }

  /** Lets everything go. */
  release(): void {
    this.#holding = false;
    this.step();
  }

  around(disk: Disk): Disk {
    const open = (...[name, mode]: Parameters<Disk["open"]>): File => {
      const file = disk.open(name, mode);
      if (!name.includes("journal")) return file;
      const sync = file.sync.bind(file);
      file.sync = async () => {
        await sync();
        if (!this.#holding) return;
        await new Promise<void>((resolve) => {
          this.#held.push(resolve);
          for (const arrived of this.#arrived.splice(0)) arrived();
        });
      };
      return file;
    };
    return new Proxy(disk, {
      get(target, name) {
        if (name === "open") return open;
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  }
}
