-- The state of one limiter, shared by all workers: an endpoint, a key and a model.
--
-- KEYS[1]  hash: the state       KEYS[2]  sorted set: calls in flight by the time they are given up for dead
--
-- Two token buckets, one of requests (prefix r) and one of tokens (prefix t). A call that wants to start takes a ticket:
-- its place in both, in the order of arrival. A bucket says how far it has served (…Served) and up to where tickets
-- are given out (…Tail); both count up for ever. A call may start when both have served its ticket. Rates can
-- change at any time, and every waiter's time with them. A state that is missing begins with empty buckets.
--
-- All times are Redis' own, in seconds; numbers go in and out as text with all their digits.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function text(x) return string.format('%.17g', x) end

local s, seen = {}, {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  s[stored[i]] = tonumber(stored[i + 1])
  seen[stored[i]] = s[stored[i]]
end
if not s.gen then
  s = {gen = now, at = now, rServed = 0, rTail = 0, tServed = 0, tTail = 0, rDone = 0, tDone = 0, hi = 0}
end

local function save()
  local changed = {}
  for k, v in pairs(s) do
    if seen[k] ~= v then
      changed[#changed + 1] = k
      changed[#changed + 1] = text(v)
    end
  end
  if #changed > 0 then
    redis.call('HSET', KEYS[1], unpack(changed))
  end
  -- Only to tidy up: nothing rests on it.
  redis.call('EXPIRE', KEYS[1], 86400)
  redis.call('EXPIRE', KEYS[2], 86400)
end

local AFFIRM = 60      -- a limit that a worker announces holds for so long after its last call
local ANNOUNCED = 600  -- one that the endpoint announces
local SAFETY = 0.99    -- of a known limit: arrival times jitter, and fixed windows do not forgive
local BURST = 0.1      -- seconds' worth that a bucket keeps when nobody asks, and one call at least
local START = 2        -- seconds in which an unknown rate doubles while it is looked for

-- learned is the rate found by refusals, after CUBIC (RFC 9438): it begins a little below the last estimate, is at it after
-- k seconds, and grows faster the longer nothing is refused. Until there is an estimate it doubles (slow start).
local function learned(p)
  local rate = s[p .. 'Rate']
  if not rate then return nil end
  local x = math.max(0, now - s[p .. 'RateAt'])
  if s[p .. 'Slow'] == 1 then
    return rate * 2 ^ math.min(x / START, 40)
  end
  return rate * (1 + 0.03 * (x / s[p .. 'K'] - 1) ^ 3)
end

-- known is the limit per second that was set or announced, nil without one.
local function known(p)
  local least = nil
  local set, announced = s[p .. 'Set'], s[p .. 'Announced']
  if set and now - s[p .. 'SetAt'] <= AFFIRM then least = set end
  if announced and now - s[p .. 'AnnouncedAt'] <= ANNOUNCED and (not least or announced < least) then least = announced end
  return least and least / 60
end

-- rate is what holds now, per second; nil is no limit.
local function rate(p)
  local a, b = known(p), learned(p)
  a = a and a * SAFETY
  if a and b then return math.min(a, b) end
  return a or b
end

-- When workers set different limits the smallest holds, as long as the one who set it is there.
local function affirm(p, limit)
  if limit <= 0 then return end
  local old = s[p .. 'Set']
  if not old or limit <= old or now - s[p .. 'SetAt'] > AFFIRM then
    s[p .. 'Set'], s[p .. 'SetAt'] = limit, now
  end
end

-- slack is what a bucket holds for one who asks after nobody has asked for a while.
local function slack(p, r, charge)
  return math.max(r * BURST, p == 'r' and 1 or charge)
end

-- advance lets the buckets serve up to now. While a pause lasts s.at lies in the future.
local function advance()
  local passed = now - s.at
  if passed <= 0 then return end
  for _, p in ipairs({'r', 't'}) do
    local served, tail, r = p .. 'Served', p .. 'Tail', rate(p)
    if r then
      s[served] = math.min(s[served] + r * passed, s[tail] + slack(p, r, s.charge or 0))
    else
      s[served] = s[tail]
    end
  end
  s.at = now
end

local function inFlight()
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
  return redis.call('ZCARD', KEYS[2])
end
