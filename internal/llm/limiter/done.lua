-- A call has ended.
--
-- ARGV: 1 its id; 2 how: ok, limited, slow (a timeout, or near to one), other; 3 seconds since it was sent; 4 calls in
-- flight when it was sent, itself included (0: unknown); 5 what it says about the limit: requests, tokens, concurrency or
-- nothing; 6 seconds to wait as the endpoint asks (0: does not say); 7 a random number in [0, 1); 8 prompt tokens as counted
-- (-1: not counted), 9 as reported, 10 output cap; 11 requests and 12 tokens a minute as the endpoint announces (0: does
-- not); 13 calls a second that this worker got through while it knew no limit, and 14 the most at once (0: unknown).

local id, how, took, k = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local about, retry, jitter = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local counted, reported, cap = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local free, most = tonumber(ARGV[13]), tonumber(ARGV[14])
local sent = now - took

local LEAST = 1 / 30 -- calls a second at which an endpoint that refuses everything is still asked
local MARK = 3        -- seconds between the marks by which the last seconds are counted
local CLIMB = 15    -- seconds, at the least, until a learned rate is at its estimate; from then on it grows beyond
local EDGE = 8       -- successes before a window that was refused once is tried again; doubles each time

advance()
for p, limit in pairs({r = tonumber(ARGV[11]), t = tonumber(ARGV[12])}) do
  if limit > 0 then s[p .. 'Announced'], s[p .. 'AnnouncedAt'] = limit, now end
end

local n = inFlight()
redis.call('ZREM', KEYS[2], id)

-- estimate learns a rate from a refusal. Between two refusals by a used-up bucket or window, what was admitted is what the
-- limit gives; at the least, for a bucket that overflowed meanwhile gave less than it could, so that what went through in
-- the last seconds counts too. p is the bucket's letter.
local function estimate(p)
  local charge = s.rDone > 0 and s.tDone / s.rDone or 1000
  local each = p == 't' and charge or 1 -- what a call takes of the bucket
  -- Calls in flight were admitted, too, but for some that are just being refused.
  local others = math.max(0, n - 1)
  local admitted = {r = s.rDone + others, t = s.tDone + others * charge}
  local since = s.refusedAt and now - s.refusedAt
  local calls = admitted.r - (s.refusedR or 0)
  local quiet = s.rDone == s.cutR -- nothing was admitted since the last refusal: this is no limit but a shut door
  local function begin(rate, slow)
    s[p .. 'Rate'], s[p .. 'RateAt'], s[p .. 'Slow'] = math.max(rate, LEAST * each), s.at, slow
    s[p .. 'K'] = s[p .. 'K'] or CLIMB
  end
  if not since and known(p) then
    begin(rate(p), 0) -- one call too early, or the limit has changed: the next refusal tells
  elseif not since then
    -- The endpoint's bucket was full at first, so that what went through says too much.
    begin(free > 0 and free * each / 2 or 2 * each, 1)
  elseif not quiet and (since >= 2 and calls >= 10 or since >= 20 and calls >= 3) then
    local P = string.upper(p)
    local mean = (admitted[p] - (s['refused' .. P] or 0)) / since
    local recently = 0
    if s.markAt and s.markAt > s.refusedAt and now - s.markAt < 3 * MARK then
      recently = (s[p .. 'Done'] - s['mark' .. P]) / (now - s.markAt)
    end
    begin(math.max(mean, 0.9 * recently), 0)
    s[p .. 'K'] = math.min(60, math.max(CLIMB, 50 * since / calls))
  elseif not quiet and s[p .. 'Slow'] == 0 and calls > 0 then
    begin(0.9 * s[p .. 'Rate'], 0)
    return -- too short to measure: the interval goes on
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
  if now - (s.nextAt or 0) >= MARK then
    if s.nextAt then s.markAt, s.markR, s.markT = s.nextAt, s.nextR, s.nextT end
    s.nextAt, s.nextR, s.nextT = now, s.rDone, s.tDone
  end
  s.latency = (s.latency or took) * 0.9 + took * 0.1
  if counted > 0 and reported > 0 then
    s.ratio = math.min(3, math.max(0.3, (s.ratio or reported / counted) * 0.95 + reported / counted * 0.05))
  end
  if s.window then
    if s.ceiling and k >= s.ceiling then
      -- A single one gets through when another is just ending; a window's worth does not.
      s.above = (s.above or 0) + 1
      if s.above >= s.window then
        if s.raised == 1 then s.edge = math.max(EDGE, s.edge / 2) end
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
if how == 'slow' then
  if sent >= (s.slowAt or 0) and n > 1 then
    s.window, s.gentle, s.slowAt, s.successes = math.max(1, math.floor(0.7 * n)), 1, now, 0
  end
elseif how == 'limited' then
  local new = sent >= (s.cutAt or 0) -- not an echo of a refusal that is known
  local crowd = about == 'concurrency'
  if about == '' and k > 1 then
    -- Nothing says why. As many at once as have been admitted lately cannot be too many; more than that can. Ours and the
    -- endpoint's count differ by the calls that are just ending.
    local lately = math.max(s.hi, s.hiBefore or 0)
    crowd = k > lately * (s.window and 0.7 or 1.25)
    -- Once in a while a call that a rate refuses is also one more than ever; three times running it is not.
    if new then s.over = k > lately and (s.over or 0) + 1 or 0 end
    crowd = crowd or s.over and s.over >= 3
  end
  if new then s.streak = (s.streak or 0) + 1 end
  local wait = retry
  if new and not crowd and (retry == 0 or s.streak > 1) then
    -- An answer that names no time, or whose time was too short.
    wait = math.max(wait, 0.05, jitter * math.min(30, 2 ^ math.min(s.streak - 1, 10)))
  elseif new and crowd and s.streak > 1 then
    wait = math.max(wait, 0.05, jitter * math.min(30, 0.1 * 2 ^ math.min(s.streak - 1, 10)))
  end
  -- The endpoint's bucket fills during a pause. Ours does not: the calls after it would come all at once, and if the limit is a lower one
  -- by now, or one of a second, most would be refused. What gathers there is taken as the rate grows.
  if wait > 0 then s.at = math.max(s.at, now + wait) end
  if crowd then
    s.edge = s.edge or EDGE
    if new and s.ceiling and k >= s.ceiling then s.edge = math.min(256, 2 * s.edge) end
    s.window = math.min(new and k or s.window or k, math.max(1, k - 1))
    s.ceiling, s.successes, s.above, s.raised, s.gentle, s.hi, s.hiBefore, s.over = math.max(2, k), 0, 0, 0, 0, 0, 0, 0
    -- A process that counted by itself knows nothing of the others: what it takes for too many is tried again at once.
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
