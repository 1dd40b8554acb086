-- ARGV 6 epoch or ''  7 source  8 highest acknowledged sequence  9 'pop' or 'next'
-- Answers {'empty' or 'message', epoch, member, payload, object of each message that was acknowledged ...}
local token = enter(ARGV[6])
if not token then return {'released'} end
local source, pop = ARGV[7], ARGV[9] == 'pop'
local answer = {'empty', token, '', ''}
local n = redis.call('HGET', state, 'topic/' .. topic)
if n then
  local last = number('last/' .. n)
  local ack = math.max(0, math.min(tonumber(ARGV[8]), last))
  local before = number('bytes')
  each(n, 0, ack, function(member)
    if passes(member, source) then
      local object = remove(member)
      if object ~= '-' then answer[#answer + 1] = object end
    end
  end)
  each(n, ack + 1, last, function(member)
    if not passes(member, source) then return false end
    answer[1], answer[3] = 'message', member
    answer[4] = redis.call('HGET', bodies, string.sub(member, 1, 26)) or ''
    if pop then remove(member) end
    return true
  end)
  if number('bytes') < before then freed() end
end
-- Who reads may name any topic: one without a message is noted only so often, and its reader asks again by itself.
if answer[1] == 'empty' and (n or redis.call('HLEN', state) < most) then redis.call('HSET', state, 'waiting/' .. topic, 1) end
keep()
return answer
