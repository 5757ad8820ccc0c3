// confluent-kafka, a current librdkafka under Python, against a hub; both group protocols.
import { callsBut, standard } from "./cases.ts";
import { pythonProgram, session } from "./program.ts";

const program = session((server) => pythonProgram("confluent-kafka", "confluent_kafka/main.py", server));

// its admin client cannot delete offsets of a group, nor ask about transactions
standard(
  "confluent-kafka",
  program,
  callsBut(/list, alter, delete$|list and describe$/, ["admin: group offsets: list, alter"]),
);
