// @platformatic/kafka against a hub, under the Node 24 of the test tools.
import path from "node:path";
import { callsBut, standard } from "./cases.ts";
import { node24 } from "./clients.ts";
import { here, session } from "./program.ts";

const program = session(async (server) => ({
  command: node24,
  args: [path.join(here, "platformatic/main.ts"), server],
}));

// It neither subscribes to patterns, nor is a static member by itself, nor asks about transactions. It begins with
// producer id 0 and epoch 0 in place of -1, so a second producer of a transactional id is refused by any Kafka.
standard("@platformatic/kafka", program, callsBut(/pattern|static member|list and describe$|fences/));
