"""What `GlobalAsyncLimiter` runs inside of Redis: one atomic step of its own clock for a whole queue.

Two ways to count, two scripts each: `TAKE` admits from the front of a list of costs as many as fit and records
them; `PLAN` tells, recording nothing, when the last of a list fits. Instants are whole microseconds of the
server's clock. All scripts know the bucket as KEYS[1], and as their first arguments the limit, the rate, the
period and the name of the instance. Lists come as one argument of numbers between spaces: a client spends more
time on packing an argument than on anything else. Costs come in runs, each a cost and how many callers in a row
ask for it: fifty callers who want one call each are "1 50".

The sliding log is a sorted set of `instance|request|item`, scored with seconds: a request is one call of a script,
its items are all that was granted in it. Lua prints a number in more time than it joins strings, so that ten items
share one: the names of fifty take 11 us in place of 17.

Members that were recorded in the future (the clock was set back) still count, for two periods at most: those that lie
further ahead are counted as made now, or a large step back would close the bucket until the clock catches up.
"""

from typing import Final

_HEAD: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local bucket, instance = KEYS[1], ARGV[4]
local limit, rate, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local lifetime = math.ceil(period / 500) + 1000
local function numbers(text)
    local list = {}
    for word in string.gmatch(text, '%S+') do list[#list + 1] = tonumber(word) end
    return list
end
local function answer(granted, wait, used, mark)
    return string.format('%.0f %.0f %.0f %.0f %s', granted, wait, now, used, mark)
end
"""

_LOG: Final = """
local function seconds(us) return string.format('%d.%06d', math.floor(us / 1000000), us % 1000000) end
local digits = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9'}
local function micros(score) return math.floor(tonumber(score) * 1000000 + 0.5) end
local function in_chunks(command, list)
    for first = 1, #list, 2000 do
        redis.call(command, bucket, unpack(list, first, math.min(first + 1999, #list)))
    end
end
"""

LOG_TAKE: Final = (
    _HEAD
    + _LOG
    + """
local stamp, back, gone = seconds(now), numbers(ARGV[6]), {}
for i = 1, #back, 3 do
    local start = instance .. '|' .. back[i] .. '|'
    for item = back[i + 1], back[i + 1] + back[i + 2] - 1 do gone[#gone + 1] = start .. item end
end
in_chunks('ZREM', gone)
redis.call('ZREMRANGEBYSCORE', bucket, '-inf', seconds(now - period))
local newest = redis.call('ZRANGE', bucket, -1, -1, 'WITHSCORES')[2]
if newest and micros(newest) > now + period then
    local moved = {}
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', bucket, '(' .. stamp, '+inf')) do
        moved[#moved + 1] = stamp
        moved[#moved + 1] = member
    end
    in_chunks('ZADD', moved)
end
local count, runs, granted, lacking = redis.call('ZCARD', bucket), numbers(ARGV[7]), 0, 0
local room = limit - count
for i = 1, #runs, 2 do
    local cost, callers = runs[i], runs[i + 1]
    local fit = math.max(0, math.min(callers, math.floor(room / cost)))
    granted, room = granted + fit, room - fit * cost
    if fit < callers then
        lacking = cost - room
        break
    end
end
local added, start = limit - count - room, instance .. '|' .. ARGV[5] .. '|'
for first = 0, added - 1, 1000 do
    local words, size = {}, 0
    for ten = first, math.min(first + 999, added - 1), 10 do
        local stem = ten > 0 and start .. math.floor(ten / 10) or start
        for unit = 1, math.min(10, added - ten) do
            words[size + 1], words[size + 2] = stamp, stem .. digits[unit]
            size = size + 2
        end
    end
    redis.call('ZADD', bucket, unpack(words))
end
if granted > 0 then redis.call('PEXPIRE', bucket, lifetime) end
local wait = 0
if lacking > 0 then
    wait = micros(redis.call('ZRANGE', bucket, lacking - 1, lacking - 1, 'WITHSCORES')[2]) + period - now
end
return answer(granted, wait, count + added, '')
"""
)

LOG_PLAN: Final = (
    _HEAD
    + _LOG
    + """
local times, at = {}, now
local scored = redis.call('ZRANGEBYSCORE', bucket, '(' .. seconds(now - period), '+inf', 'WITHSCORES')
for i = 2, #scored, 2 do times[#times + 1] = micros(scored[i]) end
local runs = numbers(ARGV[5])
for i = 1, #runs, 2 do
    local cost = runs[i]
    for _ = 1, runs[i + 1] do
        local surplus = #times + cost - limit
        if surplus > 0 then at = math.max(at, times[surplus] + period) end
        for _ = 1, cost do times[#times + 1] = at end
    end
end
return at - now
"""
)

_PACE: Final = """
local function span(cost) return math.ceil(cost * period / rate) end
local due = tonumber(redis.call('GET', bucket) or 0)
if due > now + span(limit) + period then due = now + span(limit) end
"""

PACE_TAKE: Final = (
    _HEAD
    + _PACE
    + """
local back, granted, room = numbers(ARGV[6]), 0, span(limit)
for i = 1, #back, 2 do
    -- After a later call nobody knows whether the pace had a gap in between: then it stays counted.
    if back[i] == due then due = due - span(back[i + 1]) end
end
local function admit()
    local runs = numbers(ARGV[7])
    for i = 1, #runs, 2 do
        local step = span(runs[i])
        for _ = 1, runs[i + 1] do
            local after = math.max(due, now) + step
            if after - room > now then return after - room - now end
            due, granted = after, granted + 1
        end
    end
    return 0
end
local wait = admit()
local mark = string.format('%.0f', due)
if due > now then
    redis.call('SET', bucket, mark, 'PX', lifetime + math.ceil((due - now) / 1000))
else
    redis.call('DEL', bucket)  -- all of it was given back
end
return answer(granted, wait, math.min(limit, math.ceil(math.max(0, due - now) * rate / period)), mark)
"""
)

PACE_PLAN: Final = (
    _HEAD
    + _PACE
    + """
local at, runs = now, numbers(ARGV[5])
for i = 1, #runs, 2 do
    for _ = 1, runs[i + 1] do
        due = math.max(due, at) + span(runs[i])
        at = math.max(at, due - span(limit))
    end
end
return at - now
"""
)
