// Exit codes, and the one table from what was thrown to code, sentence and remedy.
import type { ErrorName } from "../hub/mod.ts";

export const exit = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  notAuthorised: 4,
  unavailable: 5,
  conflict: 6,
  degraded: 7,
  dataFolder: 70,
} as const;
export type ExitCode = (typeof exit)[keyof typeof exit];

/** A mistake in the command line: what is wrong with it; the usage line of the verb follows. */
export class UsageError extends Error {}

/** A refusal of the command line itself, with its exit code. `remedy` says what to do next. */
export class CliError extends Error {
  readonly code: ExitCode;
  readonly remedy: string;

  constructor(code: ExitCode, what: string, remedy = "") {
    super(what);
    this.code = code;
    this.remedy = remedy;
  }
}

/** Codes of the catalogue that are not plain failures (1). */
const exitCodes: Readonly<Partial<Record<ErrorName, ExitCode>>> = {
  NONE: exit.ok,
  INVALID_TOPIC_EXCEPTION: exit.usage,
  INVALID_GROUP_ID: exit.usage,
  INVALID_PARTITIONS: exit.usage,
  INVALID_REPLICATION_FACTOR: exit.usage,
  INVALID_REPLICA_ASSIGNMENT: exit.usage,
  INVALID_CONFIG: exit.usage,
  INVALID_REQUIRED_ACKS: exit.usage,
  INVALID_SESSION_TIMEOUT: exit.usage,
  UNKNOWN_TOPIC_OR_PARTITION: exit.notFound,
  UNKNOWN_TOPIC_ID: exit.notFound,
  GROUP_ID_NOT_FOUND: exit.notFound,
  RESOURCE_NOT_FOUND: exit.notFound,
  BROKER_ID_NOT_REGISTERED: exit.notFound,
  NO_REASSIGNMENT_IN_PROGRESS: exit.notFound,
  ELIGIBLE_LEADERS_NOT_AVAILABLE: exit.unavailable,
  PREFERRED_LEADER_NOT_AVAILABLE: exit.unavailable,
  OFFSET_OUT_OF_RANGE: exit.notFound,
  TOPIC_AUTHORIZATION_FAILED: exit.notAuthorised,
  GROUP_AUTHORIZATION_FAILED: exit.notAuthorised,
  CLUSTER_AUTHORIZATION_FAILED: exit.notAuthorised,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: exit.notAuthorised,
  SASL_AUTHENTICATION_FAILED: exit.notAuthorised,
  ILLEGAL_SASL_STATE: exit.notAuthorised,
  UNACCEPTABLE_CREDENTIAL: exit.notAuthorised,
  TOPIC_DELETION_DISABLED: exit.notAuthorised,
  POLICY_VIOLATION: exit.notAuthorised,
  LEADER_NOT_AVAILABLE: exit.unavailable,
  NOT_LEADER_OR_FOLLOWER: exit.unavailable,
  REQUEST_TIMED_OUT: exit.unavailable,
  REPLICA_NOT_AVAILABLE: exit.unavailable,
  COORDINATOR_LOAD_IN_PROGRESS: exit.unavailable,
  COORDINATOR_NOT_AVAILABLE: exit.unavailable,
  NOT_COORDINATOR: exit.unavailable,
  NOT_CONTROLLER: exit.unavailable,
  OFFSET_NOT_AVAILABLE: exit.unavailable,
  THROTTLING_QUOTA_EXCEEDED: exit.unavailable,
  UNSTABLE_OFFSET_COMMIT: exit.unavailable,
  TOPIC_ALREADY_EXISTS: exit.conflict,
  NON_EMPTY_GROUP: exit.conflict,
  GROUP_SUBSCRIBED_TO_TOPIC: exit.conflict,
  REASSIGNMENT_IN_PROGRESS: exit.conflict,
  CONCURRENT_TRANSACTIONS: exit.conflict,
  DUPLICATE_BROKER_REGISTRATION: exit.conflict,
  INCONSISTENT_CLUSTER_ID: exit.conflict,
  ILLEGAL_GENERATION: exit.conflict,
  REBALANCE_IN_PROGRESS: exit.conflict,
  UNKNOWN_MEMBER_ID: exit.conflict,
  FENCED_INSTANCE_ID: exit.conflict,
  PRODUCER_FENCED: exit.conflict,
  NOT_ENOUGH_REPLICAS: exit.degraded,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: exit.degraded,
  KAFKA_STORAGE_ERROR: exit.dataFolder,
};

