// Requests that only the controller's hub can carry out: those that reach another hub are passed on to it.
import { isInternalName } from "../engine/topics.ts";
import { errorNameOf, HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ApiName, CallOf, RequestOf, ResponseOf } from "../wire/apis.ts";
import type { Dispatch } from "./handler.ts";
import { defaultPartitions, type HubServices } from "./services.ts";

/** They change what all hubs share. */
const forController: ReadonlySet<ApiName> = new Set<ApiName>([
  "createTopics",
  "deleteTopics",
  "createPartitions",
  "alterConfigs",
  "incrementalAlterConfigs",
  "createAcls",
  "deleteAcls",
  "alterUserScramCredentials",
  "alterClientQuotas",
  "alterPartitionReassignments",
  "electLeaders",
  "unregisterBroker",
]);

const pauseMs = 100;

/** Passes on what is not for this hub. A lone hub, and the controller's, do everything themselves. */
export function forwarding(plain: Dispatch, services: HubServices): Dispatch {
  return async <N extends ApiName>(api: N, request: RequestOf<N>, context: Parameters<Dispatch>[2]) => {
    if (!forController.has(api) || services.cluster.lone) return await plain(api, request, context);
    if (services.operations?.isController()) return await plain(api, request, context);
    // Passed on once already: whoever did looks again for the controller.
    if (context.hub) throw new HubError("NOT_CONTROLLER", "Another hub is the controller");
    // hubs may make internal topics at the controller: what clients may not is refused here
    if (api === "createTopics" && namesInternal(request as never)) return await plain(api, request, context);
    const passed = api === "deleteTopics" ? (byTopics(request as never, context.version) as never) : request;
    return await atController(services, api, passed, () => plain(api, request, context));
  };
}

function namesInternal({ topics }: RequestOf<"createTopics">): boolean {
  return topics.some(({ name }) => isInternalName(name));
}

/** The newest version names topics in another field than the oldest. */
function byTopics(request: RequestOf<"deleteTopics">, version: number): CallOf<"deleteTopics"> {
  if (version >= 6) return request;
  return { ...request, topics: request.topicNames.map((name) => ({ name })) };
}

/** Does it here, or at the controller's hub, wherever that seat is by then. */
async function atController<N extends ApiName>(
  services: HubServices,
  api: N,
  request: RequestOf<N>,
  here: () => Promise<ResponseOf<N> | null>,
): Promise<ResponseOf<N> | null> {
  const { clock } = services;
  const until = clock.now() + limits.controllerWaitMsMax;
  for (;;) {
    if (services.operations?.isController()) return await here();
    try {
      return (await services.operations!.atController(api, request as never)) as ResponseOf<N>;
    } catch (error) {
      const passes =
        error instanceof HubError &&
        (error.kind === "NOT_CONTROLLER" || error.kind === "NETWORK_EXCEPTION" || error.kind === "REQUEST_TIMED_OUT");
      if (!passes || clock.now() >= until) throw error;
      await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
    }
  }
}

/** Partitions and settings of a topic that a hub makes by itself. */
export interface MadeTopic {
  readonly partitions?: number;
  readonly configs?: ReadonlyMap<string, string>;
}

/** Makes a topic, with the hub's defaults, wherever that has to happen; resolves when this hub knows it. */
export async function makeTopic(services: HubServices, name: string, made: MadeTopic = {}): Promise<void> {
  const { partitions } = services;
  const { partitions: count = defaultPartitions(services), configs = new Map<string, string>() } = made;
  if (services.cluster.lone || services.operations?.isController()) {
    await partitions.createTopic(name, count, configs);
    return;
  }
  const wanted = [...configs].map(([key, value]) => ({ name: key, value }));
  const topic = { name, numPartitions: count, replicationFactor: -1, configs: wanted };
  const request = { topics: [topic], timeoutMs: 10_000 };
  const here = async (): Promise<null> => {
    await partitions.createTopic(name, count, configs);
    return null;
  };
  const response = await atController(services, "createTopics", request as never, here);
  const answer = response?.topics[0];
  if (answer && answer.errorCode !== 0) throw new HubError(errorNameOf(answer.errorCode), answer.errorMessage ?? name);
  await partitions.whenMade(name);
}
