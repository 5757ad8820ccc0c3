// TypeScript twins of the Lua scripts (hub/io/coordination_scripts.ts, redis_scripts.ts), line by line the same.
import type { RedisState, Text } from "./redis_state.ts";

/** One call of a script: its keys, its arguments as the server sees them, and where hints go. */
export interface TwinCall {
  readonly state: RedisState;
  readonly keys: readonly string[];
  readonly args: readonly Text[];
  readonly publish: (channel: string, text: string) => void;
}

export type Twin = (call: TwinCall) => unknown;

const opsMax = 256;

interface Names {
  readonly inc: string;
  readonly seq: string;
  readonly hubs: string;
  readonly ctl: string;
  readonly meta: string;
  readonly ps: string;
  readonly log: string;
  readonly ops: string;
  readonly opl: string;
  readonly ch: string;
}

function namesOf(keys: readonly string[]): Names {
  const [inc, seq, hubs, ctl, meta, ps, log, ops, opl, ch] = keys as readonly [string, ...string[]];
  return { inc, seq: seq!, hubs: hubs!, ctl: ctl!, meta: meta!, ps: ps!, log: log!, ops: ops!, opl: opl!, ch: ch! };
}

/** What a change works with. */
interface Change {
  readonly state: RedisState;
  readonly names: Names;
  readonly args: readonly string[];
  /** Notes that something changed; answers the seq of this change. */
  readonly changed: (what?: string) => number;
  readonly answer: (text: string) => string;
}

function idempotent(run: (change: Change) => string): Twin {
  return ({ state, keys, args: given, publish }) => {
    const names = namesOf(keys);
    const args = given.map(String);
    const op = args[0]!;
    const answered = state.hget(names.ops, op);
    if (answered !== null) return answered;
    let seq = 0;
    const changed = (what?: string): number => {
      if (seq === 0) seq = state.incr(names.seq);
      if (what !== undefined) state.zadd(names.log, seq, what);
      return seq;
    };
    const answer = (text: string): string => {
      state.hset(names.ops, op, text);
      if (state.rpush(names.opl, op) > opsMax) state.hdel(names.ops, state.lpop(names.opl)!);
      if (seq > 0) publish(names.ch, String(seq));
      return text;
    };
    return run({ state, names, args, changed, answer });
  };
}

function fenced(run: (change: Change) => string): Twin {
  return idempotent((change) => {
    if (change.state.hget(change.names.inc, "incarnation") !== change.args[1]) return "wrong-incarnation";
    return run(change);
  });
}

function controlled(run: (change: Change) => string): Twin {
  return fenced((change) => {
    if (change.state.hget(change.names.ctl, "ctlEpoch") !== change.args[2]) return "stale-controller";
    return run(change);
  });
}

const flat = (state: RedisState, key: string): string[] => state.hgetall(key).flat().map(String);
const allOf = (state: RedisState, key: string): string => JSON.stringify(flat(state, key));
/** cjson encodes an empty table as an object. */
const list = (items: readonly unknown[]): string => (items.length === 0 ? "{}" : JSON.stringify(items));

const pollCluster: Twin = ({ state, keys, args }) => {
  const names = namesOf(keys);
  const out: [string[], string, string[], string[], string[], string[], string, number] = [
    flat(state, names.inc),
    state.get(names.seq) ?? "0",
    flat(state, names.ctl),
    [],
    [],
    [],
    state.llast(names.opl) ?? "",
    state.hget(names.ops, String(args[1])) === null ? 0 : 1,
  ];
  const places: Record<string, [string, 3 | 4 | 5]> = { h: [names.hubs, 3], m: [names.meta, 4], p: [names.ps, 5] };
  for (const what of state.zabove(names.log, Number(args[0]))) {
    const [key, at] = places[what[0]!]!;
    const value = state.hget(key, what.slice(2));
    if (value !== null) out[at].push(what.slice(2), value);
  }
  return out;
};

