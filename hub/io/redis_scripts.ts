// The Lua that Redis runs: one call a change, all or nothing, on the declared keys only; texts take arguments alone.

/** One script: what ioredis needs to define it as a command. */
export interface RedisScript {
  readonly numberOfKeys: number;
  readonly lua: string;
}

// Keys of a group lie in one slot:
//   :m  hash  id group, e highest epoch that wrote, (re, rs) place of the record, g its generation, r its bytes,
//             (de, ds) place of the last deletion
//   :o  hash  <topic id>/<partition> -> "<epoch> <sequence> <JSON>"; without JSON: deleted
// Places are compared as numbers below 2^53, which Lua's doubles hold exactly.
const prelude = `
local function newer(e, s, e0, s0) return e > e0 or (e == e0 and s > s0) end
local function num(v) return tonumber(v or '-1') end
local function raise(e)
  if e > num(redis.call('HGET', KEYS[1], 'e')) then redis.call('HSET', KEYS[1], 'e', e) end
end
local function place(v)
  if not v then return -1, -1 end
  local e, s = string.match(v, '^(%d+) (%d+) ')
  return tonumber(e), tonumber(s)
end
local function dead(v) return string.match(v, '^%d+ %d+ $') ~= nil end
local function put(field, value)
  local e, s = place(value)
  local e0, s0 = place(redis.call('HGET', KEYS[2], field))
  if newer(e, s, e0, s0) then redis.call('HSET', KEYS[2], field, value) end
end
local function purge(e, s)
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local e1, s1 = place(all[i + 1])
    if not newer(e1, s1, e, s) then redis.call('HDEL', KEYS[2], all[i]) end
  end
  local m = redis.call('HMGET', KEYS[1], 're', 'rs')
  if m[1] and not newer(num(m[1]), num(m[2]), e, s) then redis.call('HDEL', KEYS[1], 're', 'rs', 'g', 'r') end
end
local function trim(max)
  if redis.call('HLEN', KEYS[2]) <= max then return end
  local gone = {}
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    if dead(all[i + 1]) then
      local e, s = place(all[i + 1])
      gone[#gone + 1] = { all[i], e, s }
    end
  end
  table.sort(gone, function(a, b) return newer(b[2], b[3], a[2], a[3]) end)
  for i = 1, #gone - max do redis.call('HDEL', KEYS[2], gone[i][1]) end
end
`;

/**
 * KEYS m o; ARGV group, epoch, sequence, generation (-1: none), deletions to remember, then field and JSON ('' deletes)
 * per partition. Answers with a CommitResult.
 */
export const commitOffsets: RedisScript = {
  numberOfKeys: 2,
  lua: `${prelude}
local e, s, g = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local m = redis.call('HMGET', KEYS[1], 'e', 'g', 'de', 'ds')
if e < num(m[1]) then return 'stale-coordinator' end
if not newer(e, s, num(m[3]), num(m[4])) then return 'stale-generation' end
if g ~= -1 and (not m[2] or tonumber(m[2]) ~= g) then return 'stale-generation' end
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
raise(e)
local deletes = false
for i = 6, #ARGV, 2 do
  put(ARGV[i], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[i + 1])
  deletes = deletes or ARGV[i + 1] == ''
end
if deletes then trim(tonumber(ARGV[5])) end
return 'stored'`,
};

/** KEYS m o; ARGV group, epoch, sequence, generation, record. Answers with a CommitResult. */
export const storeGroup: RedisScript = {
  numberOfKeys: 2,
  lua: `${prelude}
local e, s, g = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local m = redis.call('HMGET', KEYS[1], 'e', 'g', 'de', 'ds', 're', 'rs')
if e < num(m[1]) then return 'stale-coordinator' end
if not newer(e, s, num(m[3]), num(m[4])) then return 'stale-generation' end
if not newer(e, s, num(m[5]), num(m[6])) then return 'stored' end
if m[5] and e == num(m[5]) and g < num(m[2]) then return 'stale-generation' end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 're', ARGV[2], 'rs', ARGV[3], 'g', ARGV[4], 'r', ARGV[5])
raise(e)
return 'stored'`,
};

/** KEYS m o; ARGV group, epoch, sequence. Answers with a CommitResult. */
export const deleteGroup: RedisScript = {
  numberOfKeys: 2,
  lua: `${prelude}
local e, s = tonumber(ARGV[2]), tonumber(ARGV[3])
local m = redis.call('HMGET', KEYS[1], 'e', 'de', 'ds')
if e < num(m[1]) then return 'stale-coordinator' end
if not newer(e, s, num(m[2]), num(m[3])) then return 'stored' end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'de', ARGV[2], 'ds', ARGV[3])
raise(e)
purge(e, s)
return 'stored'`,
};

/**
 * KEYS m o; ARGV group, epoch that fences, deletion (epoch, sequence; '' none), record (epoch, sequence, generation,
 * bytes; '' none), deletions to remember, then field and stored value per partition. Part by part the newer wins.
 */
export const mergeGroup: RedisScript = {
  numberOfKeys: 2,
  lua: `${prelude}
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
raise(tonumber(ARGV[2]))
local m = redis.call('HMGET', KEYS[1], 'de', 'ds')
local de, ds = num(m[1]), num(m[2])
if ARGV[3] ~= '' and newer(tonumber(ARGV[3]), tonumber(ARGV[4]), de, ds) then
  de, ds = tonumber(ARGV[3]), tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], 'de', ARGV[3], 'ds', ARGV[4])
  purge(de, ds)
end
if ARGV[5] ~= '' then
  local e, s = tonumber(ARGV[5]), tonumber(ARGV[6])
  local r = redis.call('HMGET', KEYS[1], 're', 'rs')
  if newer(e, s, de, ds) and newer(e, s, num(r[1]), num(r[2])) then
    redis.call('HSET', KEYS[1], 're', ARGV[5], 'rs', ARGV[6], 'g', ARGV[7], 'r', ARGV[8])
  end
end
for i = 10, #ARGV, 2 do
  local e, s = place(ARGV[i + 1])
  if newer(e, s, de, ds) then put(ARGV[i], ARGV[i + 1]) end
end
trim(tonumber(ARGV[9]))
return 'stored'`,
};

/** KEYS m o; ARGV deletion (epoch, sequence). 1 when the group was forgotten. */
export const forgetGroup: RedisScript = {
  numberOfKeys: 2,
  lua: `${prelude}
local m = redis.call('HMGET', KEYS[1], 're', 'de', 'ds')
if m[1] or not m[2] or redis.call('HLEN', KEYS[2]) > 0 then return 0 end
if newer(num(m[2]), num(m[3]), tonumber(ARGV[1]), tonumber(ARGV[2])) then return 0 end
redis.call('DEL', KEYS[1])
return 1`,
};

/** KEYS mark; ARGV lowest epoch wanted. The epoch that was reserved. */
export const beginEpoch: RedisScript = {
  numberOfKeys: 1,
  lua: `
local e = math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'epoch') or '-1') + 1)
redis.call('HSET', KEYS[1], 'epoch', e)
return e`,
};

/** KEYS mark; ARGV the mark that must be there ('' any), the one to leave, its field. 1 when it was. Writes changes. */
export const probe: RedisScript = {
  numberOfKeys: 1,
  lua: `
local mark = redis.call('HGET', KEYS[1], ARGV[3])
local there = ARGV[1] == '' or mark == ARGV[1]
if mark ~= ARGV[2] then redis.call('HSET', KEYS[1], ARGV[3], ARGV[2]) end
return there and 1 or 0`,
};
