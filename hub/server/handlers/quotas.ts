// Describe/AlterClientQuotas (48, 49): quotas of users, client ids and addresses (KIP-546).
import type { Entity } from "../../access/quota.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

type Component = RequestOf<"describeClientQuotas">["components"][number];
type WireEntity = RequestOf<"alterClientQuotas">["entries"][number]["entity"];

/** Kafka's names of what an entity is made of. */
const parts: Readonly<Record<string, keyof Entity>> = { user: "user", "client-id": "clientId", ip: "ip" };
const Match = { Exact: 0, Default: 1, Any: 2 } as const;

const bad = (detail: string): HubError => new HubError("INVALID_REQUEST", detail);

export function quotaHandlers({ access: { quotas }, trace }: HubServices) {
  return {
    describeClientQuotas(request: RequestOf<"describeClientQuotas">): ResponseOf<"describeClientQuotas"> {
      try {
        const wanted = filterOf(request.components);
        const found = quotas.all().filter(({ entity }) => matches(entity, wanted, request.strict));
        const entries = found.map(({ entity, values }) => ({
          entity: wireOf(entity),
          values: [...values].map(([key, value]) => ({ key, value })),
        }));
        return { throttleTimeMs: 0, errorCode: 0, errorMessage: null, entries };
      } catch (error) {
        const errorMessage = error instanceof Error ? error.message : String(error);
        return { throttleTimeMs: 0, errorCode: codeOfThrown(error), errorMessage, entries: null };
      }
    },

    async alterClientQuotas(request: RequestOf<"alterClientQuotas">): Promise<ResponseOf<"alterClientQuotas">> {
      const entries: ResponseOf<"alterClientQuotas">["entries"][number][] = [];
      const seen = new Set<string>();
      for (const { entity: wire, ops } of request.entries) {
        try {
          const entity = entityOf(wire);
          const name = JSON.stringify([entity.user, entity.clientId, entity.ip].map((part) => part ?? [part === null]));
          if (seen.has(name)) throw bad("The entity stands twice in the request");
          seen.add(name);
          if (new Set(ops.map(({ key }) => key)).size < ops.length) throw bad("A quota stands twice for one entity");
          const changes = ops.map(({ key, value, remove }) => ({ key, value: remove ? null : value }));
          await quotas.alter(entity, changes, request.validateOnly);
          entries.push({ errorCode: 0, errorMessage: null, entity: wire });
        } catch (error) {
          const errorMessage = error instanceof Error ? error.message : String(error);
          entries.push({ errorCode: codeOfThrown(error), errorMessage, entity: wire });
        }
      }
      const changed = entries.filter(({ errorCode }) => errorCode === 0).length;
      if (changed > 0 && !request.validateOnly) trace.event("info", "quotas_changed", { entities: changed });
      return { throttleTimeMs: 0, entries };
    },
  };
}

function partOf(entityType: string): keyof Entity {
  const part = Object.hasOwn(parts, entityType) ? parts[entityType] : undefined;
  if (part === undefined) throw bad(`There are no quotas by ${JSON.stringify(entityType.slice(0, 100))}`);
  return part;
}

function entityOf(wire: WireEntity): Entity {
  const entity: { -readonly [K in keyof Entity]: string | null } = {};
  for (const { entityType, entityName } of wire) {
    const part = partOf(entityType);
    if (entity[part] !== undefined) throw bad(`${entityType} stands twice in one entity`);
    if (entityName === "") throw bad(`${entityType} has no name; null is the default`);
    if ((entityName ?? "").length > limits.accessNameLengthMax) throw bad(`The name of ${entityType} is too long`);
    entity[part] = entityName;
  }
  if (wire.length === 0) throw bad("An entity names a user, a client id or an address");
  if (entity.ip !== undefined && wire.length > 1) throw bad("An address stands alone");
  return entity as Entity;
}

function wireOf(entity: Entity): { entityType: string; entityName: string | null }[] {
  return Object.entries(parts).flatMap(([entityType, part]) => {
    const entityName = entity[part];
    return entityName === undefined ? [] : [{ entityType, entityName }];
  });
}

type Filter = ReadonlyMap<keyof Entity, Component>;

function filterOf(components: readonly Component[]): Filter {
  const filter = new Map<keyof Entity, Component>();
  for (const component of components) {
    const part = partOf(component.entityType);
    if (filter.has(part)) throw bad(`${component.entityType} stands twice in the filter`);
    if (!Object.values<number>(Match).includes(component.matchType)) {
      throw bad(`There is no match type ${component.matchType}`);
    }
    if ((component.matchType === Match.Exact) !== (component.match !== null)) {
      throw bad("A name belongs to an exact match, and to no other");
    }
    filter.set(part, component);
  }
  if (filter.has("ip") && filter.size > 1) throw bad("Quotas of addresses are asked for alone");
  return filter;
}

/** `strict`: the entity has no parts but those of the filter. */
function matches(entity: Entity, filter: Filter, strict: boolean): boolean {
  const named = Object.keys(entity).length;
  if (strict && named !== filter.size) return false;
  return [...filter].every(([part, { matchType, match }]) => {
    const value = entity[part];
    if (value === undefined) return false;
    if (matchType === Match.Any) return true;
    return matchType === Match.Default ? value === null : value === match;
  });
}
