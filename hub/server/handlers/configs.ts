// DescribeConfigs (32), ListConfigResources (74): every setting with its value, where it comes from and what it means.
import { type BrokerSetting, brokerSettings, groupSettings, placeOf } from "../../broker_settings.ts";
import type { Settings } from "../../engine/settings.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { type SettingKind, type TopicSetting, topicSettings } from "../../topic_settings.ts";
import type { HubServices } from "../services.ts";

type Result = ResponseOf<"describeConfigs">["results"][number];

interface Synonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: number;
}

/** One setting as DescribeConfigs tells it. */
export interface Entry {
  readonly name: string;
  readonly value: string | null;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: boolean;
  readonly synonyms: readonly Synonym[];
  readonly configType: number;
  readonly documentation: string | null;
}

/** Numbers of ConfigResource.Type. */
export const Resource = { Topic: 2, Broker: 4, BrokerLogger: 8, ClientMetrics: 16, Group: 32 } as const;
/** Numbers of ConfigSource (KIP-226 and later). */
const Source = { Topic: 1, Hub: 2, AllHubs: 3, File: 4, Default: 5, Group: 8 } as const;
/** Numbers of ConfigType (KIP-569). */
const types: Record<SettingKind, number> = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 };

/** Every setting of a topic with the value in force and where it comes from. */
export function describeTopicConfigs(own: ReadonlyMap<string, string>, hub: Settings): Entry[] {
  return [...topicSettings.values()].map((setting) => topicEntry(setting, own, hub));
}

function topicEntry(setting: TopicSetting, own: ReadonlyMap<string, string>, hub: Settings): Entry {
  const { name, brokerName } = setting;
  const ofHub = brokerName === null ? undefined : brokerSettings.get(brokerName);
  const otherwise = ofHub ? hubSynonyms(ofHub, hub) : [{ name, value: setting.default, source: Source.Default }];
  return entry(setting, [...set(name, own.get(name), Source.Topic), ...otherwise], false, false);
}

function set(name: string, value: string | null | undefined, source: number): Synonym[] {
  return value === undefined || value === null ? [] : [{ name, value, source }];
}

/** Where a hub's setting has a value, the one in force first. */
function hubSynonyms(setting: BrokerSetting, settings: Settings): Synonym[] {
  const { name } = setting;
  return [
    ...set(name, settings.own({ kind: "hub" }).get(name), Source.Hub),
    ...set(name, settings.own({ kind: "all hubs" }).get(name), Source.AllHubs),
    ...set(name, settings.fromFile.get(placeOf(setting)), Source.File),
    ...set(name, setting.default, Source.Default),
  ];
}

function entry(
  setting: { readonly name: string; readonly kind: SettingKind; readonly documentation: string },
  synonyms: readonly Synonym[],
  readOnly: boolean,
  isSensitive: boolean,
): Entry {
  const { name, kind, documentation } = setting;
  return {
    name,
    value: isSensitive ? null : (synonyms[0]?.value ?? null),
    readOnly,
    configSource: synonyms[0]?.source ?? Source.Default,
    isSensitive,
    synonyms: isSensitive ? synonyms.map((one) => ({ ...one, value: null })) : synonyms,
    configType: types[kind],
    documentation,
  };
}

