// Votes, elections, changes, states, ranges (1001 to 1004, 1009): from their wire form to the office of this hub.
import {
  reconfigurationsAsked,
  reconfigureAnswer,
  statesAnswer,
  triesAsked,
  tryLeadAnswer,
  voteAnswer,
  votesAsked,
} from "../../engine/replication_wire.ts";
import type { HubPrincipal, ReplicaOffice } from "../../engine/replica_office.ts";
import { HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";

export function replicationHandlers(services: HubServices) {
  /** The guard lets hubs alone come this far; a lone hub has no office. */
  const asked = async <Answer extends object>(
    { hub }: RequestContext,
    answer: (office: ReplicaOffice, hub: HubPrincipal) => Promise<Answer>,
  ): Promise<Answer | Refusal> => {
    const office = services.peering?.office;
    if (!hub || !office) return refusal(new HubError("CLUSTER_AUTHORIZATION_FAILED"));
    try {
      return await answer(office, hub);
    } catch (error) {
      if (error instanceof HubError) return refusal(error);
      throw error;
    }
  };
  return {
    vote(request: RequestOf<"vote">, context: RequestContext): Promise<ResponseOf<"vote">> {
      return asked(context, async (office, hub) => voteAnswer(await office.vote(hub, votesAsked(request))));
    },

    tryLead(request: RequestOf<"tryLead">, context: RequestContext): Promise<ResponseOf<"tryLead">> {
      return asked(context, async (office, hub) => {
        return tryLeadAnswer(await office.tryLead(hub, request.ctlEpoch, triesAsked(request)));
      });
    },

    reconfigure(request: RequestOf<"reconfigure">, context: RequestContext): Promise<ResponseOf<"reconfigure">> {
      return asked(context, async (office, hub) => {
        return reconfigureAnswer(await office.reconfigure(hub, request.ctlEpoch, reconfigurationsAsked(request)));
      });
    },

    async replicaRange(
      request: RequestOf<"replicaRange">,
      context: RequestContext,
    ): Promise<ResponseOf<"replicaRange">> {
      const told = await asked(context, async (office, hub) => await office.range(hub, request));
      return "upTo" in told ? { errorCode: 0, ...told } : { ...told, records: null };
    },

    replicaStates(request: RequestOf<"replicaStates">, context: RequestContext): Promise<ResponseOf<"replicaStates">> {
      return asked(context, async (office, hub) => statesAnswer(await office.states(hub, request.partitions)));
    },
  };
}

/** A refusal of the whole request; every API of hubs has room for it. */
export interface Refusal {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly partitions: readonly [];
}

export function refusal({ code, message }: HubError): Refusal {
  return { errorCode: code, errorMessage: message, partitions: [] };
}
