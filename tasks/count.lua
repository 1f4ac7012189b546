-- Counts the tasks of a queue by place, at one moment.
--
-- KEYS  pending, active, lease, scheduled, retry, archived, paused
-- ARGV  seconds: a lease that lasts longer shows that its worker is alive
--
-- Returns the lengths of pending, active, scheduled, retry and archived; how many of scheduled
-- and of retry are due; whether the queue is paused; the time of Redis; and for each active task
-- with a doubtful lease its id and the lease's end (0 if there is none). Times are Unix seconds.

local now = tonumber(redis.call('TIME')[1])
local counts = {
  redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[2]),
  redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[5]), redis.call('ZCARD', KEYS[6]),
  redis.call('ZCOUNT', KEYS[4], '-inf', now), redis.call('ZCOUNT', KEYS[5], '-inf', now),
  redis.call('EXISTS', KEYS[7]), now,
}
for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  local lease = tonumber(redis.call('ZSCORE', KEYS[3], id) or 0)
  if lease < now + tonumber(ARGV[1]) then
    counts[#counts + 1] = id
    counts[#counts + 1] = string.format('%d', lease)
  end
end
return counts
