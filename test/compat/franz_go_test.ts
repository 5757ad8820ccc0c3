// franz-go against a hub: a Go program with its producer, consumer, groups, admin client and transactions.
import { callsBut, standard } from "./cases.ts";
import { goProgram } from "./clients.ts";
import { session } from "./program.ts";

const program = session(async (server) => ({
  command: await goProgram(),
  args: [server],
}));

standard("franz-go", program, callsBut(/^$/));
