-- Who waits, in the order of the tickets.

local function leave(who, it)
    call('ZREM', LINE, who)
    call('ZREM', SEEN, who)
    call('HDEL', NEEDS, who)
    call('ZREM', it.line, who)
    call('ZREM', it.seen, who)
end

local function in_the_lead(line, seen, ticket)
    for _, gone in ipairs(call('ZRANGEBYSCORE', seen, '-inf', num(now))) do
        call('ZREM', line, gone)
        call('ZREM', seen, gone)
        call('HDEL', NEEDS, gone)
    end
    if not ticket then return call('ZCARD', line) end
    return call('ZCOUNT', line, '-inf', '(' .. ticket)
end

local function awake_in_the_lead(lead, ticket)
    local soon = now + LATER * 1.25 + PUNCTUAL
    if lead == 0 or call('ZCOUNT', SEEN, '(' .. num(soon), '+inf') == 0 then return lead end
    local before = ticket and '(' .. ticket or '+inf'
    for _, other in ipairs(call('ZRANGEBYSCORE', LINE, '-inf', before)) do
        if tonumber(call('ZSCORE', SEEN, other) or 0) > soon then lead = lead - 1 end
    end
    return lead
end

local function queue(line, seen, who, ticket, again)
    call('ZADD', line, ticket, who)
    call('ZADD', seen, num(now + again * 1.25 + PUNCTUAL), who)
    keep(line, KEPT)
    keep(seen, KEPT)
end
