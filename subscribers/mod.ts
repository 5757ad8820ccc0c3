// The door of subscribers/: the messages they write, and the two groups.
export { type StartOptions, startAnalytics } from "./analytics/analytics.ts";
export {
  type Aggregate,
  type Alert,
  aggregatesTopic,
  alertsTopic,
  decodeAggregate,
  decodeAlert,
  sourceTopic,
} from "./messages.ts";
export { startMl } from "./ml/ml.ts";
export type { Subscriber, SubscriberCounts } from "./subscriber.ts";
