// Describe/Create/DeleteAcls (29-31), Describe/AlterUserScramCredentials (50, 51).
import type { Rule, RuleFilter } from "../../access/acl.ts";
import { scramMechanisms } from "../../access/scram.ts";
import { wrongFilter } from "../../engine/access_rules.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { doubled } from "./doubled.ts";
import type { HubServices } from "../services.ts";

type AclResource = ResponseOf<"describeAcls">["resources"][number];
type UserResult = ResponseOf<"describeUserScramCredentials">["results"][number];

const disabled = (): HubError =>
  new HubError("SECURITY_DISABLED", "Access rules are off: set `rules = true` in [access] of partidor.toml");

const told = (error: unknown) => ({
  errorCode: codeOfThrown(error),
  errorMessage: error instanceof Error ? error.message : String(error),
});
const fine = { errorCode: 0, errorMessage: null } as const;

interface WireFilter {
  readonly resourceTypeFilter: number;
  readonly resourceNameFilter: string | null;
  readonly patternTypeFilter: number;
  readonly principalFilter: string | null;
  readonly hostFilter: string | null;
  readonly operation: number;
  readonly permissionType: number;
}

function filterOf(wire: WireFilter): RuleFilter {
  return {
    resourceType: wire.resourceTypeFilter,
    resourceName: wire.resourceNameFilter,
    patternType: wire.patternTypeFilter,
    principal: wire.principalFilter,
    host: wire.hostFilter,
    operation: wire.operation,
    permission: wire.permissionType,
  };
}

export function accessHandlers(services: HubServices) {
  return { ...ruleHandlers(services), ...credentialHandlers(services) };
}

function ruleHandlers({ access: { rules }, trace }: HubServices) {
  return {
    describeAcls(request: RequestOf<"describeAcls">): ResponseOf<"describeAcls"> {
      const error = rules.enabled ? wrongFilter(filterOf(request)) : disabled();
      if (error !== null) return { throttleTimeMs: 0, ...told(error), resources: [] };
      return { throttleTimeMs: 0, ...fine, resources: byResource(rules.matching(filterOf(request))) };
    },

    async createAcls(request: RequestOf<"createAcls">): Promise<ResponseOf<"createAcls">> {
      const wanted: Rule[] = request.creations.map((creation) => ({
        resourceType: creation.resourceType,
        resourceName: creation.resourceName,
        patternType: creation.resourcePatternType,
        principal: creation.principal,
        host: creation.host,
        operation: creation.operation,
        permission: creation.permissionType,
      }));
      let errors: readonly unknown[];
      try {
        errors = rules.enabled ? await rules.add(wanted) : wanted.map(disabled);
      } catch (error) {
        errors = wanted.map(() => error);
      }
      const made = errors.filter((error) => error === null).length;
      if (made > 0) trace.event("info", "access_rules_created", { rules: made });
      return { throttleTimeMs: 0, results: errors.map((error) => (error === null ? fine : told(error))) };
    },

    async deleteAcls(request: RequestOf<"deleteAcls">): Promise<ResponseOf<"deleteAcls">> {
      const filterResults: ResponseOf<"deleteAcls">["filterResults"][number][] = [];
      for (const filter of request.filters.map(filterOf)) {
        try {
          const wrong = rules.enabled ? wrongFilter(filter) : disabled();
          if (wrong !== null) throw wrong;
          const found = rules.matching(filter);
          await rules.remove(found);
          if (found.length > 0) trace.event("info", "access_rules_deleted", { rules: found.length });
          filterResults.push({ ...fine, matchingAcls: found.map((rule) => ({ ...fine, ...wireRule(rule) })) });
        } catch (error) {
          filterResults.push({ ...told(error), matchingAcls: [] });
        }
      }
      return { throttleTimeMs: 0, filterResults };
    },
  };
}

function wireRule({ resourceType, resourceName, patternType, principal, host, operation, permission }: Rule) {
  return { resourceType, resourceName, patternType, principal, host, operation, permissionType: permission };
}

function byResource(found: readonly Rule[]): AclResource[] {
  const groups = new Map<string, Rule[]>();
  for (const rule of found) {
    const key = `${rule.resourceType} ${rule.patternType} ${rule.resourceName}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [rule]);
    else known.push(rule);
  }
  return [...groups.values()].map((rules) => {
    const { resourceType, resourceName, patternType } = rules[0]!;
    const acls = rules.map(({ principal, host, operation, permission }) => {
      return { principal, host, operation, permissionType: permission };
    });
    return { resourceType, resourceName, patternType, acls };
  });
}

function credentialHandlers({ access: { credentials }, trace }: HubServices) {
  const describe = (user: string, twice: boolean): UserResult => {
    const held = credentials.describe(user);
    const none = { user, credentialInfos: [] };
    if (twice) return { ...none, ...told(new HubError("DUPLICATE_RESOURCE", `${user} is asked for twice`)) };
    if (!held) return { ...none, ...told(new HubError("RESOURCE_NOT_FOUND", `${user} has no SCRAM credential`)) };
    const credentialInfos = held.map(({ mechanism, credential }) => {
      return { mechanism: scramMechanisms[mechanism].number, iterations: credential.iterations };
    });
    return { user, ...fine, credentialInfos };
  };
  return {
    describeUserScramCredentials(
      request: RequestOf<"describeUserScramCredentials">,
    ): ResponseOf<"describeUserScramCredentials"> {
      const asked = request.users?.map(({ name }) => name) ?? [];
      const users = asked.length === 0 ? [...credentials.users()] : [...new Set(asked)];
      const twice = doubled(asked);
      const results = users.map((user) => describe(user, twice.has(user)));
      return { throttleTimeMs: 0, ...fine, results };
    },

    async alterUserScramCredentials(
      request: RequestOf<"alterUserScramCredentials">,
    ): Promise<ResponseOf<"alterUserScramCredentials">> {
      const outcomes = await credentials.alter([
        ...request.deletions.map(({ name, mechanism }) => ({ user: name, mechanism, set: null })),
        ...request.upsertions.map(({ name, mechanism, iterations, salt, saltedPassword }) => {
          return { user: name, mechanism, set: { iterations, salt, saltedPassword } };
        }),
      ]);
      const changed = outcomes.filter(({ error }) => error === null).length;
      if (changed > 0) trace.event("info", "credentials_changed", { users: changed });
      const results = outcomes.map(({ user, error }) => ({
        user,
        errorCode: error?.code ?? codeOf("NONE"),
        errorMessage: error?.message ?? null,
      }));
      return { throttleTimeMs: 0, results };
    },
  };
}
