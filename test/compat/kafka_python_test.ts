// kafka-python 3 against a hub, with its defaults: it negotiates versions, and is idempotent unless told otherwise.
import path from "node:path";
import { type Call, expected, standard } from "./cases.ts";
import { python, pythonClient } from "./clients.ts";
import { here, servedNames, session } from "./program.ts";

const program = session(async (server) => {
  const folders = [await pythonClient("kafka-python"), path.join(here, "python")];
  const env = { PYTHONPATH: folders.join(":"), PYTHONDONTWRITEBYTECODE: "1", PARTIDOR_SERVED: servedNames };
  return { command: python, args: [path.join(here, "kafka_python/main.py"), server], env };
});

/** It has no KIP-848 consumer. */
const calls = (Object.keys(expected) as Call[]).filter((call) => !call.startsWith("new group protocol"));
standard("kafka-python", program, calls);
