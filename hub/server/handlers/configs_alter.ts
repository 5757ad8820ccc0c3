// AlterConfigs (33), IncrementalAlterConfigs (44): settings of topics, of the hub, of all hubs, of groups.
import { brokerSettings, groupSettings, placeOf } from "../../broker_settings.ts";
import type { Scope } from "../../engine/settings.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { type SettingKind, topicSettings } from "../../topic_settings.ts";
import type { HubServices } from "../services.ts";
import { doubled } from "./doubled.ts";
import { mustBeThisHub, Resource } from "./configs.ts";

type Altered = ResponseOf<"alterConfigs">["responses"][number];
type Values = ReadonlyMap<string, string>;
type Change = (own: Values) => Values;

interface Named {
  readonly resourceType: number;
  readonly resourceName: string;
  readonly configs: readonly { readonly name: string; readonly value: string | null }[];
}

const Operation = { Set: 0, Delete: 1, Append: 2, Subtract: 3 } as const;

export function configAlterHandlers(services: HubServices) {
  return {
    async alterConfigs(request: RequestOf<"alterConfigs">): Promise<ResponseOf<"alterConfigs">> {
      const replace = ({ configs }: Named) => {
        const wanted = new Map<string, string>();
        for (const { name, value } of configs) wanted.set(name, must(name, value));
        return () => wanted;
      };
      return {
        throttleTimeMs: 0,
        responses: await alterAll(services, request.resources, request.validateOnly, replace),
      };
    },

    async incrementalAlterConfigs(
      request: RequestOf<"incrementalAlterConfigs">,
    ): Promise<ResponseOf<"incrementalAlterConfigs">> {
      const { resources, validateOnly } = request;
      const responses = await alterAll(services, resources, validateOnly, (resource) => (own) => {
        return changed(services, resource, own);
      });
      return { throttleTimeMs: 0, responses };
    },
  };
}

/** One after another; each resource stands or falls by itself. */
async function alterAll<R extends Named>(
  services: HubServices,
  resources: readonly R[],
  validateOnly: boolean,
  changeOf: (resource: R) => Change,
): Promise<Altered[]> {
  const keyOf = ({ resourceType, resourceName }: R): string => `${resourceType} ${resourceName}`;
  const again = doubled(resources.map(keyOf));
  const responses: Altered[] = [];
  for (const resource of resources) {
    const { resourceType, resourceName, configs } = resource;
    try {
      if (again.has(keyOf(resource))) {
        throw new HubError("INVALID_REQUEST", `${resourceName} stands twice in the request`);
      }
      const names = configs.map(({ name }) => name);
      const [twice] = doubled(names);
      if (twice !== undefined) throw new HubError("INVALID_REQUEST", `${twice} stands twice for ${resourceName}`);
      await alter(services, resource, validateOnly, changeOf(resource));
      responses.push({ resourceType, resourceName, errorCode: 0, errorMessage: null });
      if (!validateOnly)
        services.trace.event("info", "settings_changed", { resourceType, resourceName, names: names.join(",") });
    } catch (error) {
      const errorMessage = (error as Error).message;
      responses.push({ resourceType, resourceName, errorCode: codeOfThrown(error), errorMessage });
    }
  }
  return responses;
}

/** Throws INVALID_REQUEST for a setting without a value. */
function must(name: string, value: string | null): string {
  if (value === null) throw new HubError("INVALID_REQUEST", `${name} has no value`);
  return value;
}

async function alter(services: HubServices, resource: Named, validateOnly: boolean, change: Change): Promise<void> {
  const { resourceType, resourceName } = resource;
  if (resourceType === Resource.Topic) {
    if (resourceName === "") throw new HubError("INVALID_REQUEST", "A topic's name is needed");
    return await services.partitions.configureTopic(resourceName, change, validateOnly);
  }
  const scope = scopeOf(services, resource);
  await services.dynamicSettings.configure(scope, change, validateOnly);
}

function scopeOf(services: HubServices, { resourceType, resourceName }: Named): Scope {
  switch (resourceType) {
    case Resource.Broker:
      if (resourceName === "") return { kind: "all hubs" };
      mustBeThisHub(services, resourceName);
      return { kind: "hub" };
    case Resource.Group:
      if (resourceName === "") throw new HubError("INVALID_REQUEST", "A group's name is needed");
      return { kind: "group", group: resourceName };
    case Resource.BrokerLogger:
      throw new HubError("INVALID_REQUEST", "A hub has one level for all log lines: log.level of partidor.toml");
    case Resource.ClientMetrics:
      throw new HubError("INVALID_REQUEST", "A hub collects no metrics of clients");
    default:
      throw new HubError("INVALID_REQUEST", `Settings of resource type ${resourceType} are not kept here`);
  }
}

/** What kind a setting is, and its value while this resource does not set it. Throws INVALID_CONFIG. */
function inherited(
  services: HubServices,
  resourceType: number,
  name: string,
): { readonly kind: SettingKind; readonly value: string } {
  const { settings } = services;
  if (resourceType === Resource.Topic) {
    const setting = topicSettings.get(name);
    if (!setting) throw new HubError("INVALID_CONFIG", `Unknown topic setting ${name}`);
    return { kind: setting.kind, value: settings.get(name) ?? setting.default };
  }
  const setting = (resourceType === Resource.Group ? groupSettings : brokerSettings).get(name);
  if (!setting) throw new HubError("INVALID_CONFIG", `Unknown setting ${name}`);
  return { kind: setting.kind, value: settings.get(placeOf(setting)) ?? setting.default ?? "" };
}

function changed(
  services: HubServices,
  resource: RequestOf<"incrementalAlterConfigs">["resources"][number],
  own: Values,
): Map<string, string> {
  const next = new Map(own);
  for (const { name, configOperation, value } of resource.configs) {
    const { kind, value: otherwise } = inherited(services, resource.resourceType, name);
    switch (configOperation) {
      case Operation.Delete:
        next.delete(name);
        continue;
      case Operation.Set:
        next.set(name, must(name, value));
        continue;
      case Operation.Append:
      case Operation.Subtract: {
        if (kind !== "list") throw new HubError("INVALID_CONFIG", `${name} is no list`);
        const items = partsOf(next.get(name) ?? otherwise);
        const named = partsOf(must(name, value));
        const append = configOperation === Operation.Append;
        const list = append ? [...new Set([...items, ...named])] : items.filter((item) => !named.includes(item));
        next.set(name, list.join(","));
        continue;
      }
      default:
        throw new HubError("INVALID_REQUEST", `Operation ${configOperation} is not known`);
    }
  }
  return next;
}

function partsOf(list: string): string[] {
  return list
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
