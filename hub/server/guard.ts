// The gate in front of the handlers: who has not logged in waits outside, who has does what the rules allow.
import { Operation } from "../access/acl.ts";
import { HubError } from "../errors.ts";
import type { ApiName, RequestOf, ResponseOf } from "../wire/apis.ts";
import { Asker, type Guard, type Guards } from "./asker.ts";
import type { Dispatch } from "./handler.ts";
import { accessGuards, clusterGuards, hubGuards, openGuards, refusedToClients } from "./guard_cluster.ts";
import { settingsGuards, topicGuards } from "./guard_cluster.ts";
import { dataGuards, placeGuards } from "./guard_data.ts";
import { groupGuards, memberGuards, offsetGuards, transactionGuards } from "./guard_groups.ts";
import type { HubServices, RequestContext } from "./services.ts";

/** One for every request there is: the compiler misses none. */
const guards: Guards<ApiName> = {
  ...dataGuards,
  ...placeGuards,
  ...memberGuards,
  ...groupGuards,
  ...offsetGuards,
  ...transactionGuards,
  ...topicGuards,
  ...settingsGuards,
  ...clusterGuards,
  ...accessGuards,
  ...openGuards,
  ...hubGuards,
};

/**
 * Puts the gates in front of `plain`: what only hubs may ask is refused to everybody else, whatever the settings; then
 * logins and rules where there are any: what is off costs nothing. The hub's own rooms and other hubs pass those. A
 * request still begins within the call, so that requests keep their order.
 */
export function guarded(plain: Dispatch, services: HubServices): Dispatch {
  const ruled = underRules(plain, services);
  return <N extends ApiName>(api: N, request: RequestOf<N>, context: RequestContext) => {
    const refused = context.hub === undefined ? refusedToClients(api) : null;
    return refused === null ? ruled(api, request, context) : Promise.resolve(refused as unknown as ResponseOf<N>);
  };
}

function underRules(plain: Dispatch, services: HubServices): Dispatch {
  const { access, clock, partitions } = services;
  const { rules, logins } = access;
  if (!rules.enabled && logins.mechanisms.length === 0) return plain;
  return async <N extends ApiName>(api: N, request: RequestOf<N>, context: RequestContext) => {
    if (context.inProcess || context.hub) return await plain(api, request, context);
    const { identity } = context;
    if (!identity?.admits(api, clock.now())) {
      throw new HubError("ILLEGAL_SASL_STATE", `${api} needs a login that holds`);
    }
    if (!rules.enabled) return await plain(api, request, context);
    const asker = new Asker(rules, partitions.topics, identity, context.version);
    const guard = guards[api] as unknown as Guard<N>;
    const mayRead = (topic: string): boolean => asker.topic(Operation.Read, topic);
    const maySee = (topic: string): boolean => asker.topic(Operation.Describe, topic);
    return await guard(request, asker, (allowed) => plain(api, allowed, { ...context, mayRead, maySee }));
  };
}
