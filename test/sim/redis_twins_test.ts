// The twins of the Lua scripts against a real Redis: random calls, answer by answer and key by key the same.
import assert from "node:assert/strict";
import test from "node:test";
import * as coordination from "../../hub/io/coordination_scripts.ts";
import { newRedis, type RedisClient } from "../../hub/io/redis_connection.ts";
import * as groups from "../../hub/io/redis_scripts.ts";
import type { RedisScript } from "../../hub/io/redis_scripts.ts";
import { startRedis } from "../tools/redis.ts";
import { seeded } from "./clock.ts";
import { RedisState } from "./full/redis_state.ts";
import { twins } from "./full/redis_twins.ts";

const calls = Number(process.env["CALLS"] ?? (process.env["SEEDS"] === undefined ? 6000 : 1000));
const { coordinationKeys, ...coordinationLua } = coordination;
const scripts: Record<string, RedisScript> = { ...coordinationLua, ...groups };

const coordinationNames = coordinationKeys.map((key) => `hub:{t}:${key}`);
const seqKey = "hub:{t}:seq";
const groupKeys = (group: string): string[] => [`hub:{t:g:${group}}:m`, `hub:{t:g:${group}}:o`];
const markKey = "hub:{t:groups}:mark";

type Argument = string | number | Buffer;
interface Call {
  readonly name: string;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

class Calls {
  readonly #chance: () => number;
  readonly #state: RedisState;
  #op = 0;

  /** @param state what is called upon: now and then a call needs to fit it */
  constructor(seed: number, state: RedisState) {
    this.#chance = seeded(seed);
    this.#state = state;
  }

  #int(max: number): number {
    return Math.floor(this.#chance() * max);
  }

  #times<T>(count: number, make: () => T[]): T[] {
    return Array.from({ length: count }, make).flat();
  }

  #text(): string {
    return ["", "a", "x y", 'q"\\/', "line\nbreak", "é€", "5", "-"][this.#int(8)]!;
  }

  /** Mostly a new one; sometimes one that was used before. */
  #opId(): string {
    if (this.#int(12) === 0) return `op${Math.max(0, this.#op - this.#int(300))}`;
    this.#op += 1;
    return `op${this.#op}`;
  }

