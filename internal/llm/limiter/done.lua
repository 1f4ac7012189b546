-- A call has ended.
--
-- ARGV  1  its id; empty if it began while its process knew no limit
--       2  how it ended: ok, limited (a 429), closed (a 429 until a quota resets), loaded (a
--          timeout, or an endpoint with too much to do), slow (close to a timeout), other
--       3  seconds since it was sent
--       4  calls in flight when it was sent, itself included (0: unknown)
--       5  the limit that a 429 names: requests, tokens, concurrency, or empty
--       6  seconds to wait as the endpoint asks (0: it names no time)
--       7  a random number in [0, 1)
--       8  prompt tokens as counted (-1: not counted), 9 as reported
--       10 output cap
--       11 requests and 12 tokens per minute as the endpoint announces (0: none)
--       13 answered calls per second of its process while it knew no limit, and 14 the most calls
--          in flight when one of them began (0: unknown)

local id, how, took, k = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local about, retry, jitter = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local counted, reported, cap = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local free, most = tonumber(ARGV[13]), tonumber(ARGV[14])
local sent = now - took

local MIN_RATE = 1 / 30  -- calls per second to an endpoint that refuses everything
local MARK_EVERY = 3     -- seconds between two marks, from which recent calls are counted
local MIN_CLIMB = 15     -- minimum seconds until a learned rate reaches its estimate
local RETRY_AFTER = 8    -- successes before a refused window is tried again; doubles each time

advance()
for p, limit in pairs({r = tonumber(ARGV[11]), t = tonumber(ARGV[12])}) do
  if limit > 0 then s[p .. 'Announced'], s[p .. 'AnnouncedAt'] = limit, now end
end

local n = inFlight()
redis.call('ZREM', KEYS[2], id)

-- estimate learns a rate from a refusal; p is the bucket's letter. What an endpoint admits
-- between two refusals by an empty bucket or a full window is its limit. The limit can be higher
-- if the endpoint's bucket overflowed in between, so the calls of the last seconds count too.
local function estimate(p)
  local charge = s.rDone > 0 and s.tDone / s.rDone or 1000
  local each = p == 't' and charge or 1 -- what one call takes from the bucket
  -- Calls in flight were admitted too, except a few that are being refused.
  local others = math.max(0, n - 1)
  local admitted = {r = s.rDone + others, t = s.tDone + others * charge}
  local since = s.refusedAt and now - s.refusedAt
  local calls = admitted.r - (s.refusedR or 0)
  local quiet = s.rDone == s.cutR -- none admitted since the last refusal: it refuses everything
  local function begin(rate, slow)
    s[p .. 'Rate'], s[p .. 'RateAt'], s[p .. 'Slow'] = math.max(rate, MIN_RATE * each), s.at, slow
    s[p .. 'K'] = s[p .. 'K'] or MIN_CLIMB
  end
  if not since and known(p) then
    begin(rate(p), 0) -- one call too early, or the limit has changed: the next refusal shows which
  elseif not since then
    -- The endpoint's bucket was full at first, so more calls passed than its rate allows.
    begin(free > 0 and free * each / 2 or 2 * each, 1)
  elseif not quiet and (since >= 2 and calls >= 10 or since >= 20 and calls >= 3) then
    local P = string.upper(p)
    local mean = (admitted[p] - (s['refused' .. P] or 0)) / since
    local recently = 0
    if s.markAt and s.markAt > s.refusedAt and now - s.markAt < 3 * MARK_EVERY then
      recently = (s[p .. 'Done'] - s['mark' .. P]) / (now - s.markAt)
    end
    begin(math.max(mean, 0.9 * recently), 0)
    s[p .. 'K'] = math.min(60, math.max(MIN_CLIMB, 50 * since / calls))
  elseif not quiet and s[p .. 'Slow'] == 0 and calls > 0 then
    begin(0.9 * s[p .. 'Rate'], 0)
    return -- the interval is too short to measure and continues
  else
    begin((learned(p) or 0) / 2, 1)
    if calls > 0 and not quiet then return end
  end
  s.refusedAt, s.refusedR, s.refusedT = now, admitted.r, admitted.t
end

s.hi = math.max(s.hi or 0, most)

local function forget(...)
  redis.call('HDEL', KEYS[1], ...)
  for _, field in ipairs({...}) do s[field] = nil end
end
if how == 'ok' or how == 'slow' then
  s.streak = 0