/** What the system says, by errno. */
const systemCodes: Readonly<Record<string, readonly [ExitCode, string]>> = {
  ECONNREFUSED: [
    exit.unavailable,
    "Is the hub running there? `partidor up` starts one; `--bootstrap host:port` names it.",
  ],
  ECONNRESET: [exit.unavailable, "The hub closed the connection; see its log."],
  EPIPE: [exit.unavailable, "The other side closed the connection."],
  ETIMEDOUT: [exit.unavailable, "Check the address and the network between."],
  EHOSTUNREACH: [exit.unavailable, "Check the address and the network between."],
  ENETUNREACH: [exit.unavailable, "Check the address and the network between."],
  ENOTFOUND: [exit.unavailable, "Check the host name."],
  EAI_AGAIN: [exit.unavailable, "The name service does not answer; use an address, or wait."],
  EADDRINUSE: [exit.conflict, "Stop the process that holds the port, or choose another; port 0 picks a free one."],
  ERR_SOCKET_BAD_PORT: [exit.usage, "Ports are 0 to 65535."],
  EADDRNOTAVAIL: [exit.usage, "Listen on an address of this machine."],
  ENOENT: [exit.notFound, "Check the path."],
  ENOTDIR: [exit.notFound, "Check the path."],
  EACCES: [exit.notAuthorised, "Grant this user access, or choose another place."],
  EPERM: [exit.notAuthorised, "Grant this user access, or choose another place."],
  ENOSPC: [exit.dataFolder, "Free space on the disk."],
  EROFS: [exit.dataFolder, "Mount the file system for writing."],
  EIO: [exit.dataFolder, "The disk failed; replace it."],
};

export interface Failure {
  readonly code: ExitCode;
  /** What happened, to what. */
  readonly what: string;
  /** What to do next; "" when the sentence says it. */
  readonly remedy: string;
  /** Name of the catalogue or errno; "" for neither. */
  readonly kind: string;
}

/** Remedy of a HubError; imported only when there is one, so that help stays fast. */
async function remedyOf(kind: ErrorName): Promise<string> {
  const { errorCatalogue } = await import("../hub/mod.ts");
  return errorCatalogue[kind]?.remedy ?? "";
}

/** Turns whatever was thrown into a sentence and a code; a mistake of our own keeps its stack for the report. */
export async function failureOf(thrown: unknown): Promise<Failure> {
  if (thrown instanceof CliError) return { code: thrown.code, what: thrown.message, remedy: thrown.remedy, kind: "" };
  if (thrown instanceof UsageError) return { code: exit.usage, what: thrown.message, remedy: "", kind: "" };
  if (!(thrown instanceof Error)) return { code: exit.failure, what: String(thrown), remedy: "", kind: "" };
  const cause = rootOf(thrown);
  if (thrown.name === "HubError" && "kind" in thrown) {
    const kind = thrown.kind as ErrorName;
    const system = systemCodes[cause.code ?? ""];
    const remedy = system?.[1] ?? (await remedyOf(kind));
    const code = system?.[0] ?? exitCodes[kind] ?? exit.failure;
    return { code, what: thrown.message, remedy: remedy === thrown.message ? "" : remedy, kind };
  }
  if (["ConfigError", "RouteError", "DownlinkError"].includes(thrown.name)) {
    return {
      code: exit.usage,
      what: thrown.message,
      remedy: "`partidor config schema` lists every setting.",
      kind: "",
    };
  }
  const code = cause.code ?? "";
  const system = systemCodes[code];
  if (system) return { code: system[0], what: thrown.message, remedy: system[1], kind: code };
  const known = typeof cause.code === "string";
  const what = known ? thrown.message : (thrown.stack ?? thrown.message);
  const remedy = known ? "" : "This is a mistake in Partidor; please report it with the lines above.";
  return { code: exit.failure, what, remedy, kind: code };
}

function rootOf(error: Error): Error & { code?: string } {
  let at: Error = error;
  for (
    let depth = 0;
    depth < 5 && at.cause instanceof Error && !("code" in at && typeof at.code === "string");
    depth++
  ) {
    at = at.cause;
  }
  return at as Error & { code?: string };
}
