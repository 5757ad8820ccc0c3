// Changes of shared metadata over a Redis whose answers get lost: each one that was asked for is made once.
import { ClusterMemory } from "../../hub/engine/cluster_memory.ts";
import type { Pulse } from "../../hub/engine/pulse.ts";
import { SharedChanges } from "../../hub/engine/shared_changes.ts";
import { openRedisCoordination } from "../../hub/io/redis_coordination.ts";
import { silentTrace } from "../../hub/trace.ts";
import { MemoryFacts } from "../tools/facts.ts";
import { SimNet } from "./full/net.ts";
import { RedisServer } from "./full/redis.ts";
import { World } from "./full/world.ts";

const keys = ["topic/a", "topic/b"];

/** The answer of a script is lost now and then, and not that of its next call. */
function loseAnswers(server: RedisServer, world: World): void {
  const execute = server.execute.bind(server);
  const lost = new Set<string>();
  server.execute = (name, args, script) => {
    const loses = !lost.delete(name) && world.chance() < 0.3;
    if (loses) lost.add(name);
    server.faults.answerLost = loses ? 1 : 0;
    return execute(name, args, script);
  };
}

/** What broke, or null. */
export async function answers(seed: number): Promise<string | null> {
  const world = new World(seed);
  const server = new RedisServer(world, new SimNet(world));
  const machine = world.machine("hub-1", "10.0.0.1");
  machine.running = true;
  const clock = world.clockOf(machine);
  const memory = new ClusterMemory(new MemoryFacts(), { meta() {}, partition() {}, changed() {} });
  const within = <T>(promise: Promise<T>): Promise<T> => world.settle(promise, 60_000);
  const connect = server.opener(machine);
  const opening = openRedisCoordination({ url: "redis://r", clusterName: "c", clock, trace: silentTrace, connect });
  const coordination = await within(opening);
  const { incarnation } = await within(coordination.createCluster("c", "made"));
  await within(coordination.acquireController({ incarnation, opId: "seat" }, 1, 0));
  const hub = { hubId: 1, dirId: "d", bootSeq: 1, host: "h", port: 1, rack: null, version: "0" };
  await within(coordination.registerHub({ incarnation, opId: "hub" }, hub));
  const pollOnce = async (): Promise<boolean> => {
    try {
      await memory.apply(await coordination.poll(memory.seq));
      changes.heard();
      return true;
    } catch {
      return false;
    }
  };
  const pulse = { beatOf: () => undefined } as unknown as Pulse;
  const around = { coordination, memory, pulse, clock, random: world.randomOf(), hubId: 1, poll: () => poll() };
  const changes = new SharedChanges({ ...around, isController: () => true });
  let polling = pollOnce();
  const poll = (): Promise<boolean> => (polling = polling.then(pollOnce));
  const beat = (): void => void clock.after(500, () => void poll().then(beat));
  beat();
  await within(poll());
  loseAnswers(server, world);
  /** What stands in Redis: the version, and the value. */
  const stands = (key: string): [number, string] => {
    const [, version, value] = /^(\d+) [01] \d+ =(.*)$/.exec(server.state.hget("hub:{c}:meta", key) ?? "0 0 0 =")!;
    return [Number(version), value!];
  };
  for (let i = 0; i < 20; i += 1) {
    const key = world.pick(keys);
    const [before] = stands(key);
    const error = await within(changes.change([{ key, value: `v${i}` }]).then(() => null, String));
    const [after, value] = stands(key);
    if (after !== before + 1) return `v${i} was asked for once and made ${after - before} times (${error ?? "done"})`;
    if (value !== `v${i}`) return `v${i} was made, and ${value} stands there`;
    if (error !== null) return `v${i} was made and is reported as failed: ${error}`;
  }
  await coordination.close();
  return null;
}
