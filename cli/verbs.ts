// The table of verbs; each file is loaded only when its verb is called.
import type { Command } from "./command.ts";

export interface VerbFile {
  readonly run: (argv: string[]) => Promise<number>;
  readonly commands?: readonly Command[];
  /** Help text of a verb that has no `Command` table. */
  readonly usage?: string;
}

export interface Verb {
  readonly summary: string;
  readonly load: () => Promise<VerbFile>;
}

/** Every verb; each file is loaded only when its verb is called. */
export const verbs: Readonly<Record<string, Verb>> = {
  up: { summary: "Run a hub: MQTT, Kafka protocol and dashboard in one process.", load: () => import("./up.ts") },
  topic: { summary: "Create, list, describe, alter, delete topics.", load: () => import("./topic.ts") },
  group: { summary: "List, describe, reset, delete consumer groups.", load: () => import("./group.ts") },
  cluster: {
    summary: "Look at the hubs of a cluster; move, drain, remove, elect.",
    load: () => import("./cluster.ts"),
  },
  produce: { summary: "Write lines of stdin, or one value, to a topic.", load: () => import("./produce.ts") },
  consume: { summary: "Read topics, from any place, and follow them.", load: () => import("./consume.ts") },
  route: { summary: "See where an MQTT topic would go.", load: () => import("./route.ts") },
  log: { summary: "Verify, dump or repair a data folder that no hub has open.", load: () => import("./log.ts") },
  config: { summary: "Check or show the configuration, print its schema.", load: () => import("./config.ts") },
  doctor: { summary: "Look at this machine: disk, ports, clock, Redis.", load: () => import("./doctor.ts") },
  completion: {
    summary: "Print completions for bash, zsh or fish.",
    load: async () => (await import("./completion.ts")).completionOf(verbs),
  },
};
