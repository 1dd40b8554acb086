-- What every script on a session begins with.
--
-- KEYS   1 state   hash: born, used (ms), epoch, topics; bytes of unread messages, kept: of the marks of IDs and topics,
--                  from/SOURCE: both; per topic: topic/NAME its number, epoch/NAME, waiting/NAME; per number: last/N,
--                  released/N; full: as long as somebody may wait for room in the session, until then in ms
--        2 index   sorted set with equal scores, so ordered by its members: "NUMBER:SEQUENCE:HEADER"
--        3 bodies  hash: "NUMBER:SEQUENCE" to payload, for the payloads that are kept here
--        4 seen    set: "NUMBER:SOURCE'S LENGTH:SOURCE:ID" of every message that ever came
--        5 closed  exists while the session is in quarantine
--        6 shared  hash of all sessions: all, job/JOB and peer/SOURCE, in bytes; full/ACCOUNT of each as above
-- ARGV   1 wake    channel to publish on   2 name of the session   3 expiry, ms   4 topic   5 job
--
-- HEADER is "COST OBJECT LENGTH SOURCE+ID": the cost in bytes, the object with the payload or "-", the length of source.
-- Sequences fit in the 53 bits of a number here.
local state, index, bodies, seen, closed, shared = unpack(KEYS)
local wake, session, expiry, topic, job = unpack(ARGV)

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function number(field)
  return tonumber(redis.call('HGET', state, field) or 0)
end

local function keep()
  for _, key in ipairs({state, index, bodies, seen, shared}) do redis.call('PEXPIRE', key, expiry) end
end

-- enter is the session's and the topic's epoch, or nothing when the session is closed, or when the epoch is not the one
-- that the caller saw before: a release came between.
local function enter(token)
  if redis.call('EXISTS', closed) == 1 then return nil end
  local t = redis.call('TIME')
  redis.call('HSETNX', state, 'born', t[1] .. '.' .. t[2])
  redis.call('HSET', state, 'used', string.format('%d', now()))
  local v = redis.call('HMGET', state, 'born', 'epoch', 'epoch/' .. topic)
  local current = v[1] .. '/' .. (v[2] or '0') .. '/' .. (v[3] or '0')
  if token ~= '' and token ~= current then return nil end
  return current
end

local function place(n, sequence)
  return string.format('%09d:%016d', n, sequence)
end

-- header is cost, object ("-": none) and source of an index member.
local function header(member)
  local cost, object, length, rest = string.match(member, '^%d+:%d+:(%d+) (%S+) (%d+) (.*)$')
  return tonumber(cost), object, string.sub(rest, 1, tonumber(length))
end

-- A message of unknown source passes every filter. Spec: interop-transport 6.3.
local function passes(member, source)
  if source == '' then return true end
  local _, _, from = header(member)
  return from == source or from == ''
end

local batch = 200

-- most bounds the notes on topics that never had a message; those that had one pay for themselves.
local most = 32768

-- each calls visit with the members of topic number n from sequence low to high, in order, until it answers true.
local function each(n, low, high, visit)
  local from, to = '[' .. place(n, low), '(' .. place(n, high + 1)
  while true do
    local members = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, batch)
    for _, member in ipairs(members) do
      if visit(member) then return end
    end
    if #members < batch then return end
    from = '(' .. members[#members]
  end
end

local function publish(what)
  redis.call('PUBLISH', wake, what)
end

-- arrived wakes those who wait for a message on the topic.
local function arrived()
  if redis.call('HDEL', state, 'waiting/' .. topic) == 1 then publish(session .. '\n' .. topic) end
end

-- How long room on an account is told of after somebody was refused for lack of it, in ms. Who waits asks more often.
local wanted = 600000

-- want notes that somebody waits for room on an account: that of the session, or one that it shares.
local function want(account)
  local key, field = shared, 'full/' .. account
  if account == 'session' then key, field = state, 'full' end
  redis.call('HSET', key, field, string.format('%d', now() + wanted))
end

-- shrunk is what is left on the accounts that something was taken off.
local shrunk = {}

-- share changes what the session has on the accounts that it shares.
local function share(source, bytes)
  for _, account in ipairs({'all', 'job/' .. job, 'peer/' .. source}) do
    local left = redis.call('HINCRBY', shared, account, string.format('%d', bytes))
    if left <= 0 then redis.call('HDEL', shared, account) end
    if bytes < 0 then shrunk[account] = left end
  end
end

-- book changes what the session holds of source: unread messages, and what is kept.
local function book(source, unread, kept)
  redis.call('HINCRBY', state, 'bytes', string.format('%d', unread))
  redis.call('HINCRBY', state, 'kept', string.format('%d', kept))
  redis.call('HINCRBY', state, 'from/' .. source, string.format('%d', unread + kept))
  share(source, unread + kept)
end

-- settle gives back all that the session holds on accounts that it shares; its own keys go with it.
local function settle()
  local fields = redis.call('HGETALL', state)
  for i = 1, #fields, 2 do
    local source = string.match(fields[i], '^from/(.*)$')
    if source then share(source, -tonumber(fields[i + 1])) end
  end
end

-- remove takes a message out and returns its object, "-" for none.
local function remove(member)
  local cost, object, source = header(member)
  redis.call('ZREM', index, member)
  redis.call('HDEL', bodies, string.sub(member, 1, 26))
  book(source, -cost, 0)
  return object
end

local function add(member, body)
  local cost, object, source = header(member)
  redis.call('ZADD', index, 0, member)
  if object == '-' then redis.call('HSET', bodies, string.sub(member, 1, 26), body) end
  book(source, cost, 0)
end

-- freed tells those who wait for room how much is taken of each account that has shrunk. It comes once, at the end of a script.
local function freed()
  local at = now()
  if tonumber(redis.call('HGET', state, 'full') or 0) > at then
    publish('\n' .. string.format('%d', number('bytes')) .. '\nsession/' .. session)
  end
  for account, left in pairs(shrunk) do
    if tonumber(redis.call('HGET', shared, 'full/' .. account) or 0) > at then
      publish('\n' .. string.format('%d', left) .. '\n' .. account)
    end
    if left <= 0 then redis.call('HDEL', shared, 'full/' .. account) end
  end
end

-- objects appends the objects of all messages to list.
local function objects(list)
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local _, object = header(member)
    if object ~= '-' then list[#list + 1] = object end
  end
  return list
end