/** What only the running hub knows. */
function told(services: HubServices): ReadonlyMap<string, Synonym> {
  const { hubId, advertised, folder, autoCreateTopics } = services;
  const listeners = services.listeners();
  const at = ({ host, port }: { host: string; port: number }): string =>
    `PLAINTEXT://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const values: [name: string, value: string, source: number][] = [
    ["advertised.listeners", (advertised === null ? listeners : [advertised]).map(at).join(","), Source.File],
    ["auto.create.topics.enable", String(autoCreateTopics), Source.Default],
    ["broker.id", String(hubId), Source.File],
    ["listeners", listeners.map(at).join(","), Source.File],
    ["log.dirs", folder.path, Source.File],
    ["node.id", String(hubId), Source.File],
  ];
  return new Map(values.map(([name, value, source]) => [name, { name, value, source }]));
}

function describeHub(services: HubServices): Entry[] {
  const known = told(services);
  return [...brokerSettings.values()].map((setting) => {
    const given = hubSynonyms(setting, services.dynamicSettings);
    const running = known.get(setting.name);
    const synonyms = running === undefined ? given : [...given, running];
    return entry(setting, synonyms, setting.changedBy !== "client", setting.sensitive);
  });
}

/** Of all hubs together only what is set is told, as Kafka does. */
function describeAllHubs(settings: Settings): Entry[] {
  const own = settings.own({ kind: "all hubs" });
  return [...own].flatMap(([name, value]) => {
    const setting = brokerSettings.get(name);
    return setting ? [entry(setting, [{ name, value, source: Source.AllHubs }], false, setting.sensitive)] : [];
  });
}

function describeGroup(settings: Settings, group: string): Entry[] {
  const own = settings.own({ kind: "group", group });
  return [...groupSettings.values()].map((setting) => {
    const ofHub = brokerSettings.get(`group.${setting.name}`)!;
    const synonyms = [...set(setting.name, own.get(setting.name), Source.Group), ...hubSynonyms(ofHub, settings)];
    return entry(setting, synonyms, false, false);
  });
}

/** Throws INVALID_REQUEST unless the name is this hub's number. */
export function mustBeThisHub(services: HubServices, name: string): void {
  if (name !== String(services.hubId)) throw new HubError("INVALID_REQUEST", `There is no hub ${name} here`);
}

function entriesOf(services: HubServices, resourceType: number, resourceName: string): Entry[] {
  switch (resourceType) {
    case Resource.Topic: {
      const topic = services.partitions.topics.byName(resourceName);
      if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${resourceName}`);
      return describeTopicConfigs(topic.configs, services.dynamicSettings);
    }
    case Resource.Broker:
      if (resourceName === "") return describeAllHubs(services.dynamicSettings);
      mustBeThisHub(services, resourceName);
      return describeHub(services);
    case Resource.BrokerLogger:
      // a hub has one level for all its log lines: log.level of partidor.toml
      mustBeThisHub(services, resourceName);
      return [];
    case Resource.Group:
      if (resourceName === "") throw new HubError("INVALID_REQUEST", "A group's name is needed");
      return describeGroup(services.dynamicSettings, resourceName);
    case Resource.ClientMetrics:
      throw new HubError("INVALID_REQUEST", "A hub collects no metrics of clients");
    default:
      throw new HubError("INVALID_REQUEST", `Settings of resource type ${resourceType} are not kept here`);
  }
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
    // no names are all names, as Kafka has it
    const all = configurationKeys === null || configurationKeys.length === 0;
    const wanted = all ? entries : entries.filter((one) => configurationKeys.includes(one.name));
    const configs = wanted.map((one) => ({
      ...one,
      synonyms: request.includeSynonyms ? one.synonyms : [],
      documentation: request.includeDocumentation ? one.documentation : null,
    }));
    return { ...result, errorCode: 0, errorMessage: null, configs };
  } catch (error) {
    return { ...result, errorCode: codeOfThrown(error), errorMessage: (error as Error).message, configs: [] };
  }
}

function resourcesOf(services: HubServices, resourceType: number): string[] {
  switch (resourceType) {
    case Resource.Topic:
      return [...services.partitions.topics.all()].map((topic) => topic.name);
    case Resource.Broker:
    case Resource.BrokerLogger:
      return [String(services.hubId)];
    case Resource.Group:
      return services.dynamicSettings.groups();
    case Resource.ClientMetrics:
      return [];
    default:
      throw new HubError("UNSUPPORTED_VERSION", `Resource type ${resourceType} is not known`);
  }
}

export function configHandlers(services: HubServices) {
  return {
    describeConfigs(request: RequestOf<"describeConfigs">): ResponseOf<"describeConfigs"> {
      return { throttleTimeMs: 0, results: request.resources.map((resource) => describe(services, request, resource)) };
    },

    /** KIP-1142; version 0 asked for client metrics alone. */
    listConfigResources(
      request: RequestOf<"listConfigResources">,
      context: { readonly version: number },
    ): ResponseOf<"listConfigResources"> {
      const all = request.resourceTypes.length === 0 ? Object.values(Resource) : request.resourceTypes;
      const wanted = context.version === 0 ? [Resource.ClientMetrics] : [...new Set<number>(all)];
      try {
        const configResources = wanted.flatMap((resourceType) =>
          resourcesOf(services, resourceType).map((resourceName) => ({ resourceName, resourceType })),
        );
        return { throttleTimeMs: 0, errorCode: codeOf("NONE"), configResources };
      } catch (error) {
        return { throttleTimeMs: 0, errorCode: codeOfThrown(error), configResources: [] };
      }
    },
  };
}
