-- ARGV 5 end of the quarantine, ms  6 its length, ms
-- Answers the objects of what is gone.
local gone = objects({})
redis.call('UNLINK', state, index, bodies, seen)
redis.call('SET', closed, ARGV[5], 'PX', ARGV[6])
publish(session)
return gone
