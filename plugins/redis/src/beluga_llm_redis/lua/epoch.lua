-- Whether the state is the one that the asker knows, or was lost.

local epoch, grace, usual, clock = unpack(call('HMGET', FACTS, 'epoch', 'grace', 'usual', 'clock'))
if clock and now < clock - LATER then
    for i = 1, SHARED do call('DEL', KEYS[i]) end
    epoch, grace, usual = nil, nil, nil
end
local created = not epoch
if created then
    epoch = r.fresh
    call('HSET', FACTS, 'epoch', epoch)
end
if created or r.keep then
    call('HSET', FACTS, 'clock', num(now))
    keep(FACTS, KEPT)
end
if r.epoch and r.epoch ~= epoch and not r.rejoin then return 'lost|' .. epoch end
if r.rejoin then
    local back = call('HINCRBY', FACTS, 'back', 1)
    local all = math.max(r.peers, tonumber(call('HGET', FACTS, 'all') or 0))
    if back >= all then grace = num(now) elseif not grace then grace = num(now + r.grace) end
    call('HSET', FACTS, 'grace', grace, 'all', all)
end