const createCluster = idempotent(({ state, names, args, changed, answer }) => {
  if (!state.exists(names.inc)) {
    state.hset(names.inc, "clusterId", args[1]!, "incarnation", 1, "runId", args[2]!);
    state.hset(names.inc, "formatVersion", 1, "state", "normal");
    state.hset(names.ctl, "hubId", -1, "ctlEpoch", 0);
    changed();
  }
  return answer(allOf(state, names.inc));
});

const restoreCluster = idempotent(({ state, names, args, changed, answer }) => {
  if (Number(state.hget(names.inc, "incarnation") ?? "0") >= Number(args[2])) return "conflict";
  if ((state.get(names.seq) ?? "0") !== args[7]) return "conflict";
  state.del(names.hubs, names.ctl, names.meta, names.ps, names.log);
  state.set(names.seq, args[4]!);
  state.hset(names.inc, "clusterId", args[1]!, "incarnation", args[2]!, "runId", args[3]!);
  state.hset(names.inc, "formatVersion", 1, "state", "normal");
  state.hset(names.ctl, "hubId", args[5]!, "ctlEpoch", args[6]!);
  const places: Record<string, string> = { h: names.hubs, m: names.meta, p: names.ps };
  for (let i = 8; i < args.length; i += 3) {
    state.hset(places[args[i]!]!, args[i + 1]!, args[i + 2]!);
    changed(`${args[i]}:${args[i + 1]}`);
  }
  return answer(allOf(state, names.inc));
});

const raiseIncarnation = idempotent(({ state, names, args, changed, answer }) => {
  const { inc, ctl } = names;
  if (state.hget(inc, "incarnation") !== args[1] || state.hget(ctl, "ctlEpoch") !== args[2]) return "conflict";
  state.hset(inc, "incarnation", Number(args[1]) + 1);
  state.hset(inc, "runId", args[3]!);
  changed();
  return answer(allOf(state, inc));
});

const acquireController = fenced(({ state, names, args, changed, answer }) => {
  const epoch = state.hget(names.ctl, "ctlEpoch") ?? "0";
  if (epoch === args[3]) {
    state.hset(names.ctl, "hubId", args[2]!, "ctlEpoch", Number(epoch) + 1);
    changed();
  }
  return answer(allOf(state, names.ctl));
});

const registerHub = fenced(({ state, names, args, changed, answer }) => {
  state.hset(names.hubs, args[2]!, args[3]!);
  changed(`h:${args[2]}`);
  return answer("stored");
});

const removeHub = controlled(({ state, names, args, changed, answer }) => {
  state.hset(names.hubs, args[3]!, "");
  changed(`h:${args[3]}`);
  return answer("stored");
});

const putMeta = controlled(({ state, names, args, changed, answer }) => {
  const versions: number[] = [];
  for (let i = 3; i < args.length; i += 3) {
    const version = /^(\d+) /.exec(state.hget(names.meta, args[i]!) ?? "0 ")?.[1] ?? "0";
    if (version !== args[i + 1]) return "conflict";
    versions.push(Number(version) + 1);
  }
  let seq = 0;
  for (let i = 3; i < args.length; i += 3) {
    seq = changed(`m:${args[i]}`);
    state.hset(names.meta, args[i]!, `${versions[(i - 3) / 3]} 0 ${seq} ${args[i + 2]}`);
  }
  return answer(JSON.stringify([seq, versions.length === 0 ? {} : versions]));
});

const commitMeta = controlled(({ state, names, args, changed, answer }) => {
  for (let i = 3; i < args.length; i += 2) {
    const entry = /^(\d+) 0 \d+ (.*)$/s.exec(state.hget(names.meta, args[i]!) ?? "");
    if (entry === null || entry[1] !== args[i + 1]) continue;
    const at = changed(`m:${args[i]}`);
    state.hset(names.meta, args[i]!, `${entry[1]} 1 ${at} ${entry[2]}`);
  }
  return answer("stored");
});

