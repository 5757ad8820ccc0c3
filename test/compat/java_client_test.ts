// Apache Kafka's Java client against a hub, and what NiFi's Kafka processors do with it; one JVM runs all cases.
import { callsBut, javaArguments, javaCalls, standard } from "./cases.ts";
import { javaClassPath } from "./clients.ts";
import { session } from "./program.ts";

const program = session(async (server) => ({
  command: "java",
  args: [...javaArguments(await javaClassPath()), "ClientCases", server],
}));

standard("Java client", program, callsBut(/^$/, javaCalls));
