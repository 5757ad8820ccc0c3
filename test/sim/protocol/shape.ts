// What a seed's world is like: how many hubs, which set, which evils, and how often each thing happens.
import { seeded } from "../clock.ts";

/** What may happen in a step; the weights say how often. */
export const actions = [
  "deliver",
  "fetch",
  "journal",
  "logSync",
  "trip",
  "append",
  "publish",
  "poll",
  "elect",
  "control",
  "read",
  "cut",
  "tick",
  "lose",
  "crash",
  "restart",
  "reconfigure",
  "link",
  "redis",
  "retire",
  "swapDisk",
] as const;

export type Action = (typeof actions)[number];

export interface Shape {
  readonly hubs: number;
  readonly members: number;
  readonly m: number;
  /** The set changes. */
  readonly changes: boolean;
  /** `log.fsync`: under `always` what is durable is on the platter; else a power cut may take it. */
  readonly always: boolean;
  readonly redisFaults: boolean;
  readonly logMax: number;
  readonly steps: number;
  /** Chance that a journal write is synced within the step that made it. */
  readonly fastJournal: number;
  readonly fastLog: number;
  /** Chance that a crash is a power cut, and not a kill. */
  readonly powerCut: number;
  /** Chance that a hub that stopped is back at once. */
  readonly bounce: number;
  /** Chance that a hub stops right after it voted. */
  readonly voteCrash: number;
  /** Chance that an election is asked for as a roll call, needed or not. */
  readonly rollCalls: number;
  readonly drop: number;
  readonly duplicate: number;
  /** Upper bounds of a throw of 0..1, by action number. */
  readonly bounds: Float64Array;
}

type Weights = Record<Action, number>;

const usual: Weights = {
  deliver: 30,
  fetch: 10,
  journal: 9,
  logSync: 7,
  trip: 14,
  append: 6,
  publish: 3,
  poll: 6,
  elect: 2.4,
  control: 1.2,
  read: 2,
  cut: 2.5,
  tick: 2.5,
  lose: 2,
  crash: 1.5,
  restart: 3,
  reconfigure: 0,
  link: 1,
  redis: 0.6,
  retire: 0,
  swapDisk: 0,
};

function boundsOf(weights: Weights): Float64Array {
  const bounds = new Float64Array(actions.length);
  let sum = 0;
  for (const action of actions) sum += weights[action];
  let reached = 0;
  actions.forEach((action, i) => {
    reached += weights[action] / sum;
    bounds[i] = reached;
  });
  bounds[actions.length - 1] = 1;
  return bounds;
}

/** Hubs, members and m, and whether the set changes; each with its share of the seeds. */
const sets: readonly (readonly [share: number, hubs: number, members: number, m: number, changes: boolean])[] = [
  [28, 3, 3, 2, false],
  [3, 2, 2, 1, false],
  [3, 3, 3, 1, false],
  [14, 2, 2, 2, false],
  [6, 5, 5, 3, false],
  [2, 1, 1, 1, false],
  [2, 3, 3, 3, false],
  [3, 4, 4, 3, false],
  [18, 4, 3, 2, true],
  [10, 5, 3, 2, true],
  [4, 3, 2, 2, true],
  [4, 3, 1, 1, true],
  [3, 3, 3, 1, true],
];

export function shapeOf(seed: number): Shape {
  const chance = seeded(seed ^ 0x5bd1_e995);
  let at = chance() * 100;
  const set = sets.find(([share]) => (at -= share) < 0) ?? sets[0]!;
  const [, hubs, members, m, changes] = set;
  const weights = { ...usual };
  const vary = (action: Action, low: number, high: number): void => {
    weights[action] *= low + chance() * (high - low);
  };
  vary("append", 0.4, 1.5);
  vary("elect", 0.3, 2);
  vary("crash", 0, 3);
  vary("journal", 0.5, 1.2);
  vary("logSync", 0.5, 1.2);
  vary("lose", 0, 2);
  vary("poll", 0.5, 1.5);
  vary("link", 0, 2);
  const swaps = changes && chance() < 0.4;
  if (changes) {
    weights.reconfigure = 4 + chance() * 6;
    weights.retire = 1;
    weights.trip *= 1.5;
    weights.elect *= 0.3 + chance() * 0.7;
    weights.crash *= 0.3 + chance() * 0.7;
  }
  if (swaps) weights.swapDisk = 0.4;
  const redisFaults = chance() < 0.7;
  // with m = 1 all rests on Redis: mostly it keeps its word, while hubs may see what was replaced since
  if (!redisFaults || (m === 1 && members > 1 && chance() < 0.7)) weights.redis = 0;
  return {
    hubs,
    members,
    m,
    changes,
    always: chance() < 0.5,
    redisFaults,
    logMax: 6 + Math.floor(chance() * 8),
    steps: 800,
    fastJournal: chance() < 0.7 ? 0.3 + chance() * 0.6 : 0.05,
    fastLog: chance() < 0.7 ? 0.5 + chance() * 0.4 : 0.1,
    powerCut: chance(),
    bounce: chance() < 0.5 ? 0.2 : 0.8,
    voteCrash: chance() < 0.4 ? 0.2 : 0,
    rollCalls: chance() < 0.3 ? 0.3 : 0.02,
    drop: chance() * 0.15,
    duplicate: chance() * 0.08,
    bounds: boundsOf(weights),
  };
}
