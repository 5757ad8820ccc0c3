// The group `analytics`: readings in, one-minute aggregates per device and metric out.
import { aggregatesTopic, encodeMessage, sourceTopic } from "../messages.ts";
import { sampleOf } from "../sample.ts";
import { Subscriber, type SubscriberOptions, type Task } from "../subscriber.ts";
import { newWindows, onSample, resumeFrom, type WindowOptions, windowOptionsDefault } from "./window.ts";

/** What a caller gives; the rest has defaults. */
export type StartOptions = Pick<SubscriberOptions, "client" | "trace"> &
  Partial<Pick<SubscriberOptions, "group" | "topics" | "commitMs" | "pollMs">>;

/** The work on one partition. */
export function analyticsTask(topic: string, partition: number, options: WindowOptions = windowOptionsDefault): Task {
  const windows = newWindows(`${topic}-${partition}`, options);
  return {
    onRecord(record) {
      const sample = sampleOf(record);
      if (typeof sample === "string") return sample;
      return onSample(windows, sample, record.offset, record.timestamp).map((aggregate) => ({
        topic: aggregatesTopic,
        key: aggregate.device,
        value: encodeMessage(aggregate),
        timestamp: aggregate.end,
      }));
    },
    resumeFrom: (next) => resumeFrom(windows, next),
  };
}

/** Starts one member of the group; start it twice and the members share the partitions. */
export function startAnalytics(options: StartOptions & { readonly windows?: WindowOptions }): Subscriber {
  const { windows, ...rest } = options;
  return new Subscriber({
    group: "analytics",
    topics: [sourceTopic],
    ...rest,
    outTopics: [aggregatesTopic],
    task: (topic, partition) => analyticsTask(topic, partition, windows),
  });
}