end
if how == 'ok' or how == 'slow' and reported > 0 then
  s.rDone, s.tDone = s.rDone + 1, s.tDone + reported + cap
  s.hi = math.max(s.hi, k)
  if now - (s.nextAt or 0) >= MARK_EVERY then
    if s.nextAt then s.markAt, s.markR, s.markT = s.nextAt, s.nextR, s.nextT end
    s.nextAt, s.nextR, s.nextT = now, s.rDone, s.tDone
  end
  s.latency = (s.latency or took) * 0.9 + took * 0.1
  if counted > 0 and reported > 0 then
    s.ratio = math.min(3, math.max(0.3, (s.ratio or reported / counted) * 0.95 + reported / counted * 0.05))
  end
  if s.window then
    if s.ceiling and k >= s.ceiling then
      -- A single call above the ceiling passes when another one is just ending. A whole window
      -- does not.
      s.above = (s.above or 0) + 1
      if s.above >= s.window then
        if s.raised == 1 then s.edge = math.max(RETRY_AFTER, s.edge / 2) end
        s.ceiling, s.above, s.raised = k + 1, 0, 1
      end
    end
    if n >= math.floor(s.window) then
      s.successes = (s.successes or 0) + 1
      if s.gentle == 1 then
        s.window = s.window + 1 / s.window
      elseif not s.ceiling or math.floor(s.window) + 1 < s.ceiling then
        s.window = s.window + 1
      elseif s.successes >= s.edge then
        s.window, s.successes = s.ceiling, 0
      end
    end
  end
end
if how == 'slow' or how == 'loaded' then
  -- A process that knew no limit counted its own calls only.
  local together = math.max(n, k)
  if sent >= (s.slowAt or 0) and together > 1 then
    s.window, s.gentle, s.slowAt, s.successes = math.max(1, math.floor((how == 'slow' and 0.7 or 0.5) * together)), 1, now, 0
  end
  if how == 'loaded' and retry > 0 then s.at = math.max(s.at, now + retry) end
elseif how == 'closed' then
  s.at = math.max(s.at, now + retry) -- says nothing about a rate
elseif how == 'limited' then
  local new = sent >= (s.cutAt or 0) -- sent after the last refusal, so it says something new
  local tooMany = about == 'concurrency' -- refused for the calls in flight, not for the rate
  if about == '' and k > 1 then
    -- The endpoint does not say why. As many calls in flight as were admitted lately cannot be
    -- too many; more than that can. Our count and the endpoint's differ by the calls that are
    -- just ending.
    local lately = math.max(s.hi, s.hiBefore or 0)
    tooMany = k > lately * (s.window and 0.7 or 1.25)
    -- Now and then a call that the rate refuses is also one more in flight than ever. Three times
    -- in a row it is not.
    if new then s.over = k > lately and (s.over or 0) + 1 or 0 end
    tooMany = tooMany or s.over and s.over >= 3
  end
  if new then s.streak = (s.streak or 0) + 1 end
  local wait = retry
  if new and not tooMany and (retry == 0 or s.streak > 1) then
    -- The endpoint names no time, or a time that was too short.
    wait = math.max(wait, 0.05, jitter * math.min(30, 2 ^ math.min(s.streak - 1, 10)))
  elseif new and tooMany and s.streak > 1 then
    wait = math.max(wait, 0.05, jitter * math.min(30, 0.1 * 2 ^ math.min(s.streak - 1, 10)))
  end
  -- The endpoint's bucket fills during a pause. Ours does not: otherwise all calls would start at
  -- once after it, and most would be refused if the limit is lower by now, or one of a second.
  -- What collects in the endpoint's bucket is used as the rate grows.
  if wait > 0 then s.at = math.max(s.at, now + wait) end
  if tooMany then
    s.edge = s.edge or RETRY_AFTER
    if new and s.ceiling and k >= s.ceiling then s.edge = math.min(256, 2 * s.edge) end
    s.window = math.min(new and k or s.window or k, math.max(1, k - 1))
    s.ceiling, s.successes, s.above, s.raised, s.gentle, s.hi, s.hiBefore, s.over = math.max(2, k), 0, 0, 0, 0, 0, 0, 0
    -- A process that knew no limit counted its own calls only. Its ceiling is tried again at
    -- once.
    if id == '' then forget('ceiling') end
  elseif new then
    if about == '' and s.window then
      forget('window', 'ceiling')
    end
    estimate(about == 'tokens' and 't' or 'r')
    s.hi, s.hiBefore = 0, s.hi
  end
  if new then s.cutAt, s.cutR = now, s.rDone end
end
save()
return {}