const putPartitions = fenced(({ state, names, args, changed, answer }) => {
  const out: (string | number)[] = [];
  for (let i = 3; i < args.length; i += 5) {
    let entry = state.hget(names.ps, args[i]!);
    const [, ver, epoch] = /^(\d+) (-?\d+) /.exec(entry ?? "0 -1 ")!.map(Number);
    let newVer = Number(args[i + 1]);
    const newEpoch = Number(args[i + 2]);
    let stores: boolean;
    if (args[2] === "cas") {
      stores = newVer === ver && newEpoch >= epoch!;
      newVer = ver! + 1;
    } else stores = newEpoch > epoch! || (newEpoch === epoch && newVer > ver!);
    if (stores) {
      const at = changed(`p:${args[i]}`);
      entry = `${newVer} ${newEpoch} ${at} ${args[i + 3]}`;
      state.hset(names.ps, args[i]!, entry);
    }
    out.push(stores ? 1 : 0, entry ?? "");
  }
  return answer(list(out));
});

const newer = (e: number, s: number, e0: number, s0: number): boolean => e > e0 || (e === e0 && s > s0);
const num = (value: string | null): number => Number(value ?? "-1");

function place(value: string | null): [number, number] {
  const [, e, s] = /^(\d+) (\d+) /.exec(value ?? "") ?? [];
  return e === undefined ? [-1, -1] : [Number(e), Number(s)];
}

function raise(state: RedisState, m: string, e: number): void {
  if (e > num(state.hget(m, "e"))) state.hset(m, "e", e);
}

function put(state: RedisState, o: string, field: string, value: string): void {
  if (newer(...place(value), ...place(state.hget(o, field)))) state.hset(o, field, value);
}

function purge(state: RedisState, m: string, o: string, e: number, s: number): void {
  for (const [field, value] of state.hgetall(o)) if (!newer(...place(String(value)), e, s)) state.hdel(o, field);
  const [re, rs] = [state.hget(m, "re"), state.hget(m, "rs")];
  if (re !== null && !newer(num(re), num(rs), e, s)) state.hdel(m, "re", "rs", "g", "r");
}

function trim(state: RedisState, o: string, max: number): void {
  if (state.hlen(o) <= max) return;
  const gone = state.hgetall(o).filter(([, value]) => /^\d+ \d+ $/.test(String(value)));
  const placed = gone.map(([field, value]) => ({ field, at: place(String(value)) }));
  placed.sort((a, b) => a.at[0] - b.at[0] || a.at[1] - b.at[1]);
  for (let i = 0; i < placed.length - max; i += 1) state.hdel(o, placed[i]!.field);
}

const commitOffsets: Twin = ({ state, keys, args: given }) => {
  const [m, o] = [keys[0]!, keys[1]!];
  const args = given.map(String);
  const [e, s, g] = [Number(args[1]), Number(args[2]), Number(args[3])];
  if (e < num(state.hget(m, "e"))) return "stale-coordinator";
  if (!newer(e, s, num(state.hget(m, "de")), num(state.hget(m, "ds")))) return "stale-generation";
  const stored = state.hget(m, "g");
  if (g !== -1 && (stored === null || Number(stored) !== g)) return "stale-generation";
  state.hsetnx(m, "id", args[0]!);
  raise(state, m, e);
  let deletes = false;
  for (let i = 5; i < args.length; i += 2) {
    put(state, o, args[i]!, `${args[1]} ${args[2]} ${args[i + 1]}`);
    deletes ||= args[i + 1] === "";
  }
  if (deletes) trim(state, o, Number(args[4]));
  return "stored";
};

