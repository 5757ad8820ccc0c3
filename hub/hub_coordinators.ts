// The coordinators of a hub: of groups and of transactions, alone or for the partitions that it leads in its cluster.
import type { Config } from "./config.ts";
import type { Access } from "./engine/access.ts";
import { openEmbeddedRegistry } from "./engine/embedded_registry.ts";
import { GroupHomes } from "./engine/group_homes.ts";
import type { GroupEngine } from "./engine/groups.ts";
import { openMirroredRegistry } from "./engine/mirrored_registry.ts";
import type { Partitions } from "./engine/partitions.ts";
import { newProducerId } from "./engine/producer_ids.ts";
import { SharedRemote } from "./engine/scoped_remote.ts";
import type { Settings } from "./engine/settings.ts";
import { openTransactionEngine, type TransactionEngine } from "./engine/transactions.ts";
import { PendingOffsets } from "./engine/transactions_offsets.ts";
import { transactionSettings } from "./engine/transactions_settings.ts";
import { groupsOf, type PartPorts } from "./hub_parts.ts";
import type { FactStore, RemoteRegistry } from "./io/registry.ts";

export interface CoordinatorParts {
  readonly config: Config;
  /** This hub's journal. */
  readonly facts: FactStore;
  readonly partitions: Partitions;
  readonly settings: Settings;
  readonly access: Access;
  /** Where a cluster keeps committed offsets; null for a lone hub, whose journal does. */
  readonly remote: RemoteRegistry | null;
}

export interface Coordinators {
  readonly groups: GroupEngine;
  readonly transactions: TransactionEngine;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Opens them; what they load they go on loading afterwards. */
export async function openCoordinators(ports: PartPorts, parts: CoordinatorParts): Promise<Coordinators> {
  const { clock, random, trace } = ports;
  const { config, facts, partitions, settings, access, remote } = parts;
  const unstable = new PendingOffsets();
  const engineParts = { partitions, unstable, settings, access };
  const shared = remote === null ? null : new SharedRemote(remote);
  const embedded = openEmbeddedRegistry(facts);
  const groups =
    shared === null
      ? await groupsOf(ports, config, { ...engineParts, registry: embedded, coordinatorEpoch: 0 })
      : new GroupHomes({
          partitions,
          clock,
          trace,
          openRegistry: (home, index, owns) => {
            return openMirroredRegistry({ facts: home, remote: shared.scope(String(index), owns), clock, trace });
          },
          openEngine: (registry, coordinatorEpoch) =>
            groupsOf(ports, config, { ...engineParts, registry, coordinatorEpoch }),
        });
  const transactions = await openTransactionEngine({
    topics: partitions,
    partitions,
    groups,
    pending: unstable,
    clock,
    trace,
    newProducerId: () => newProducerId(random),
    coordinatorEpoch: 0,
    settings: transactionSettings(settings.inForce),
  });
  return {
    groups,
    transactions,
    async close() {
      await transactions.close();
      await groups.close();
      await shared?.close();
    },
  };
}
