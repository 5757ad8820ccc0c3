// From a request as an object to its handler: the one table of what this hub answers.
import { forwarding } from "./forwarding.ts";
import { guarded } from "./guard.ts";
import type { Dispatch, GroupHandlers, Handler, Handlers } from "./handler.ts";
import { accessHandlers } from "./handlers/access.ts";
import { clusterHandlers } from "./handlers/cluster.ts";
import { configHandlers } from "./handlers/configs.ts";
import { configAlterHandlers } from "./handlers/configs_alter.ts";
import { placeHandlers } from "./handlers/epochs.ts";
import { fetchHandlers } from "./handlers/fetch.ts";
import { helloHandlers } from "./handlers/hub_hello.ts";
import { logDirHandlers } from "./handlers/log_dirs.ts";
import { metadataHandlers } from "./handlers/metadata.ts";
import { pageHandlers } from "./handlers/topic_pages.ts";
import { produceHandlers } from "./handlers/produce.ts";
import { producerHandlers } from "./handlers/producers.ts";
import { quotaHandlers } from "./handlers/quotas.ts";
import { replicaHandlers } from "./handlers/replicas.ts";
import { replicationHandlers } from "./handlers/replication.ts";
import { saslHandlers } from "./handlers/sasl.ts";
import { type TopicDeleted, topicHandlers } from "./handlers/topics.ts";
import { transactionHubHandlers } from "./handlers/transaction_hubs.ts";
import { transactionHandlers } from "./handlers/transactions.ts";
import type { HubServices } from "./services.ts";

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
    ...helloHandlers(services),
    ...replicationHandlers(services),
    ...accessHandlers(services),
    ...quotaHandlers(services),
    ...producerHandlers(services),
    ...transactionHandlers(services),
    ...transactionHubHandlers(services),
    ...groups,
  };
  const plain: Dispatch = async (api, request, context) => (handlers[api] as Handler<typeof api>)(request, context);
  return guarded(forwarding(plain, services), services);
}
