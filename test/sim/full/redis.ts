// A simulated Redis server, and the face of the Redis library over it: what hub/io/redis*.ts use, no more.
import type { newRedis, Redis } from "../../../hub/io/redis_connection.ts";
import type { RedisScript } from "../../../hub/io/redis_scripts.ts";
import { limits } from "../../../hub/limits.ts";
import { RedisState, type Text } from "./redis_state.ts";
import { twins } from "./redis_twins.ts";
import type { Timer } from "../../../hub/io/ports.ts";
import type { Machine, World } from "./world.ts";
import type { SimNet } from "./net.ts";

export const redisHost = "10.0.0.200";

/** The evils, each with a number. */
export interface RedisFaults {
  /** Nothing listens. */
  down: boolean;
  /** Commands wait until then, unanswered. */
  hungUntil: number;
  /** Milliseconds added to each command. */
  slowMs: number;
  /** Chance that a command is carried out and its answer lost. */
  answerLost: number;
  /** Every change is refused with this text: READONLY ..., OOM ... */
  refuses: string | null;
}

export class RedisServer {
  state = new RedisState();
  runId = "run-1";
  readonly faults: RedisFaults = { down: false, hungUntil: 0, slowMs: 0, answerLost: 0, refuses: null };
  readonly world: World;
  readonly net: SimNet;
  readonly chance: () => number;
  readonly clients = new Set<SimRedis>();
  #runs = 1;
  /** Earlier states that a rollback may bring back. */
  readonly #kept: RedisState[] = [];

  constructor(world: World, net: SimNet) {
    this.world = world;
    this.net = net;
    this.chance = world.fork();
  }

  /** Remembers how it is now. */
  keep(): void {
    this.#kept.push(this.state.copy());
    if (this.#kept.length > 8) this.#kept.shift();
  }

  /** Goes back to an earlier state, or to nothing; `restarts`: as another process. */
  rollBack(to: "empty" | "earlier", restarts: boolean): void {
    const earlier = this.#kept[Math.floor(this.chance() * this.#kept.length)];
    this.state = to === "empty" ? new RedisState() : (earlier ?? new RedisState()).copy();
    if (restarts) this.restart();
  }

  restart(): void {
    this.#runs += 1;
    this.runId = `run-${this.#runs}`;
    for (const client of [...this.clients]) client.lost();
  }

  stop(): void {
    this.faults.down = true;
    for (const client of [...this.clients]) client.lost();
  }

  /** The process of a machine ended; its connections went with it. */
  gone(machine: Machine): void {
    for (const client of [...this.clients]) if (client.isOf(machine)) this.clients.delete(client);
  }

  publish(channel: string, text: string): void {
    for (const client of this.clients) client.tell(channel, text);
  }

  /** Carries one command out. */
  execute(name: string, args: readonly Text[], script: RedisScript | undefined): unknown {
    const { state, faults } = this;
    const reads = ["info", "hgetall", "hgetallBuffer", "sscan", "publish", "pollCluster"].includes(name);
    if (faults.refuses !== null && !reads) throw new Error(faults.refuses);
    if (script !== undefined) {
      const keys = args.slice(0, script.numberOfKeys).map(String);
      const call = { state, keys, args: args.slice(script.numberOfKeys) };
      return twins[name]!({ ...call, publish: (channel, text) => this.publish(channel, text) });
    }
    const key = String(args[0]);
    switch (name) {
      case "info":
        return this.#info();
      case "publish":
        return this.publish(key, String(args[1]));
      case "sadd":
        return state.sadd(key, String(args[1]));
      case "srem":
        return state.srem(key, String(args[1]));
      case "sscan":
        return ["0", [...(state.sets.get(key) ?? [])]];
      case "hgetall":
        return Object.fromEntries(state.hgetall(key).map(([field, value]) => [field, String(value)]));
      case "hgetallBuffer":
        return Object.fromEntries(state.hgetall(key).map(([field, value]) => [field, Buffer.from(value as string)]));
      default:
        throw new Error(`ERR unknown command '${name}'`);
    }
  }

  #info(): string {
    const role = this.faults.refuses?.startsWith("READONLY") ? "slave" : "master";
    const lines = [`run_id:${this.runId}`, "redis_version:7", `role:${role}`, "maxmemory_policy:noeviction"];
    return [...lines, "aof_enabled:1"].join("\r\n");
  }

