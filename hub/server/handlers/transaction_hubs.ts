// What hubs ask each other about transactions (1005 to 1008): from their wire form to the coordinators of this hub.
import type { TransactionHomes } from "../../engine/transaction_homes.ts";
import { codeOf, type ErrorName } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

const answer = (error: ErrorName): { errorCode: number } => ({ errorCode: codeOf(error) });

/** The guard lets hubs alone come this far; a lone hub coordinates for nobody else. */
export function transactionHubHandlers(services: HubServices) {
  const homes = (): TransactionHomes | null => services.transactionHomes ?? null;
  return {
    async txnGate(request: RequestOf<"txnGate">): Promise<ResponseOf<"txnGate">> {
      const { transactionalId, producerId, producerEpoch, implicit, partitions } = request;
      for (const { topic, partition } of partitions) {
        const claim = [transactionalId, producerId, producerEpoch, topic, partition, implicit] as const;
        const error = (await homes()?.gate(...claim)) ?? "NOT_COORDINATOR";
        if (error !== "NONE") return answer(error);
      }
      return answer("NONE");
    },

    async txnHold(request: RequestOf<"txnHold">): Promise<ResponseOf<"txnHold">> {
      const { transactionalId, producerId, producerEpoch, group, implicit, offsets } = request;
      const producer = { id: transactionalId, producerId, epoch: producerEpoch };
      return answer((await homes()?.hold(producer, group, offsets, implicit)) ?? "NOT_COORDINATOR");
    },

    async groupDecided(request: RequestOf<"groupDecided">): Promise<ResponseOf<"groupDecided">> {
      const { group, offsets, transactionalId } = request;
      return answer((await homes()?.decided(group, offsets, transactionalId)) ?? "NOT_COORDINATOR");
    },

    heldOffsets(): ResponseOf<"heldOffsets"> {
      return { ...answer("NONE"), ...(homes()?.heldHere() ?? { homes: [], held: [] }) };
    },
  };
}
