// How a hub comes into its cluster: whose number it has, which cluster Redis holds, and what it registers there.
import { HubError } from "../errors.ts";
import type { Coordination, HubEntry, Poll } from "../io/coordination.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { ClusterMemory } from "./cluster_memory.ts";
import { isRemoved, leaveKey } from "./moves.ts";
import type { Pulse } from "./pulse.ts";
import { uuidText } from "./topics.ts";

export interface JoiningOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly pulse: Pulse;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly me: HubEntry;
  readonly hasData: boolean;
  readonly bootstrap: boolean;
  readonly beatMs: Millis;
  /** Polls and applies. */
  readonly poll: () => Promise<boolean>;
  /** Fills an emptied Redis. */
  readonly mend: (poll: Poll) => Promise<void>;
}

/**
 * Finds or makes the cluster and registers; resolves with the cluster's id.
 * @param clusterId of the data folder
 * @throws HubError INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION, COORDINATOR_NOT_AVAILABLE
 */
export async function join(options: JoiningOptions, clusterId: string): Promise<string> {
  const { coordination, memory, hasData, mend, poll } = options;
  const belongs = hasData || memory.seen !== null;
  await listen(options);
  let found = await coordination.poll(0);
  if (found.inc === null && memory.seen !== null) {
    // Emptied while this hub was away: its memory and those of the others fill it again.
    await mend(found);
    found = await coordination.poll(0);
  }
  const inc = found.inc ?? (await create(options, clusterId));
  if (inc.clusterId !== clusterId && belongs) {
    const whose = `this folder belongs to cluster ${clusterId}, Redis to ${inc.clusterId}`;
    const remedy = "give the hub its own Redis or [cluster] name, or start it with an empty data folder";
    throw new HubError("INCONSISTENT_CLUSTER_ID", `${whose}: ${remedy}`);
  }
  await poll();
  await register(options);
  return inc.clusterId;
}

/** Two beats long, while saying that this hub is here: who else uses its number is heard. */
async function listen({ clock, beatMs, me, pulse }: JoiningOptions): Promise<void> {
  for (let i = 0; i < 4; i++) {
    pulse.say();
    await new Promise<void>((resolve) => void clock.after(beatMs / 2, resolve));
  }
  if (pulse.twin === null) return;
  const detail = `another process is hub ${me.hubId} (folder ${pulse.twin}): give this one its own --hub-id`;
  throw new HubError("DUPLICATE_BROKER_REGISTRATION", detail);
}

async function create(options: JoiningOptions, clusterId: string): Promise<NonNullable<Poll["inc"]>> {
  const { bootstrap, coordination, random, hasData, trace, pulse, me } = options;
  const known = pulse.beats().some((beat) => beat.hasData && beat.hubId !== me.hubId);
  if (!bootstrap || (known && !hasData)) {
    const why = bootstrap ? "hubs with data wait for it to be filled" : "cluster.bootstrap is false";
    throw new HubError("COORDINATOR_NOT_AVAILABLE", `Redis holds no cluster, and this hub makes none: ${why}`);
  }
  const inc = await coordination.createCluster(clusterId, uuidText(random.uuid()));
  if (inc.clusterId === clusterId) trace.event("info", "cluster_created", { clusterId });
  return inc;
}

async function register({ coordination, random, me, trace, memory, poll }: JoiningOptions): Promise<void> {
  if (isRemoved(memory.meta.get(leaveKey(me.hubId))?.value, me)) {
    const detail = `hub ${me.hubId} was removed from the cluster; with an empty data folder it may join it again`;
    throw new HubError("DUPLICATE_BROKER_REGISTRATION", detail);
  }
  const before = memory.hubs.get(me.hubId);
  // as many starts as are registered: another copy of the folder was started since; unless that was this very process
  const sinceStarted = memory.asked ? me.bootSeq + 1 : me.bootSeq;
  if (before && before.dirId === me.dirId && before.bootSeq >= sinceStarted) {
    const detail = `hub ${me.hubId}: this folder is an older copy of one that was started since`;
    throw new HubError("DUPLICATE_BROKER_REGISTRATION", `${detail}; start it with an empty folder`);
  }
  if (before && before.dirId !== me.dirId) trace.event("warn", "hub_folder_replaced", { hub: me.hubId });
  const { incarnation } = memory.inc!;
  memory.asked = true;
  const answer = await coordination.registerHub({ incarnation, opId: uuidText(random.uuid()) }, me);
  if (answer !== "stored") throw new HubError("COORDINATOR_NOT_AVAILABLE", `Redis refused to register: ${answer}`);
  await poll();
}