  /** What the hubs of a machine open in place of the library. */
  opener(machine: Machine): typeof newRedis {
    return (_url, scripts = {}) => new SimRedis(this, machine, scripts).asRedis();
  }
}

interface Pending {
  readonly reject: (error: Error) => void;
}

/** One connection that goes on connecting until it is closed. */
class SimRedis {
  status: "wait" | "connecting" | "ready" | "reconnecting" | "end" = "wait";
  readonly #server: RedisServer;
  readonly #machine: Machine;
  readonly #life: number;
  readonly #scripts: Readonly<Record<string, RedisScript>>;
  readonly #listeners = new Map<string, ((...args: never[]) => void)[]>();
  readonly #channels = new Set<string>();
  readonly #pending = new Set<Pending>();
  /** Raised with each connection: answers of an earlier one are nobody's. */
  #connection = 0;
  #attempts = 0;
  #sendAt = 0;
  #answerAt = 0;

  constructor(server: RedisServer, machine: Machine, scripts: Readonly<Record<string, RedisScript>>) {
    this.#server = server;
    this.#machine = machine;
    this.#life = machine.life;
    this.#scripts = scripts;
  }

  isOf(machine: Machine): boolean {
    return this.#machine === machine;
  }

  /** The library's face: one method a command and a script. */
  asRedis(): Redis {
    const self = this;
    const commands = ["info", "publish", "sadd", "srem", "sscan", "hgetall", "hgetallBuffer"];
    const face: Record<string, unknown> = {
      get status() {
        return self.status;
      },
      on: (event: string, listener: (...args: never[]) => void) => this.#on(event, listener),
      connect: () => this.#connect(),
      disconnect: (again = false) => this.#disconnect(again),
      subscribe: (...channels: readonly string[]) => this.#subscribe(channels),
    };
    for (const name of [...commands, ...Object.keys(this.#scripts)]) {
      face[name] = (...args: readonly (Text | number)[]) => this.#command(name, args);
    }
    return face as unknown as Redis;
  }

  #on(event: string, listener: (...args: never[]) => void): void {
    const known = this.#listeners.get(event) ?? [];
    known.push(listener);
    this.#listeners.set(event, known);
  }

  #emit(event: string, ...args: readonly unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (...args: unknown[]) => void)(...args);
  }

