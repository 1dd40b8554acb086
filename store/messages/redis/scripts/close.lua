-- ARGV 6 end of the quarantine, ms  7 its length, ms
-- Answers the objects of what is gone.
local gone = objects({})
settle()
redis.call('UNLINK', state, index, bodies, seen)
redis.call('SET', closed, ARGV[6], 'PX', ARGV[7])
publish(session)
freed()
return gone
