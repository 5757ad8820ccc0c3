// The log writer: one JSON line an event on stderr, through pino.
import { pino } from "pino";
import type { Fields, Level } from "../trace.ts";

export interface LogWriter {
  event(level: Level, event: string, fields?: Fields): void;
  setLevel(level: Level): void;
}

/** Lines below `level` are dropped. CR, LF and ANSI in values are escaped, as JSON does. */
export function openLogWriter(level: Level, fd = 2): LogWriter {
  const destination = pino.destination({ fd, sync: true });
  destination.on("error", () => {}); // a terminal that went away is no reason to stop
  const formatters = { level: (label: string) => ({ level: label }) };
  const writer = pino({ base: null, level, messageKey: "event", formatters }, destination);
  return {
    event: (at, event, fields) => writer[at](fields ?? {}, event),
    setLevel: (to) => {
      writer.level = to;
    },
  };
}
