// The Lua of coordination: each change is one call, all or nothing, on nine declared keys of one slot.
import type { RedisScript } from "./redis_scripts.ts";

// Keys, all under hub:{<cluster name>}:
//   inc   hash  clusterId, incarnation, runId, formatVersion, state
//   seq   int   raised by each change
//   hubs  hash  hub id -> HubEntry as JSON
//   ctl   hash  hubId, ctlEpoch
//   meta  hash  key -> "<version> <committed 0|1> <seq> <'=' value, or '-'>"
//   ps    hash  <topic id>/<partition> -> "<ver> <leader epoch> <seq> <state>"
//   log   zset  what changed -> the seq of its last change: polls read what is above theirs, and nothing is ever lost
//   ops   hash  opId -> the answer it was given;  opl  list of the last ones
//   ch    the channel of hints, named among the keys so that it is of their slot
// Numbers stay below 2^53, which Lua's doubles hold exactly.
export const coordinationKeys = ["inc", "seq", "hubs", "ctl", "meta", "ps", "log", "ops", "opl", "ch"] as const;
/** Answers that are remembered for repeated calls. */
const opsMax = 256;

const names = `local INC, SEQ, HUBS, CTL, META, PS, LOG, OPS, OPL, CH = unpack(KEYS)`;

/** ARGV 1 the opId. A repeated call is answered as the first was. */
const idempotent = `${names}
local op = ARGV[1]
local answered = redis.call('HGET', OPS, op)
if answered then return answered end
local seq = 0
local function changed(what)
  if seq == 0 then seq = redis.call('INCR', SEQ) end
  redis.call('ZADD', LOG, seq, what)
  return seq
end
local function answer(text)
  redis.call('HSET', OPS, op, text)
  if redis.call('RPUSH', OPL, op) > ${opsMax} then redis.call('HDEL', OPS, redis.call('LPOP', OPL)) end
  if seq > 0 then redis.call('PUBLISH', CH, seq) end
  return text
end`;

/** ARGV 2 the incarnation. */
const fenced = `${idempotent}
if redis.call('HGET', INC, 'incarnation') ~= ARGV[2] then return 'wrong-incarnation' end`;

/** ARGV 3 the controller's epoch. */
const controlled = `${fenced}
if redis.call('HGET', CTL, 'ctlEpoch') ~= ARGV[3] then return 'stale-controller' end`;

const script = (lua: string): RedisScript => ({ numberOfKeys: coordinationKeys.length, lua });

/**
 * ARGV since, mark. inc, seq, ctl, then pairs of hubs, entries and partitions that changed after it; then the last
 * change's opId, and 1 if the one given as mark is remembered.
 */
export const pollCluster = script(`${names}
local out = { redis.call('HGETALL', INC), redis.call('GET', SEQ) or '0', redis.call('HGETALL', CTL), {}, {}, {} }
out[7] = redis.call('LINDEX', OPL, -1) or ''
out[8] = redis.call('HEXISTS', OPS, ARGV[2])
local places = { h = { HUBS, 4 }, m = { META, 5 }, p = { PS, 6 } }
for _, what in ipairs(redis.call('ZRANGEBYSCORE', LOG, '(' .. ARGV[1], '+inf')) do
  local place = places[string.sub(what, 1, 1)]
  local field = string.sub(what, 3)
  local value = redis.call('HGET', place[1], field)
  if value then
    local list = out[place[2]]
    list[#list + 1] = field
    list[#list + 1] = value
  end
end
return out`);

/** ARGV op, clusterId, runId. The first wins. */
export const createCluster = script(`${idempotent}
if redis.call('EXISTS', INC) == 0 then
  redis.call('HSET', INC, 'clusterId', ARGV[2], 'incarnation', 1, 'runId', ARGV[3])
  redis.call('HSET', INC, 'formatVersion', 1, 'state', 'normal')
  redis.call('HSET', CTL, 'hubId', -1, 'ctlEpoch', 0)
  seq = redis.call('INCR', SEQ)
end
return answer(cjson.encode(redis.call('HGETALL', INC)))`);

/**
 * ARGV op, clusterId, incarnation, runId, seq, ctlHub, ctlEpoch, the seq that was looked at, then triples (kind h|m|p,
 * field, value). What was changed since somebody looked is not written over.
 */
