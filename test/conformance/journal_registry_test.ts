// The registry suite over the real journal on a real disk; each reopening reads a copy of the folder, as after kill -9.
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openEmbeddedRegistry } from "../../hub/engine/embedded_registry.ts";
import { openClock } from "../../hub/io/clock.ts";
import { openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import { openStore, type Store } from "../../hub/log/store.ts";
import { silentTrace } from "../../hub/trace.ts";
import { scratch } from "../tools/hub_process.ts";
import { registryConformance } from "./registry_conformance.ts";

registryConformance("embedded, on the journal,", async () => {
  const { folder, remove } = scratch();
  const stores: Store[] = [];
  return {
    async open() {
      const directory = join(folder, String(stores.length));
      if (stores.length > 0) {
        cpSync(join(folder, "0"), directory, { recursive: true });
        rmSync(join(directory, "meta", "lock"), { force: true });
      }
      const store = await openStore({
        disk: openDisk(directory),
        clock: openClock(),
        random: openRandom(),
        trace: silentTrace,
        hubId: 1,
        listener: { durable() {}, stateChanged() {}, possibleLoss() {} },
      });
      stores.push(store);
      return openEmbeddedRegistry(store);
    },
    async close() {
      for (const store of stores) await store.close();
      remove();
    },
  };
});
