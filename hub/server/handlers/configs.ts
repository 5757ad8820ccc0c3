// DescribeConfigs (32), AlterConfigs (33), IncrementalAlterConfigs (44).
import { hubSettings } from "../../config.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { type SettingKind, type TopicSetting, topicSettings } from "../../topic_settings.ts";
import type { HubServices } from "../services.ts";

type Result = ResponseOf<"describeConfigs">["results"][number];

/** One setting as DescribeConfigs tells it. */
export interface Entry {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly synonyms: readonly { readonly name: string; readonly value: string | null; readonly source: number }[];
  readonly configType: number;
  readonly documentation: string | null;
}

type Altered = ResponseOf<"alterConfigs">["responses"][number];

const Resource = { Topic: 2, Broker: 4 } as const;
const Source = { Topic: 1, StaticBroker: 4, Default: 5 } as const;
const Operation = { Set: 0, Delete: 1, Append: 2, Subtract: 3 } as const;
/** Numbers of ConfigType (KIP-569). */
const types: Record<SettingKind, number> = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 };

/** Every setting of a topic with the value in force and where it comes from. */
export function describeTopicConfigs(own: ReadonlyMap<string, string>, hub: ReadonlyMap<string, string>): Entry[] {
  return [...topicSettings.values()].map((setting) => topicEntry(setting, own, hub));
}

function topicEntry(setting: TopicSetting, own: ReadonlyMap<string, string>, hub: ReadonlyMap<string, string>): Entry {
  const { name, brokerName, kind, documentation } = setting;
  const synonyms = [
    { name, value: own.get(name) ?? null, source: Source.Topic },
    { name: brokerName, value: hub.get(name) ?? null, source: Source.StaticBroker },
    { name: brokerName, value: setting.default, source: Source.Default },
  ].filter((synonym) => synonym.value !== null);
  return {
    name,
    value: synonyms[0]!.value,
    readOnly: false,
    configSource: synonyms[0]!.source,
    isSensitive: false,
    synonyms,
    configType: types[kind],
    documentation,
  };
}

function brokerEntry(
  name: string,
  given: string | undefined,
  value: string,
  kind: SettingKind,
  documentation: string,
): Entry {
  const source = given === undefined ? Source.Default : Source.StaticBroker;
  const shown = given ?? value;
  const synonyms = [{ name, value: shown, source }];
  const configType = types[kind];
  return {
    name,
    value: shown,
    readOnly: true,
    configSource: source,
    isSensitive: false,
    synonyms,
    configType,
    documentation,
  };
}

/** Broker settings come from the configuration, so clients read them and do not write them. */
function describeBroker(services: HubServices): Entry[] {
  const { settings } = services;
  const own = Object.entries(hubSettings).map(([name, { default: value, doc }]) => {
    const effective = name === "auto.create.topics.enable" ? String(services.autoCreateTopics) : value;
    return brokerEntry(name, settings.get(name), effective, effective.match(/^\d+$/) ? "int" : "boolean", doc);
  });
  const topics = [...topicSettings.values()].map((setting) =>
    brokerEntry(setting.brokerName, settings.get(setting.name), setting.default, setting.kind, setting.documentation),
  );
  return [...own, ...topics];
}

export function configHandlers(services: HubServices) {
  return {
    describeConfigs(request: RequestOf<"describeConfigs">): ResponseOf<"describeConfigs"> {
      return { throttleTimeMs: 0, results: request.resources.map((resource) => describe(services, request, resource)) };
    },

    async alterConfigs(request: RequestOf<"alterConfigs">): Promise<ResponseOf<"alterConfigs">> {
      const responses: Altered[] = [];
      for (const { resourceType, resourceName, configs } of request.resources) {
        responses.push(
          await alter(services, resourceType, resourceName, request.validateOnly, () => {
            const wanted = new Map<string, string>();
            for (const { name, value } of configs) {
              if (value === null) throw new HubError("INVALID_CONFIG", `${name} has no value`);
              wanted.set(name, value);
            }
            return wanted;
          }),
        );
      }
      return { throttleTimeMs: 0, responses };
    },

    async incrementalAlterConfigs(
      request: RequestOf<"incrementalAlterConfigs">,
    ): Promise<ResponseOf<"incrementalAlterConfigs">> {
      const responses: Altered[] = [];
      for (const { resourceType, resourceName, configs } of request.resources) {
        const change = (own: ReadonlyMap<string, string>) => changed(services, own, configs);
        responses.push(await alter(services, resourceType, resourceName, request.validateOnly, change));
      }
      return { throttleTimeMs: 0, responses };
    },
  };
}

