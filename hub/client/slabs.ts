// The memory that the batches of this process's producers are built in, and that its sockets are read into.
import { Arena } from "../bytes/arena.ts";
import { limits } from "../limits.ts";

/** One for the process: bytes read from a socket are copied into a batch within it. */
export const slabs = new Arena(limits.clientBatchBytes, limits.clientSlabsMax);
