// Apache Kafka's Java client against a hub, and what NiFi's Kafka processors do with it; one JVM runs all cases.
import { callsBut, javaArguments, javaCalls, standard } from "./cases.ts";
import { javaClassPath } from "./clients.ts";
import { servedNames, session } from "./program.ts";

const program = session(async (server) => ({
  command: "java",
  args: [...javaArguments(await javaClassPath()), "ClientCases", server],
  env: { PARTIDOR_SERVED: servedNames },
}));

standard("Java client", program, callsBut(/^$/, javaCalls));