  next(): Call {
    const names = Object.keys(scripts);
    const rare = ["restoreCluster", "raiseIncarnation"];
    let name = names[this.#int(names.length)]!;
    if (rare.includes(name) && this.#int(20) > 0) name = "putPartitions";
    return name in coordinationLua ? this.#coordination(name) : this.#group(name);
  }

  #coordination(name: string): Call {
    const head: Argument[] = [this.#opId(), 1 + this.#int(4)];
    const ctl = this.#int(6);
    const key = (): string => `topic/${this.#int(6)}`;
    const field = (): string => `id${this.#int(3)}/${this.#int(4)}`;
    const value = (): string => (this.#int(4) === 0 ? "-" : `=${this.#text()}`);
    const args: Record<string, () => Argument[]> = {
      pollCluster: () => [
        this.#int(3) === 0 ? -1 : this.#int(400),
        this.#int(4) === 0 ? "" : `op${this.#op - this.#int(400)}`,
      ],
      createCluster: () => [head[0]!, `cluster${this.#int(3)}`, "run"],
      restoreCluster: () => {
        const rows = this.#times(this.#int(4), () => ["m", key(), `${this.#int(9)} 1 ${this.#int(50)} ${value()}`]);
        const states = this.#times(this.#int(3), () => [
          "p",
          field(),
          `${this.#int(9)} ${this.#int(70)} 3 ${this.#text()}`,
        ]);
        const seq = this.#int(4) === 0 ? this.#int(9) : (this.#state.get(seqKey) ?? "0");
        const image = [this.#int(5), "run2", this.#int(100), 1, ctl, seq];
        return [head[0]!, "cluster9", ...image, "h", 1, "{}", ...rows, ...states];
      },
      raiseIncarnation: () => [...head, ctl, "run3"],
      acquireController: () => [...head, this.#int(4), ctl],
      registerHub: () => [...head, this.#int(4), JSON.stringify({ host: this.#text() })],
      removeHub: () => [...head, ctl, this.#int(4)],
      putMeta: () => [...head, ctl, ...this.#times(1 + this.#int(3), () => [key(), this.#int(4), value()])],
      commitMeta: () => [...head, ctl, ...this.#times(1 + this.#int(3), () => [key(), this.#int(4)])],
      putPartitions: () => {
        const rows = this.#times(this.#int(4), () => [field(), this.#int(5), this.#int(5), this.#text(), ""]);
        return [...head, this.#int(3) === 0 ? "assert" : "cas", ...rows];
      },
    };
    return { name, keys: coordinationNames, args: args[name]!() };
  }

  #group(name: string): Call {
    const group = `g${this.#int(3)}`;
    const head = [this.#int(4), this.#int(12)];
    const field = (): string => `id/${this.#int(6)}`;
    const record = (): Argument => Buffer.from([this.#int(256), 0, 255, this.#int(256)]);
    const args: Record<string, () => Argument[]> = {
      // one deletion a call: of several at one place any may be forgotten first
      commitOffsets: () => {
        const fields =
          this.#int(3) === 0 ? [field(), ""] : this.#times(this.#int(3), () => [field(), `[${this.#int(9)}]`]);
        return [group, ...head, this.#int(4) - 1, 2, ...fields];
      },
      storeGroup: () => [group, ...head, this.#int(4), record()],
      deleteGroup: () => [group, ...head],
      mergeGroup: () => {
        const deleted = this.#int(3) === 0 ? [this.#int(4), this.#int(12)] : ["", ""];
        const stored = this.#int(2) === 0 ? [this.#int(4), this.#int(12), this.#int(4), record()] : ["", "", "", ""];
        const fields = this.#times(this.#int(3), () => [field(), `${this.#int(4)} ${this.#int(12)} [${this.#int(9)}]`]);
        return [group, this.#int(4), ...deleted, ...stored, 1000, ...fields];
      },
      forgetGroup: () => head,
      beginEpoch: () => [this.#int(9)],
      probe: () => [this.#int(3) === 0 ? "" : `${this.#int(3)} 1`, `${this.#int(3)} 1`, `mark${this.#int(2)}`],
    };
    const keys = name === "beginEpoch" || name === "probe" ? [markKey] : groupKeys(group);
    return { name, keys, args: args[name]!() };
  }
}

/** Answers that are JSON are compared as what they say: cjson writes a slash in another way. */
function plain(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map((one) => (Array.isArray(one) ? one.map(String) : String(one)));
  const text = String(answer);
  return /^[[{]/.test(text) ? JSON.parse(text) : text;
}

async function dumpOf(redis: RedisClient): Promise<Record<string, unknown>> {
  const dump: Record<string, unknown> = {};
  for (const key of (await redis.keys("*")).sort()) {
    const type = await redis.type(key);
    if (type === "hash") {
      const hash = await redis.hgetallBuffer(key);
      dump[key] = Object.fromEntries(Object.entries(hash).map(([field, value]) => [field, comparable(key, value)]));
    } else if (type === "string") dump[key] = await redis.get(key);
    else if (type === "list") dump[key] = await redis.lrange(key, 0, -1);
    else if (type === "zset") dump[key] = await redis.zrange(key, "0", "-1", "WITHSCORES");
  }
  return dump;
}

/** What an op was answered is JSON too. */
function comparable(key: string, value: string | Buffer): unknown {
  const text = Buffer.from(value as string).toString("latin1");
  return key.endsWith(":ops") ? plain(Buffer.from(text, "latin1").toString()) : text;
}

function dumpOfTwin(state: RedisState): Record<string, unknown> {
  const dump: Record<string, unknown> = {};
  const keys = [state.hashes, state.texts, state.lists, state.sorted].flatMap((kind) => [...kind.keys()]);
  for (const key of keys.sort()) {
    const hash = state.hashes.get(key);
    if (hash) dump[key] = Object.fromEntries([...hash].map(([field, value]) => [field, comparable(key, value)]));
    else if (state.texts.has(key)) dump[key] = state.get(key);
    else if (state.lists.has(key)) dump[key] = state.lists.get(key);
    else {
      const scores = state.sorted.get(key)!;
      dump[key] = state.zabove(key, Number.NEGATIVE_INFINITY).flatMap((one) => [one, String(scores.get(one))]);
    }
  }
  return dump;
}

test(`${calls} random calls: the twins answer as Redis does, and hold the same keys`, async () => {
  const server = await startRedis();
  const redis = newRedis(server.url, scripts);
  try {
    await redis.connect();
    const perRound = 500;
    for (let round = 1; round * perRound <= calls; round += 1) {
      await redis.flushall();
      const state = new RedisState();
      const source = new Calls(round, state);
      for (let i = 0; i < perRound; i += 1) {
        const { name, keys, args } = source.next();
        const commands = redis as unknown as Record<string, (...args: readonly Argument[]) => Promise<unknown>>;
        const real = await commands[name]!(...keys, ...args);
        const given = args.map((one) => (typeof one === "number" ? String(one) : one));
        const twin = twins[name]!({ state, keys, args: given, publish: () => {} });
        assert.deepEqual(plain(twin), plain(real), `round ${round}, call ${i}: ${name} ${JSON.stringify(args)}`);
      }
      assert.deepEqual(dumpOfTwin(state), await dumpOf(redis), `round ${round}`);
    }
  } finally {
    redis.disconnect();
    await server.remove();
  }
});

test("every script has its twin, and no twin is without a script", () => {
  assert.deepEqual(Object.keys(twins).sort(), Object.keys(scripts).sort());
});
