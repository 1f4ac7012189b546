-- The state of one limiter, shared by all processes: that of an endpoint, a key and a model. The
-- other scripts begin with this one.
--
-- KEYS[1]  hash: the state
-- KEYS[2]  sorted set: calls in flight, by the time at which they count as lost
--
-- There are two token buckets, one of requests (prefix r) and one of tokens (prefix t). A call
-- takes a ticket: its place in both buckets, in the order of arrival. A bucket knows up to which
-- place it has served (…Served) and up to which place tickets are issued (…Tail). Both numbers
-- only grow. A call may start when both buckets have served its ticket. A rate can change at any
-- time, and then the waiting time of every ticket changes. A missing state begins with empty
-- buckets.
--
-- All times are in seconds of Redis' clock. Numbers go in and out as text with all digits.

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
  -- For cleanup only.
  redis.call('EXPIRE', KEYS[1], 86400)
  redis.call('EXPIRE', KEYS[2], 86400)
end

local SET_FOR = 60          -- seconds that a limit set by a process applies after its last call
local ANNOUNCED_FOR = 600   -- seconds that a limit announced by the endpoint applies
local SAFETY = 0.99         -- share of a known limit that is used: arrival times jitter, and
                            -- a fixed window refuses every call above its limit
local BURST = 0.1           -- seconds of its rate that an idle bucket keeps, and at least one call
local DOUBLING = 2          -- seconds in which an unknown rate doubles (slow start)

-- learned returns the rate learned from refusals, after CUBIC (RFC 9438). It begins a little
-- below the last estimate, reaches it after k seconds, and grows faster the longer nothing is
-- refused. Until there is an estimate it doubles (slow start).
local function learned(p)
  local rate = s[p .. 'Rate']
  if not rate then return nil end
  local x = math.max(0, now - s[p .. 'RateAt'])
  if s[p .. 'Slow'] == 1 then
    return rate * 2 ^ math.min(x / DOUBLING, 40)
  end
  return rate * (1 + 0.03 * (x / s[p .. 'K'] - 1) ^ 3)
end

-- known returns the limit per second that is set or announced, or nil.
local function known(p)
  local least = nil
  local given, announced = s[p .. 'Set'], s[p .. 'Announced']
  if given and now - s[p .. 'SetAt'] <= SET_FOR then least = given end
  if announced and now - s[p .. 'AnnouncedAt'] <= ANNOUNCED_FOR and (not least or announced < least) then least = announced end
  return least and least / 60
end

-- rate returns the rate per second that applies now, or nil without a limit.
local function rate(p)
  local a, b = known(p), learned(p)
  a = a and a * SAFETY
  if a and b then return math.min(a, b) end
  return a or b
end

-- set records the limit that a process sets. If processes set different limits, the smallest one
-- applies while its process makes calls.
local function set(p, limit)
  if limit <= 0 then return end
  local old = s[p .. 'Set']
  if not old or limit <= old or now - s[p .. 'SetAt'] > SET_FOR then
    s[p .. 'Set'], s[p .. 'SetAt'] = limit, now
  end
end

-- slack returns what an idle bucket holds.
local function slack(p, r, charge)
  return math.max(r * BURST, p == 'r' and 1 or charge)
end

-- advance makes the buckets serve up to now. During a pause, s.at is in the future.
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

-- inFlight removes the calls that count as lost and returns the number of the others.
local function inFlight()
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
  return redis.call('ZCARD', KEYS[2])
end
