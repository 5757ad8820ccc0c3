// Seeded signals and faults for tests and load: the same seed gives the same values. Pure.

/** A number source in [0, 1) with 32 bits of state (mulberry32): small, fast, good enough for noise. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A daily wave with noise: `mean + amplitude * sin(2 pi step / period) + noise`. */
export interface SignalShape {
  readonly mean: number;
  readonly amplitude: number;
  /** Steps of one wave, > 0. */
  readonly period: number;
  /** Half width of the uniform noise. */
  readonly noise: number;
}

/** `stuck` repeats the last value, `spike` adds for one step, `drift` grows each step, `silent` gives no value. */
export type Fault =
  | { readonly kind: "stuck"; readonly from: number; readonly steps: number }
  | { readonly kind: "spike"; readonly from: number; readonly by: number }
  | { readonly kind: "drift"; readonly from: number; readonly steps: number; readonly by: number }
  | { readonly kind: "silent"; readonly from: number; readonly steps: number };

/** Value of each step in turn; null where a `silent` fault holds. */
export function* signal(seed: number, shape: SignalShape, faults: readonly Fault[] = []): Generator<number | null> {
  if (!(shape.period > 0)) throw new RangeError(`signal period ${shape.period} is not > 0`);
  const random = seededRandom(seed);
  let last = shape.mean;
  for (let step = 0; ; step++) {
    const wave = shape.amplitude * Math.sin((2 * Math.PI * step) / shape.period);
    const clean = shape.mean + wave + (random() * 2 - 1) * shape.noise;
    const value = faulty(clean, last, step, faults);
    if (value !== null) last = value;
    yield value === null ? null : Math.round(value * 1_000) / 1_000;
  }
}

function faulty(clean: number, last: number, step: number, faults: readonly Fault[]): number | null {
  let value = clean;
  for (const fault of faults) {
    const age = step - fault.from;
    if (age < 0 || age >= (fault.kind === "spike" ? 1 : fault.steps)) continue;
    switch (fault.kind) {
      case "silent":
        return null;
      case "stuck":
        value = last;
        break;
      case "spike":
        value += fault.by;
        break;
      case "drift":
        value += fault.by * (age + 1);
        break;
      default: {
        const never: never = fault;
        throw new Error(`unknown fault ${JSON.stringify(never)}`);
      }
    }
  }
  return value;
}