export const restoreCluster = script(`${idempotent}
if tonumber(redis.call('HGET', INC, 'incarnation') or '0') >= tonumber(ARGV[3]) then return 'conflict' end
if (redis.call('GET', SEQ) or '0') ~= ARGV[8] then return 'conflict' end
redis.call('DEL', HUBS, CTL, META, PS, LOG)
redis.call('SET', SEQ, ARGV[5])
redis.call('HSET', INC, 'clusterId', ARGV[2], 'incarnation', ARGV[3], 'runId', ARGV[4])
redis.call('HSET', INC, 'formatVersion', 1, 'state', 'normal')
redis.call('HSET', CTL, 'hubId', ARGV[6], 'ctlEpoch', ARGV[7])
local places = { h = HUBS, m = META, p = PS }
for i = 9, #ARGV, 3 do
  redis.call('HSET', places[ARGV[i]], ARGV[i + 1], ARGV[i + 2])
  changed(ARGV[i] .. ':' .. ARGV[i + 1])
end
return answer(cjson.encode(redis.call('HGETALL', INC)))`);

/** ARGV op, expected incarnation, ctlEpoch, runId. */
export const raiseIncarnation = script(`${idempotent}
if redis.call('HGET', INC, 'incarnation') ~= ARGV[2] or redis.call('HGET', CTL, 'ctlEpoch') ~= ARGV[3] then
  return 'conflict'
end
redis.call('HINCRBY', INC, 'incarnation', 1)
redis.call('HSET', INC, 'runId', ARGV[4])
seq = redis.call('INCR', SEQ)
return answer(cjson.encode(redis.call('HGETALL', INC)))`);

/** ARGV op, incarnation, hub, expected epoch. */
export const acquireController = script(`${fenced}
local epoch = redis.call('HGET', CTL, 'ctlEpoch') or '0'
if epoch == ARGV[4] then
  redis.call('HSET', CTL, 'hubId', ARGV[3], 'ctlEpoch', epoch + 1)
  seq = redis.call('INCR', SEQ)
end
return answer(cjson.encode(redis.call('HGETALL', CTL)))`);

/** ARGV op, incarnation, hub, entry. */
export const registerHub = script(`${fenced}
redis.call('HSET', HUBS, ARGV[3], ARGV[4])
changed('h:' .. ARGV[3])
return answer('stored')`);

/** ARGV op, incarnation, ctlEpoch, hub. An empty entry says that it was removed. */
export const removeHub = script(`${controlled}
redis.call('HSET', HUBS, ARGV[4], '')
changed('h:' .. ARGV[4])
return answer('stored')`);

/** ARGV op, incarnation, ctlEpoch, then triples (key, expected version, '=' value or '-'). Answers seq and versions. */
export const putMeta = script(`${controlled}
local versions = {}
for i = 4, #ARGV, 3 do
  local entry = redis.call('HGET', META, ARGV[i])
  local version = entry and string.match(entry, '^(%d+) ') or '0'
  if version ~= ARGV[i + 1] then return 'conflict' end
  versions[#versions + 1] = version + 1
end
for i = 4, #ARGV, 3 do
  local at = changed('m:' .. ARGV[i])
  redis.call('HSET', META, ARGV[i], versions[(i - 4) / 3 + 1] .. ' 0 ' .. at .. ' ' .. ARGV[i + 2])
end
return answer(cjson.encode({ seq, versions }))`);

/** ARGV op, incarnation, ctlEpoch, then pairs (key, version). */
export const commitMeta = script(`${controlled}
for i = 4, #ARGV, 2 do
  local entry = redis.call('HGET', META, ARGV[i])
  local version, rest = string.match(entry or '', '^(%d+) 0 %d+ (.*)$')
  if version == ARGV[i + 1] then
    local at = changed('m:' .. ARGV[i])
    redis.call('HSET', META, ARGV[i], version .. ' 1 ' .. at .. ' ' .. rest)
  end
end
return answer('stored')`);

/**
 * ARGV op, incarnation, mode, then fives (field, ver, leader epoch, state, '').
 * mode cas: stored if ver is what stands there and the epoch not lower; assert: stored if (epoch, ver) is higher.
 * Answers for each 1 or 0, and what stands there afterwards.
 */
export const putPartitions = script(`${fenced}
local out = {}
for i = 4, #ARGV, 5 do
  local entry = redis.call('HGET', PS, ARGV[i])
  local ver, epoch = string.match(entry or '0 -1 ', '^(%d+) (%-?%d+) ')
  ver, epoch = tonumber(ver), tonumber(epoch)
  local newVer, newEpoch = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local stores
  if ARGV[3] == 'cas' then
    stores = newVer == ver and newEpoch >= epoch
    newVer = ver + 1
  else
    stores = newEpoch > epoch or (newEpoch == epoch and newVer > ver)
  end
  if stores then
    local at = changed('p:' .. ARGV[i])
    entry = string.format('%d %d %d ', newVer, newEpoch, at) .. ARGV[i + 3]
    redis.call('HSET', PS, ARGV[i], entry)
  end
  out[#out + 1] = stores and 1 or 0
  out[#out + 1] = entry or ''
end
return answer(cjson.encode(out))`);
