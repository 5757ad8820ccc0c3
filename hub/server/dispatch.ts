// From a request as an object to its handler: the one table of what this hub answers.
import type { ApiName, RequestOf, ResponseOf } from "../wire/apis.ts";
import { guarded } from "./guard.ts";
import { accessHandlers } from "./handlers/access.ts";
import { clusterHandlers } from "./handlers/cluster.ts";
import { configHandlers } from "./handlers/configs.ts";
import { configAlterHandlers } from "./handlers/configs_alter.ts";
import { placeHandlers } from "./handlers/epochs.ts";
import { fetchHandlers } from "./handlers/fetch.ts";
import { logDirHandlers } from "./handlers/log_dirs.ts";
import { metadataHandlers } from "./handlers/metadata.ts";
import { pageHandlers } from "./handlers/topic_pages.ts";
import { produceHandlers } from "./handlers/produce.ts";
import { producerHandlers } from "./handlers/producers.ts";
import { quotaHandlers } from "./handlers/quotas.ts";
import { replicaHandlers } from "./handlers/replicas.ts";
import { saslHandlers } from "./handlers/sasl.ts";
import { type TopicDeleted, topicHandlers } from "./handlers/topics.ts";
import { transactionHandlers } from "./handlers/transactions.ts";
import type { HubServices, RequestContext } from "./services.ts";

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

export function createDispatch(services: HubServices, groups: GroupHandlers, topicDeleted: TopicDeleted): Dispatch {
  const handlers: Handlers = {
    ...produceHandlers(services),
    ...fetchHandlers(services),
    ...placeHandlers(services),
    ...metadataHandlers(services),
    ...pageHandlers(services),
    ...topicHandlers(services, topicDeleted),
    ...configHandlers(services),
    ...configAlterHandlers(services),
    ...logDirHandlers(services),
    ...replicaHandlers(services),
    ...clusterHandlers(services),
    ...saslHandlers(services),
    ...accessHandlers(services),
    ...quotaHandlers(services),
    ...producerHandlers(services),
    ...transactionHandlers(services),
    ...groups,
  };
  const plain: Dispatch = async (api, request, context) => (handlers[api] as Handler<typeof api>)(request, context);
  return guarded(plain, services);
}