const storeGroup: Twin = ({ state, keys, args }) => {
  const m = keys[0]!;
  const [e, s, g] = [Number(args[1]), Number(args[2]), Number(args[3])];
  if (e < num(state.hget(m, "e"))) return "stale-coordinator";
  if (!newer(e, s, num(state.hget(m, "de")), num(state.hget(m, "ds")))) return "stale-generation";
  const re = state.hget(m, "re");
  if (!newer(e, s, num(re), num(state.hget(m, "rs")))) return "stored";
  if (re !== null && e === num(re) && g < num(state.hget(m, "g"))) return "stale-generation";
  state.hset(m, "id", args[0]!, "re", args[1]!, "rs", args[2]!, "g", args[3]!, "r", args[4]!);
  raise(state, m, e);
  return "stored";
};

const deleteGroup: Twin = ({ state, keys, args }) => {
  const [m, o] = [keys[0]!, keys[1]!];
  const [e, s] = [Number(args[1]), Number(args[2])];
  if (e < num(state.hget(m, "e"))) return "stale-coordinator";
  if (!newer(e, s, num(state.hget(m, "de")), num(state.hget(m, "ds")))) return "stored";
  state.hset(m, "id", args[0]!, "de", args[1]!, "ds", args[2]!);
  raise(state, m, e);
  purge(state, m, o, e, s);
  return "stored";
};

const mergeGroup: Twin = ({ state, keys, args: given }) => {
  const [m, o] = [keys[0]!, keys[1]!];
  const args = given.map(String);
  state.hsetnx(m, "id", args[0]!);
  raise(state, m, Number(args[1]));
  let [de, ds] = [num(state.hget(m, "de")), num(state.hget(m, "ds"))];
  if (args[2] !== "" && newer(Number(args[2]), Number(args[3]), de, ds)) {
    [de, ds] = [Number(args[2]), Number(args[3])];
    state.hset(m, "de", args[2]!, "ds", args[3]!);
    purge(state, m, o, de, ds);
  }
  if (args[4] !== "") {
    const [e, s] = [Number(args[4]), Number(args[5])];
    if (newer(e, s, de, ds) && newer(e, s, num(state.hget(m, "re")), num(state.hget(m, "rs")))) {
      state.hset(m, "re", args[4]!, "rs", args[5]!, "g", args[6]!, "r", given[7]!);
    }
  }
  for (let i = 9; i < args.length; i += 2) {
    if (newer(...place(args[i + 1]!), de, ds)) put(state, o, args[i]!, args[i + 1]!);
  }
  trim(state, o, Number(args[8]));
  return "stored";
};

const forgetGroup: Twin = ({ state, keys, args }) => {
  const [m, o] = [keys[0]!, keys[1]!];
  const [de, ds] = [state.hget(m, "de"), state.hget(m, "ds")];
  if (state.hget(m, "re") !== null || de === null || state.hlen(o) > 0) return 0;
  if (newer(num(de), num(ds), Number(args[0]), Number(args[1]))) return 0;
  state.del(m);
  return 1;
};

const beginEpoch: Twin = ({ state, keys, args }) => {
  const epoch = Math.max(Number(args[0]), num(state.hget(keys[0]!, "epoch")) + 1);
  state.hset(keys[0]!, "epoch", epoch);
  return epoch;
};

const probe: Twin = ({ state, keys, args }) => {
  const field = String(args[2]);
  const mark = state.hget(keys[0]!, field);
  const there = args[0] === "" || mark === String(args[0]);
  if (mark !== String(args[1])) state.hset(keys[0]!, field, String(args[1]));
  return there ? 1 : 0;
};

/** By the names of the scripts. */
export const twins: Readonly<Record<string, Twin>> = {
  pollCluster,
  createCluster,
  restoreCluster,
  raiseIncarnation,
  acquireController,
  registerHub,
  removeHub,
  putMeta,
  commitMeta,
  putPartitions,
  commitOffsets,
  storeGroup,
  deleteGroup,
  mergeGroup,
  forgetGroup,
  beginEpoch,
  probe,
};
