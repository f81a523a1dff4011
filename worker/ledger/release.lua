-- Gives up claims on call keys. KEYS: one per call. ARGV[1]: owner; claims of others stay.
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    redis.call('DEL', key)
  end
end
return #KEYS
