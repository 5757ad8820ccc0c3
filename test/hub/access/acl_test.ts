// Access rules: what matches, what outweighs what, what implies what.
import assert from "node:assert/strict";
import test from "node:test";
import {
  Operation,
  Pattern,
  Permission,
  Resource,
  type Rule,
  type RuleFilter,
  RuleSet,
  ruleOfText,
  textOfRule,
} from "../../../hub/access/acl.ts";

const ann = { principal: "User:ann", host: "10.0.0.1" };
const bob = { principal: "User:bob", host: "10.0.0.2" };

const base: Rule = {
  resourceType: Resource.Topic,
  resourceName: "sensors",
  patternType: Pattern.Literal,
  principal: "User:ann",
  host: "*",
  operation: Operation.Read,
  permission: Permission.Allow,
};

function rulesOf(...rules: Partial<Rule>[]): RuleSet {
  const set = new RuleSet();
  for (const rule of rules) set.add({ ...base, ...rule });
  return set;
}

const reads = (set: RuleSet, who = ann, name = "sensors", otherwise = false): boolean =>
  set.allows(who, Operation.Read, Resource.Topic, name, otherwise);

test("a rule is for its principal, host, operation and resource", () => {
  const set = rulesOf({});
  assert.equal(reads(set), true);
  assert.equal(reads(set, bob), false);
  assert.equal(reads(set, ann, "sensors2"), false);
  assert.equal(set.allows(ann, Operation.Write, Resource.Topic, "sensors", false), false);
  assert.equal(set.allows(ann, Operation.Read, Resource.Group, "sensors", false), false);
  assert.equal(reads(rulesOf({ host: "10.0.0.1" })), true);
  assert.equal(reads(rulesOf({ host: "10.0.0.9" })), false);
  assert.equal(reads(rulesOf({ principal: "User:*" }), bob), true);
  assert.equal(reads(rulesOf({ operation: Operation.All })), true);
});

test("names: literal, every name, prefixed", () => {
  assert.equal(reads(rulesOf({ resourceName: "*" }), ann, "anything"), true);
  const prefixed = rulesOf({ resourceName: "sens", patternType: Pattern.Prefixed });
  assert.equal(reads(prefixed), true);
  assert.equal(reads(prefixed, ann, "sen"), false);
  // a star in a prefix is a character
  assert.equal(reads(rulesOf({ resourceName: "*", patternType: Pattern.Prefixed })), false);
});

test("a denial outweighs every permission", () => {
  const denials: Partial<Rule>[] = [
    {},
    { resourceName: "*" },
    { resourceName: "se", patternType: Pattern.Prefixed },
    { principal: "User:*" },
    { operation: Operation.All },
  ];
  for (const denial of denials) {
    const set = rulesOf({}, { resourceName: "*" }, { ...denial, permission: Permission.Deny });
    assert.equal(reads(set), false, JSON.stringify(denial));
  }
  const other = rulesOf({}, { permission: Permission.Deny, operation: Operation.Write });
  assert.equal(reads(other), true);
});

test("reading, writing, deleting and altering imply describing, altering settings implies describing them", () => {
  const may = (granted: number, asked: number, permission: number = Permission.Allow): boolean =>
    rulesOf({ operation: granted, permission }).allows(ann, asked, Resource.Topic, "sensors", false);
  for (const granted of [Operation.Read, Operation.Write, Operation.Delete, Operation.Alter]) {
    assert.equal(may(granted, Operation.Describe), true);
  }
  assert.equal(may(Operation.Create, Operation.Describe), false);
  assert.equal(may(Operation.Describe, Operation.Read), false);
  assert.equal(may(Operation.AlterConfigs, Operation.DescribeConfigs), true);
  assert.equal(may(Operation.Alter, Operation.DescribeConfigs), false);
  // a denial is exact: denying to read leaves describing to whoever may
  const set = rulesOf({ operation: Operation.Describe }, { permission: Permission.Deny });
  assert.equal(set.allows(ann, Operation.Describe, Resource.Topic, "sensors", false), true);
});

