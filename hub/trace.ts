// Structured events, counters and gauges: the face behind which the log writer and the metrics registry stand.

export type Level = "debug" | "info" | "warn" | "error";

/** Fields of an event; values are plain data, never payload bytes or secrets. */
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where the hub says what happens. Implementations never throw. */
export interface Trace {
  /** One structured line; `event` is snake_case and stable: operators alert on it. */
  event(level: Level, event: string, fields?: Fields): void;
  /** Adds to a counter `partidor_<name>`; labels are few and bounded (no device ids). */
  count(name: string, by?: number, labels?: Fields): void;
  /** Sets a gauge `partidor_<name>`. */
  gauge(name: string, value: number, labels?: Fields): void;
  /** Adds one observation, in seconds or bytes as the name says, to a histogram `partidor_<name>`. */
  observe(name: string, value: number, labels?: Fields): void;
}

/** Says nothing: for tests and tools. */
export const silentTrace: Trace = {
  event() {},
  count() {},
  gauge() {},
  observe() {},
};
