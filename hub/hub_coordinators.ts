// The coordinators of a hub: of groups and of transactions, alone or for the partitions that it leads in its cluster.
import type { Config } from "./config.ts";
import type { Access } from "./engine/access.ts";
import { openEmbeddedRegistry } from "./engine/embedded_registry.ts";
import { GroupHomes } from "./engine/group_homes.ts";
import type { GroupEngine } from "./engine/groups.ts";
import { openMirroredRegistry } from "./engine/mirrored_registry.ts";
import type { Partitions } from "./engine/partitions.ts";
import type { Peers } from "./engine/peers.ts";
import { newProducerId } from "./engine/producer_ids.ts";
import { SharedRemote } from "./engine/scoped_remote.ts";
import type { Settings } from "./engine/settings.ts";
import { TransactionHomes } from "./engine/transaction_homes.ts";
import { openTransactionEngine, type TransactionService } from "./engine/transactions.ts";
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
  /** null for a lone hub: its journal keeps what groups commit. */
  readonly cluster: {
    /** Where a cluster keeps committed offsets. */
    readonly remote: RemoteRegistry;
    readonly peers: Peers;
    readonly leaderOf: (topic: string, partition: number) => number;
  } | null;
}

export interface Coordinators {
  readonly groups: GroupEngine;
  readonly transactions: TransactionService;
  /** null for a lone hub. */
  readonly homes: TransactionHomes | null;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Opens them; what they load they go on loading afterwards. */
export function openCoordinators(ports: PartPorts, parts: CoordinatorParts): Promise<Coordinators> {
  return parts.cluster === null ? openLone(ports, parts) : Promise.resolve(openHomes(ports, parts, parts.cluster));
}

async function openLone(ports: PartPorts, parts: CoordinatorParts): Promise<Coordinators> {
  const { clock, random, trace } = ports;
  const { config, facts, partitions, settings, access } = parts;
  const unstable = new PendingOffsets();
  const registry = openEmbeddedRegistry(facts);
  const groupParts = { partitions, registry, unstable, settings, access, coordinatorEpoch: 0 };
  const groups = await groupsOf(ports, config, groupParts);
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
  const close = async (): Promise<void> => {
    await transactions.close();
    await groups.close();
  };
  return { groups, transactions, homes: null, close };
}

function openHomes(
  ports: PartPorts,
  { config, partitions, settings, access }: CoordinatorParts,
  { remote, peers, leaderOf }: NonNullable<CoordinatorParts["cluster"]>,
): Coordinators {
  const { clock, random, trace } = ports;
  const shared = new SharedRemote(remote);
  let homes: TransactionHomes | null = null;
  const groups = new GroupHomes({
    partitions,
    clock,
    trace,
    openRegistry: (home, index, owns) => {
      return openMirroredRegistry({ facts: home, remote: shared.scope(String(index), owns), clock, trace });
    },
    openEngine: (registry, coordinatorEpoch, unstable) =>
      groupsOf(ports, config, { partitions, registry, unstable, settings, access, coordinatorEpoch }),
    askHeld: async () => (await homes?.held()) ?? null,
  });
  const transactions = new TransactionHomes({
    hubId: config.hub.id,
    partitions,
    groups,
    peers,
    leaderOf,
    clock,
    trace,
    newProducerId: () => newProducerId(random),
    settings: transactionSettings(settings.inForce),
  });
  homes = transactions;
  const close = async (): Promise<void> => {
    await transactions.close();
    await groups.close();
    await shared.close();
  };
  return { groups, transactions, homes, close };
}
