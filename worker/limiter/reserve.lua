-- Reserves slots in the future for one model, and takes in what the caller has to report.
-- All times are microseconds of Redis TIME: no worker's clock matters. Doubles hold them exactly.
--
-- KEYS[1] the model's state (hash)      KEYS[2] the processes that use it (sorted set by last sign)
-- A slot is due at `tat`, the end of all slots given so far; tokens push `ttat` in the same way,
-- which may run ahead of now by `burst`. `hold`: nobody sends before. `level` > 0: the circuit is
-- open until `shut`, then one probe at a time. `seq`, `refused`: slots given and refusals, ever.
-- `belief` is what the processes hold true of the model; it is theirs, here it is only compared
-- and swapped by `version`.

local ask = {}
for i, name in ipairs({
  'worker', 'sign', 'slots', 'tokens', 'settled', 'version', 'proposes', 'belief', 'rate',
  'token_rate', 'hold', 'refused', 'late', 'trip', 'trip_sent', 'answered_sent', 'probe_back',
  'known_tat', 'known_ttat', 'returns', 'modest', 'horizon', 'span', 'burst', 'gap_after_loss',
  'gap_after_outage', 'state_ttl', 'sign_ttl', 'probe_ttl', 'ramp', 'in_line',
}) do
  ask[name] = ARGV[i]
  if name ~= 'worker' and name ~= 'belief' then ask[name] = tonumber(ARGV[i]) end
end

local SECOND, MINUTE, LEAD = 1000000, 60000000, 50000
local fields = {
  'version', 'rate', 'token_rate', 'tat', 'ttat', 'seq', 'refused', 'hold', 'level', 'shut',
  'opened', 'probe', 'closed', 'late', 'late_at', 'born',
  'seen',
}
local time = redis.call('TIME')
local now = tonumber(time[1]) * SECOND + tonumber(time[2])

local found = redis.call('HMGET', KEYS[1], unpack(fields))
local s = {}
for i, name in ipairs(fields) do s[name] = tonumber(found[i] or 0) or 0 end
local belief = false

-- Nothing stored: the very first call, or the state was lost. Then the caller's knowledge is the
-- seed, with nothing saved up: slots given before the loss are still on their way.
if s.version == 0 then
  s.version, s.rate, s.token_rate = ask.version, ask.rate, ask.token_rate
  if ask.version > 0 then
    local known = math.min(ask.known_tat, now + 2 * SECOND)
    s.tat = math.max(now, known) + ask.gap_after_loss
    s.ttat = math.max(now + ask.burst, math.min(ask.known_ttat, now + MINUTE))
  end
  ask.proposes, s.born = 1, now
end

-- Nobody was here for a while and the caller comes back from an outage: the others still go on
-- alone, until they notice.
if ask.returns == 1 and now - s.seen > SECOND then
  s.tat = math.max(s.tat, now + ask.gap_after_outage)
end
s.seen = now

-- Whoever proposes on the newest version wins; the others adopt and propose again.
local rate, token_rate = s.rate, s.token_rate
if s.version == ask.version then
  rate, token_rate = ask.rate, ask.token_rate
  if ask.proposes == 1 then
    s.version = s.version + 1
    redis.call('HSET', KEYS[1], 'belief', ask.belief)
  end
else
  belief = redis.call('HGET', KEYS[1], 'belief')
end

-- What is given already counts as much at the new rate as at the old.
local function rescaled(due, old, new)
  if due <= now or old <= 0 or new <= 0 then return due end
  return math.min(now + (due - now) * old / new, math.max(due, now + SECOND))
end
-- But slots that were given are used when they were due: at a higher rate the next ones come after
-- them, not among them, or the second in which they meet holds more than the new limit.
if s.rate > 0 and rate > s.rate then
  s.tat = math.min(s.tat, now + SECOND)
elseif rate ~= s.rate then
  s.tat = rescaled(s.tat, s.rate, rate)
end
if token_rate ~= s.token_rate then s.ttat = rescaled(s.ttat, s.token_rate, token_rate) end
s.rate, s.token_rate = rate, token_rate

-- Reports.
if token_rate > 0 then s.ttat = math.min(s.ttat + ask.settled * SECOND / token_rate, now + MINUTE) end
s.refused = s.refused + ask.refused
s.hold = math.max(s.hold, ask.hold)
-- A slot used late stands where the window of a later one begins: move that one, once per second.
if ask.late > 0 then
  if now - s.late_at > SECOND then s.late, s.late_at = 0, now end
  if ask.late > s.late then
    s.tat = math.max(s.tat, now) + ask.late - s.late
    s.late = ask.late
  end
end
-- The circuit: calls sent before it opened prove nothing about it.
if ask.answered_sent > s.opened and s.level > 0 then
  s.level, s.shut, s.probe, s.closed = 0, 0, 0, now
end
if ask.trip > 0 and ask.trip_sent > s.opened then
  s.level, s.opened, s.shut, s.probe = s.level + 1, now, now + ask.trip, 0
end
if ask.probe_back == 1 then s.probe = 0 end

-- Slots.
local held = math.max(s.hold, s.shut)
local spacing = 0
if rate > 0 then spacing = SECOND / rate end
if now - s.closed < ask.ramp then spacing = spacing * (2 - (now - s.closed) / ask.ramp) end
local wanted, wait, starts = ask.slots, 0, {}
local gate = held
if s.level > 0 then
  wanted = math.min(wanted, 1)
  gate = math.max(held, s.probe)
end
-- Nothing is promised behind a hold: it may yet be prolonged.
if gate - now > LEAD then wanted, wait = 0, gate - now end
-- Who has had its share leaves the next slots to whoever is in line.
if ask.modest == 1 then
  local due = s.tat
  if token_rate > 0 then due = math.max(due, s.ttat - ask.burst) end
  local ahead = due - now - ask.in_line
  if ahead > 0 then wanted, wait = 0, math.max(wait, ahead) end
end
for i = 1, wanted do
  local at = math.max(now, s.tat, gate)
  if token_rate > 0 then at = math.max(at, s.ttat - ask.burst) end
  wait = math.max(0, at - now - ask.horizon)
  if wait > 0 or (i > 1 and at - starts[1] > ask.span) then break end
  starts[i] = at
  s.tat = at + spacing
  if token_rate > 0 then
    local cost = math.min(ask.tokens * SECOND / token_rate, MINUTE)
    s.ttat = math.min(math.max(s.ttat, at) + cost, at + MINUTE)
  end
end
if s.level > 0 and #starts > 0 then s.probe = starts[1] + ask.probe_ttl end
s.seq = s.seq + #starts

-- Who is here.
if ask.sign > 0 then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now), ask.worker)
  redis.call('EXPIRE', KEYS[2], ask.state_ttl)
elseif ask.sign < 0 then
  redis.call('ZREM', KEYS[2], ask.worker)
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ask.sign_ttl))

local flat = {}
for i, name in ipairs(fields) do
  flat[2 * i - 1] = name
  flat[2 * i] = string.format('%.3f', s[name])
end
redis.call('HSET', KEYS[1], unpack(flat))
redis.call('EXPIRE', KEYS[1], ask.state_ttl)

return {
  now, s.version, belief, s.seq, s.refused, held, s.level, redis.call('ZCARD', KEYS[2]),
  s.born, s.tat, s.ttat, wait, starts,
}
