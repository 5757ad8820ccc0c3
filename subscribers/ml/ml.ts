// The group `ml`: readings in, an alert out for each that the model finds unlikely.
import type { StartOptions } from "../analytics/analytics.ts";
import { alertsTopic, encodeMessage, sourceTopic } from "../messages.ts";
import { type Sample, sampleOf } from "../sample.ts";
import { Subscriber, type Task } from "../subscriber.ts";
import { alertThreshold, newSeries, observe, type SeriesState, type Verdict } from "./model.ts";

/** Series remembered per partition, about 4 KiB each; the one that was silent longest is forgotten first. */
export const seriesMax = 2_000;
/** Records re-read after a restart so that the model knows its series again. */
export const warmupRecordsDefault = 20_000;

/** The series of one partition. */
export class Scorer {
  readonly #series = new Map<string, SeriesState>();

  /** Scores a sample; never throws. */
  score(sample: Sample): Verdict {
    const key = `${sample.device}\u0000${sample.metric}`;
    const state = this.#series.get(key) ?? newSeries();
    this.#series.delete(key);
    this.#series.set(key, state);
    if (this.#series.size > seriesMax) {
      for (const oldest of this.#series.keys()) {
        this.#series.delete(oldest);
        break;
      }
    }
    return observe(state, sample.t, sample.v);
  }

  get size(): number {
    return this.#series.size;
  }
}

/** The work on one partition. */
export function mlTask(topic: string, partition: number, threshold = alertThreshold): Task {
  const scorer = new Scorer();
  return {
    onRecord(record) {
      const sample = sampleOf(record);
      if (typeof sample === "string") return sample;
      const { score, why } = scorer.score(sample);
      if (score < threshold) return [];
      const { device, metric, t, v } = sample;
      const id = `${topic}-${partition}-${record.offset}`;
      const value = encodeMessage({ id, device, metric, t, v, score: Math.round(score * 1e4) / 1e4, why });
      return [{ topic: alertsTopic, key: device, value, timestamp: t }];
    },
    resumeFrom: (next) => next,
  };
}

/** Starts one member of the group; start it twice and the members share the partitions. */
export function startMl(
  options: StartOptions & { readonly threshold?: number; readonly warmupRecords?: number },
): Subscriber {
  const { threshold, ...rest } = options;
  return new Subscriber({
    group: "ml",
    topics: [sourceTopic],
    warmupRecords: warmupRecordsDefault,
    ...rest,
    outTopics: [alertsTopic],
    task: (topic, partition) => mlTask(topic, partition, threshold),
  });
}