test("what no rule speaks of goes by the default, what any rule speaks of does not", () => {
  assert.equal(reads(new RuleSet(), ann, "x", true), true);
  assert.equal(reads(new RuleSet(), ann, "x", false), false);
  const set = rulesOf({ principal: "User:bob" });
  assert.equal(reads(set, ann, "sensors", true), false);
  assert.equal(reads(set, ann, "other", true), true);
});

test("somewhere: a permission that no denial swallows", () => {
  const writes = (set: RuleSet, otherwise = false): boolean =>
    set.allowsSomewhere(ann, Operation.Write, Resource.Topic, otherwise);
  const write = { operation: Operation.Write };
  const deny = { ...write, permission: Permission.Deny };
  const prefix = (resourceName: string) => ({ resourceName, patternType: Pattern.Prefixed });
  assert.equal(writes(rulesOf()), false);
  assert.equal(writes(rulesOf(), true), true);
  assert.equal(writes(rulesOf({})), false);
  assert.equal(writes(rulesOf(write)), true);
  assert.equal(writes(rulesOf(write, deny)), false);
  assert.equal(writes(rulesOf(write, { ...deny, ...prefix("sen") })), false);
  assert.equal(writes(rulesOf(write, { ...deny, resourceName: "other" })), true);
  assert.equal(writes(rulesOf({ ...write, ...prefix("se") }, { ...deny, ...prefix("sens") })), true);
  assert.equal(writes(rulesOf({ ...write, ...prefix("sens") }, { ...deny, ...prefix("se") })), false);
  assert.equal(writes(rulesOf({ ...write, resourceName: "*" }, { ...deny, ...prefix("se") })), true);
  assert.equal(writes(rulesOf({ ...write, resourceName: "*" }, { ...deny, resourceName: "*" })), false);
  assert.equal(writes(rulesOf({ ...deny, resourceName: "*" }), true), false);
});

test("filters: any, match, literal and prefixed", () => {
  const literal = base;
  const star = { ...base, resourceName: "*" };
  const prefixed = { ...base, resourceName: "sen", patternType: Pattern.Prefixed };
  const set = rulesOf(literal, star, prefixed);
  const everything: RuleFilter = {
    resourceType: Resource.Any,
    resourceName: null,
    patternType: Pattern.Any,
    principal: null,
    host: null,
    operation: Operation.Any,
    permission: Permission.Any,
  };
  const found = (filter: Partial<RuleFilter>): Rule[] => set.matching({ ...everything, ...filter });
  assert.deepEqual(found({}), [literal, star, prefixed]);
  assert.deepEqual(found({ resourceName: "sensors", patternType: Pattern.Match }), [literal, star, prefixed]);
  assert.deepEqual(found({ resourceName: "sensors" }), [literal]);
  assert.deepEqual(found({ resourceName: "sen" }), [prefixed]);
  assert.deepEqual(found({ patternType: Pattern.Literal }), [literal, star]);
  assert.deepEqual(found({ patternType: Pattern.Prefixed, resourceName: "sensors" }), []);
  assert.deepEqual(found({ principal: "User:bob" }), []);
  assert.deepEqual(found({ host: "*", operation: Operation.Read, permission: Permission.Allow }).length, 3);
  assert.deepEqual(found({ resourceType: Resource.Group }), []);
});

test("what is removed no longer counts, what is added twice is there once", () => {
  const set = rulesOf({}, {}, { resourceName: "s", patternType: Pattern.Prefixed });
  assert.equal(set.size, 2);
  set.remove(base);
  assert.equal(reads(set), true);
  set.remove({ ...base, resourceName: "s", patternType: Pattern.Prefixed });
  assert.equal(reads(set), false);
  assert.equal(reads(set, ann, "sensors", true), true);
  assert.equal(set.size, 0);
});

test("a rule's text is read back", () => {
  const odd = { ...base, resourceName: 'a"b,c]', principal: "User:ä" };
  assert.deepEqual(ruleOfText(textOfRule(odd)), odd);
  assert.equal(ruleOfText('["x"]'), null);
});
