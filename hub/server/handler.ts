// What answers a request, and the one function that leads each to its own: types only.
import type { ApiName, RequestOf, ResponseOf } from "../wire/apis.ts";
import type { RequestContext } from "./services.ts";

/** Answers one request; null where the protocol has no answer (produce with acks=0). */
export type Handler<N extends ApiName> = (
  request: RequestOf<N>,
  context: RequestContext,
) => ResponseOf<N> | null | Promise<ResponseOf<N> | null>;

export type Handlers = { readonly [N in ApiName]: Handler<N> };

/** Handlers that other rooms bring: groups and their offsets. */
export type GroupHandlers = Pick<
  Handlers,
  | "findCoordinator"
  | "joinGroup"
  | "syncGroup"
  | "heartbeat"
  | "leaveGroup"
  | "offsetCommit"
  | "offsetFetch"
  | "listGroups"
  | "describeGroups"
  | "deleteGroups"
  | "offsetDelete"
  | "consumerGroupHeartbeat"
  | "consumerGroupDescribe"
>;

/** Takes a request apart from its wire form: sockets and the hub's own clients both come in here. */
export type Dispatch = <N extends ApiName>(
  api: N,
  request: RequestOf<N>,
  context: RequestContext,
) => Promise<ResponseOf<N> | null>;
