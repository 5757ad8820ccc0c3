// kafka-python 3 against a hub, with its defaults: it negotiates versions, and is idempotent unless told otherwise.
import { callsBut, standard } from "./cases.ts";
import { pythonProgram, session } from "./program.ts";

const program = session((server) => pythonProgram("kafka-python", "kafka_python/main.py", server));

// it has no consumer of the new group protocol
standard("kafka-python", program, callsBut(/^new group protocol/));
