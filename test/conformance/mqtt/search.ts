// Scenario after scenario, what was found in all of them, and the shortest one that shows a difference.
import type { Version } from "../../../bridge/wire/packet.ts";
import { rules } from "./compare.ts";
import { add, type Difference, play, type Ports } from "./differential.ts";
import { generate, type Step } from "./scenario.ts";

/** How long the two may differ while a scenario is shrunk, which is known to do so. */
const shrinkingMs = 700;

/** Leaves steps out, half of them first, then fewer at a time, as long as there is a difference. */
export async function shrink(ports: Ports, steps: readonly Step[], version: Version): Promise<readonly Step[]> {
  let left = steps;
  for (let size = Math.ceil(left.length / 2); size > 0; ) {
    let shrunk = false;
    for (let at = 0; at < left.length; ) {
      const fewer = [...left.slice(0, at), ...left.slice(at + size)];
      const { difference } = await play(ports, fewer, version, shrinkingMs);
      if (difference === null) at += size;
      else {
        left = fewer.slice(0, difference.at + 1);
        shrunk = true;
      }
    }
    if (size === 1 && !shrunk) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return left;
}

export interface Search {
  readonly from: number;
  /** Steps that are to be played, all seeds together. */
  readonly steps: number;
  readonly versions: readonly Version[];
  /** Milliseconds after which no other seed is begun. */
  readonly withinMs?: number;
  readonly stopAtFirst?: boolean;
  /** How long the two may differ before it counts. */
  readonly patienceMs?: number;
}

export interface Found {
  readonly seed: number;
  readonly difference: Difference;
  readonly steps: readonly Step[];
}

export interface Report {
  readonly seeds: number;
  readonly steps: number;
  readonly explained: ReadonlyMap<string, number>;
  readonly seen: ReadonlyMap<string, number>;
  readonly found: readonly Found[];
}

/** Steps of one scenario: long enough for a session to have a past. */
const stepsOfOne = 80;

export const scenarioOf = (seed: number, versions: readonly Version[]): readonly Step[] =>
  generate(seed, { versions, steps: stepsOfOne });

export const watcherVersion = (versions: readonly Version[]): Version => (versions.includes(5) ? 5 : 4);

/** Seed after seed until there were enough steps. */
export async function search(ports: Ports, options: Search): Promise<Report> {
  const explained = new Map<string, number>(rules.map(({ name }) => [name, 0]));
  const seen = new Map<string, number>();
  const found: Found[] = [];
  const end = Date.now() + (options.withinMs ?? Number.POSITIVE_INFINITY);
  const version = watcherVersion(options.versions);
  let [steps, seeds] = [0, 0];
  for (let seed = options.from; steps < options.steps && Date.now() < end; seed++, seeds++) {
    const scenario = scenarioOf(seed, options.versions);
    const outcome = await play(ports, scenario, version, options.patienceMs);
    steps += outcome.steps;
    for (const [name, count] of outcome.explained) add(explained, name, count);
    for (const [name, count] of outcome.seen) add(seen, name, count);
    if (outcome.difference === null) continue;
    found.push({ seed, difference: outcome.difference, steps: scenario });
    if (options.stopAtFirst) break;
  }
  return { seeds, steps, explained, seen, found };
}

/** A difference with the scenario that shows it. */
export function tell(difference: Difference, steps: readonly Step[]): string {
  const { at, who, reference, subject } = difference;
  const script = steps.slice(0, at + 1).map((step) => `  ${JSON.stringify(step)}`);
  const side = (name: string, lines: readonly string[]): string[] => [
    `  ${name}:`,
    ...lines.map((line) => `    ${line}`),
  ];
  return [...script, `client ${who} was sent`, ...side("mosquitto", reference), ...side("here", subject)].join("\n");
}