  /** In the process that opened this connection, while it runs. */
  #at(delayMs: number, call: () => void): Timer {
    return this.#server.world.at(this.#machine, delayMs, call, this.#life);
  }

  #there(): number {
    return this.#server.net.delay(this.#machine.host, redisHost);
  }

  #back(): number {
    return this.#server.net.delay(redisHost, this.#machine.host);
  }

  #cut(): boolean {
    const { net } = this.#server;
    return net.link(this.#machine.host, redisHost).cut || net.link(redisHost, this.#machine.host).cut;
  }

  #connect(): Promise<void> {
    const { world, faults } = this.#server;
    this.status = "connecting";
    const connection = ++this.#connection;
    const waitMs = this.#cut() ? limits.redisReconnectMsMax : this.#there() + this.#back();
    return new Promise((resolve, reject) => {
      this.#at(waitMs, () => {
        if (this.#connection !== connection || this.status !== "connecting") return reject(new Error("closed"));
        if (faults.down || this.#cut()) {
          const error = new Error(faults.down ? "connect ECONNREFUSED" : "connect ETIMEDOUT");
          reject(error);
          this.#emit("error", error);
          this.#emit("close");
          return this.#again();
        }
        this.status = "ready";
        this.#attempts = 0;
        this.#sendAt = this.#answerAt = world.now;
        this.#channels.clear();
        this.#server.clients.add(this);
        resolve();
        this.#emit("ready");
      });
    });
  }

  #again(): void {
    if (this.status === "end") return;
    this.status = "reconnecting";
    this.#attempts += 1;
    const delay = Math.min(50 * 2 ** Math.min(this.#attempts, 10), limits.redisReconnectMsMax);
    this.#at(delay, () => {
      if (this.status === "reconnecting") this.#connect().catch(() => {});
    });
  }

  #disconnect(again: boolean): void {
    if (this.status === "end") return;
    const before = this.status;
    this.#leave(new Error("Connection is closed."));
    this.status = again ? "reconnecting" : "end";
    if (before === "ready") this.#at(0, () => this.#emit("close"));
    if (again) this.#again();
  }

  /** The server is gone, or another. */
  lost(): void {
    this.#server.clients.delete(this);
    const connection = this.#connection;
    this.#at(this.#back(), () => {
      if (this.#connection !== connection || this.status !== "ready") return;
      this.#leave(new Error("Connection is closed."));
      this.status = "reconnecting";
      this.#emit("close");
      this.#again();
    });
  }

  #leave(error: Error): void {
    this.#server.clients.delete(this);
    this.#connection += 1;
    for (const { reject } of [...this.#pending]) reject(error);
    this.#pending.clear();
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.#channels.add(channel);
  }

  /** A message on a channel that this connection may listen to; a cut link loses it. */
  tell(channel: string, text: string): void {
    const { world } = this.#server;
    if (!this.#channels.has(channel) || this.#cut()) return;
    const connection = this.#connection;
    this.#answerAt = Math.max(this.#answerAt, world.now + this.#back());
    this.#at(this.#answerAt - world.now, () => {
      if (this.#connection === connection) this.#emit("message", channel, text);
    });
  }

  #command(name: string, given: readonly (Text | number)[]): Promise<unknown> {
    const { world, faults, chance } = this.#server;
    if (this.status !== "ready" || this.#machine.life !== this.#life)
      return Promise.reject(new Error("Stream isn't writeable"));
    const args = given.map((one) => (typeof one === "number" ? String(one) : one));
    return new Promise((resolve, reject) => {
      const pending: Pending = { reject: (error) => settle(() => reject(error)) };
      this.#pending.add(pending);
      const late = this.#at(limits.redisCommandMsMax / this.#machine.rate, () => {
        pending.reject(new Error("Command timed out"));
      });
      const settle = (call: () => void): void => {
        if (!this.#pending.delete(pending)) return;
        late.cancel();
        call();
      };
      if (this.#cut()) return; // never arrives: the library gives up after its time
      const arrives = world.now + this.#there() + faults.slowMs * chance();
      this.#sendAt = Math.max(this.#sendAt, arrives, faults.hungUntil);
      const connection = this.#connection;
      world.time.after(this.#sendAt - world.now, () => {
        if (this.#connection !== connection || faults.down) return;
        this.#carryOut(name, args, (call) => settle(call), resolve, reject);
      });
    });
  }

  #carryOut(
    name: string,
    args: readonly Text[],
    settle: (call: () => void) => void,
    resolve: (value: unknown) => void,
    reject: (error: Error) => void,
  ): void {
    const { world, faults, chance } = this.#server;
    let answer: () => void;
    try {
      const value = this.#server.execute(name, args, this.#scripts[name]);
      answer = () => resolve(value);
    } catch (error) {
      answer = () => {
        reject(error as Error);
        if ((error as Error).message.startsWith("READONLY")) this.#disconnect(true);
      };
    }
    if (faults.answerLost > 0 && chance() < faults.answerLost) return;
    if (this.#cut()) return;
    this.#answerAt = Math.max(this.#answerAt, world.now + this.#back());
    const connection = this.#connection;
    this.#at(this.#answerAt - world.now, () => {
      if (this.#connection === connection) settle(answer);
    });
  }
}
