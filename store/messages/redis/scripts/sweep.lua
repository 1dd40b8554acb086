-- ARGV 6 ms: a session used before then is forgotten, '' for none
-- Answers whether it is, and the objects of what is gone. What stays is kept alive.
local used = redis.call('HGET', state, 'used')
if not used then return {0} end
if ARGV[6] == '' or tonumber(used) >= tonumber(ARGV[6]) then
  keep()
  return {0}
end
local answer = objects({1})
settle()
redis.call('UNLINK', state, index, bodies, seen)
publish(session)
freed()
return answer
