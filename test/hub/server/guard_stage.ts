// A hub with rules, an admin, and ann, who may do nothing that was not granted.
import { Operation, Pattern, Permission, Resource } from "../../../hub/access/acl.ts";
import { scratch } from "../../tools/hub_process.ts";
import { accessSection, login, upsertion } from "../../tools/sasl.ts";
import { openTestHub, type TestHub } from "../../tools/test_hub.ts";
import { is, makeTopic } from "../../tools/wire_calls.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";

export type Grant = readonly [type: keyof typeof Resource, name: string, operation: keyof typeof Operation];

export interface Stage {
  readonly admin: WireClient;
  /** A user who may do nothing that was not granted. */
  readonly ann: WireClient;
  readonly hub: TestHub;
  readonly grant: (...grants: Grant[]) => Promise<void>;
}

export async function onStage(
  use: (stage: Stage) => Promise<void>,
  access: Record<string, unknown> = {},
): Promise<void> {
  const { folder, remove } = scratch();
  const hub = await openTestHub({ folder, access: accessSection(folder, { rules: true, ...access }) });
  const [admin, ann] = [await dialWire(hub.kafka), await dialWire(hub.kafka)];
  try {
    is(await login(admin, "SCRAM-SHA-256", "admin", "admin-secret"), "NONE");
    const upsertions = [upsertion("ann", "secret")];
    is((await admin.call("alterUserScramCredentials", 0, { deletions: [], upsertions })).results[0]!, "NONE");
    is(await login(ann, "SCRAM-SHA-256", "ann", "secret"), "NONE");
    const grant: Stage["grant"] = async (...grants) => {
      const creations = grants.map(([type, name, operation]) => ({
        resourceType: Resource[type],
        resourceName: name,
        resourcePatternType: Pattern.Literal,
        principal: "User:ann",
        host: "*",
        operation: Operation[operation],
        permissionType: Permission.Allow,
      }));
      for (const result of (await admin.call("createAcls", 3, { creations })).results) is(result, "NONE");
    };
    for (const topic of ["mine", "theirs"]) is(await makeTopic(admin, topic), "NONE");
    await use({ admin, ann, hub, grant });
  } finally {
    admin.close();
    ann.close();
    await hub.close();
    remove();
  }
}

export const cluster = "kafka-cluster";