function describe(
  services: HubServices,
  request: RequestOf<"describeConfigs">,
  resource: RequestOf<"describeConfigs">["resources"][number],
): Result {
  const { resourceType, resourceName, configurationKeys } = resource;
  const result = { resourceType, resourceName };
  try {
    const entries = entriesOf(services, resourceType, resourceName);
    const wanted = entries.filter((entry) => configurationKeys?.includes(entry.name) ?? true);
    const configs = wanted.map((entry) => ({
      ...entry,
      synonyms: request.includeSynonyms ? entry.synonyms : [],
      documentation: request.includeDocumentation ? entry.documentation : null,
    }));
    return { ...result, errorCode: 0, errorMessage: null, configs };
  } catch (error) {
    return { ...result, errorCode: codeOfThrown(error), errorMessage: (error as Error).message, configs: [] };
  }
}

function entriesOf(services: HubServices, resourceType: number, resourceName: string): Entry[] {
  if (resourceType === Resource.Topic) {
    const topic = services.partitions.topics.byName(resourceName);
    if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${resourceName}`);
    return describeTopicConfigs(topic.configs, services.settings);
  }
  if (resourceType === Resource.Broker) {
    if (resourceName !== "" && resourceName !== String(services.hubId)) {
      throw new HubError("INVALID_REQUEST", `There is no hub ${resourceName} here`);
    }
    return describeBroker(services);
  }
  throw new HubError("INVALID_REQUEST", `Settings of resource type ${resourceType} are not kept here`);
}

async function alter(
  services: HubServices,
  resourceType: number,
  resourceName: string,
  validateOnly: boolean,
  change: (own: ReadonlyMap<string, string>) => ReadonlyMap<string, string>,
): Promise<Altered> {
  const result = { resourceType, resourceName };
  try {
    if (resourceType !== Resource.Topic) {
      throw new HubError("INVALID_REQUEST", "Only topic settings are altered by clients; a hub's are in partidor.toml");
    }
    const topic = services.partitions.topics.byName(resourceName);
    if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${resourceName}`);
    await services.partitions.configureTopic(resourceName, change(topic.configs), validateOnly);
    return { ...result, errorCode: 0, errorMessage: null };
  } catch (error) {
    return { ...result, errorCode: codeOfThrown(error), errorMessage: (error as Error).message };
  }
}

function changed(
  services: HubServices,
  own: ReadonlyMap<string, string>,
  changes: RequestOf<"incrementalAlterConfigs">["resources"][number]["configs"],
): Map<string, string> {
  const next = new Map(own);
  for (const { name, configOperation, value } of changes) {
    const setting = topicSettings.get(name);
    if (!setting) throw new HubError("INVALID_CONFIG", `Unknown topic setting ${name}`);
    if (configOperation === Operation.Delete) {
      next.delete(name);
      continue;
    }
    if (value === null) throw new HubError("INVALID_CONFIG", `${name} has no value`);
    if (configOperation === Operation.Set) {
      next.set(name, value);
      continue;
    }
    if (setting.kind !== "list") throw new HubError("INVALID_CONFIG", `${name} is no list`);
    const current = next.get(name) ?? services.settings.get(name) ?? setting.default;
    const items = current.split(",").map((item) => item.trim());
    const named = value.split(",").map((item) => item.trim());
    const list =
      configOperation === Operation.Append
        ? [...new Set([...items, ...named])]
        : items.filter((item) => !named.includes(item));
    next.set(name, list.join(","));
  }
  return next;
}
