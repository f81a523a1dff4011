-- Claims call keys for one owner, so that two processes never pay for the same request at once.
-- KEYS: one per call. ARGV[1]: owner. ARGV[2]: time to live, ms.
-- Answers the places (from 1) of the keys that another owner holds.
local lost = {}
for place, key in ipairs(KEYS) do
  if not redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[2]) then
    if redis.call('GET', key) == ARGV[1] then
      redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    else
      lost[#lost + 1] = place
    end
  end
end
return lost
