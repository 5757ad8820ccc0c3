// Where MQTT clients of this hub may go instead: to hubs that live, stay and have room (MQTT5 section 4.11). Pure.
import type { HubId } from "../cluster/types.ts";
import type { ClusterView } from "./cluster_view.ts";

export interface Elsewhere {
  /** host:port of each hub, at least one. */
  readonly references: readonly string[];
  /** This hub was taken out of its cluster: nobody needs to look for it here again. */
  readonly isForGood: boolean;
}

/** @param leaves whether a hub is being drained or removed. Null: no hub is known. */
export function elsewhere(
  { hubId, hubs }: Pick<ClusterView, "hubId" | "hubs">,
  leaves: (hub: HubId) => boolean,
): Elsewhere | null {
  const all = hubs();
  const references: string[] = [];
  for (const { hubId: other, alive, draining, mqtt } of all) {
    if (other !== hubId && mqtt !== null && alive && !draining && !leaves(other)) references.push(mqtt);
  }
  if (references.length === 0) return null;
  return { references, isForGood: leaves(hubId) || !all.some((hub) => hub.hubId === hubId) };
}

/** host:port as a Server Reference has it; null where the host is every address of a machine. */
export function referenceOf({ host, port }: { readonly host: string; readonly port: number }): string | null {
  if (host === "0.0.0.0" || host === "::") return null;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
