-- Requests for wrk that differ from one to the next: `wrk ... -s wrk.lua URL -- FILE`, where FILE holds, one after the
-- other, a length in decimal on a line and as many bytes. Prints one line of JSON at the end, times in microseconds.
local requests, at = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for length in file:lines() do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '{"requests": %d, "us": %d, "failed": %d, "p50_us": %.1f, "p99_us": %.1f}\n',
      summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
