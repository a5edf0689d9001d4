package gateway

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"portaria/auth"
)

// levels are what the key's buckets held after this request.
type levels struct {
	requests, messages auth.Level
	hasMessages        bool // the key has a second bucket and the row spends from it
}

// write sets the headers of API.md section 2. It writes them in scratch, and
// returns that.
func (l *levels) write(c *fasthttp.RequestCtx, now time.Time, scratch []byte) []byte {
	h := &c.Response.Header

	b := appendPolicy(scratch[:0], "key", l.requests)
	if l.hasMessages {
		b = appendPolicy(append(b, ", "...), "messages", l.messages)
	}
	h.SetCanonical(nameRateLimitPolicy, b)

	b = appendLevel(b[:0], "key", l.requests)
	if l.hasMessages {
		b = appendLevel(append(b, ", "...), "messages", l.messages)
	}
	h.SetCanonical(nameRateLimit, b)

	b = strconv.AppendInt(b[:0], l.requests.Limit, 10)
	h.SetCanonical(nameXRateLimitLimit, b)
	b = strconv.AppendInt(b[:0], l.requests.Remaining, 10)
	h.SetCanonical(nameXRateLimitRemaining, b)
	reset := wholeSeconds(time.Duration(now.UnixNano()) + l.requests.ResetIn)
	b = strconv.AppendInt(b[:0], reset, 10)
	h.SetCanonical(nameXRateLimitReset, b)
	return b
}

// appendPolicy writes "key";q=60;w=60: the sustained rate of a minute.
func appendPolicy(b []byte, name string, l auth.Level) []byte {
	b = append(append(append(b, '"'), name...), `";q=`...)
	return append(strconv.AppendInt(b, l.Limit, 10), ";w=60"...)
}

// appendLevel writes "key";r=41;t=3: whole tokens there now, and seconds until
// the bucket is full.
func appendLevel(b []byte, name string, l auth.Level) []byte {
	b = append(append(append(b, '"'), name...), `";r=`...)
	b = append(strconv.AppendInt(b, l.Remaining, 10), ";t="...)
	return strconv.AppendInt(b, wholeSeconds(l.ResetIn), 10)
}

// wholeSeconds rounds up: a caller who waits that long does not come too early.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
