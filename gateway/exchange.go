package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"portaria/messaging"
)

// exchange is one request and its answer. Exchanges are pooled with their
// buffers; nothing may keep one, or what it aliases, beyond its request.
type exchange struct {
	server  *Server
	row     *Row
	http    *fasthttp.RequestCtx
	headers headers
	call    Call
	began   time.Time
	claim   claim
	levels  levels

	body      []byte // as it was sent, once taken
	bodyTaken bool
	setAside  int64       // of the memory for long bodies
	slow      bool        // the body took so long that the handler's time begins anew
	upload    *upload     // the file of a form; nil: none
	rows      *rowsUpload // of a bulk; nil: none
	spooled   int64       // of the disk, for them
	out       []byte      // the answer's body
	scratch   []byte      // for the values of headers
	form      *form       // the answer in its stead; nil: the envelope in out
	status    int
	errorCode string
}

// keepBuffer is the largest buffer that goes back into the pool, so that a few
// large bodies do not stay in memory for ever.
const keepBuffer = 64 << 10

// begin starts an exchange.
func (s *Server) begin(c *fasthttp.RequestCtx, row *Row) *exchange {
	x, ok := s.exchanges.Get().(*exchange)
	if !ok {
		x = &exchange{server: s}
	}
	x.row, x.http, x.began = row, c, s.now()
	x.headers.read(&c.Request.Header)
	x.call = Call{RequestID: x.headers.pickRequestID(x.began), exchange: x}
	return x
}

// end sends the exchange back to the pool.
func (x *exchange) end() {
	body, out := x.body[:0], x.out[:0]
	if cap(body) > keepBuffer {
		body = nil
	}
	if cap(out) > keepBuffer {
		out = nil
	}
	if x.upload != nil {
		x.upload.spooled.Discard()
	}
	x.closeSpool()
	s := x.server
	if x.setAside > 0 {
		s.bodies.give(x.call.Grant.Lineage, x.setAside)
	}
	*x = exchange{server: s, body: body, out: out, scratch: x.scratch}
	s.exchanges.Put(x)
}

// door is the middleware of one row.
func (s *Server) door(row *Row) fiber.Handler {
	refusals := newRefusals(row)
	deadline := row.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	deadlines := newDeadlines(deadline)
	takesID, takesDelivery := hasID(row.Path), hasDelivery(row.Path)
	return func(c *fiber.Ctx) error {
		x := s.begin(c.Context(), row)
		defer x.end()
		if takesID {
			x.call.ID = c.Params("id")
		}
		if takesDelivery {
			x.call.DeliveryID = c.Params("delivery")
		}
		ref := ""
		if row.Instance == InstancePath {
			ref = c.Params("instance")
		}
		if err := x.shielded(func() error { return x.pass(deadlines.next(), ref, refusals) }); err != nil {
			x.refuse(err)
		}
		x.log()
		return nil
	}
}

// shielded runs f and turns a panic into an error, so that one request cannot
// end the process.
func (x *exchange) shielded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked{value: p, stack: debug.Stack()}
		}
	}()
	return f()
}

// panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

// Error implements error.
func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// refuse answers with the fault of err, and logs what the answer hides.
func (x *exchange) refuse(err error) {
	f, hidden := answerable(err)
	if hidden {
		attrs := []any{"request_id", x.call.RequestID, "error", err}
		if x.row != nil {
			attrs = append(attrs, "method", x.row.Method, "route", x.row.Path)
		}
		if p, ok := err.(panicked); ok { //nolint:errorlint // shielded returns it unwrapped
			attrs = append(attrs, "stack", string(p.stack))
		}
		x.server.logger.Error("request failed", attrs...)
	}
	x.errorCode = f.Code()
	x.writeFault(f)
}

// unmatchedRoute stands in the logs for requests under /v1 that no row
// matches: their paths may hold anything.
const unmatchedRoute = "/v1/*"

// longestMethod is more than any method needs that this server knows.
const longestMethod = 16

// log hands one row of api_logs to the logger.
func (x *exchange) log() {
	row := messaging.RequestLog{
		At:         x.began,
		RequestID:  x.call.RequestID,
		Method:     x.method(),
		Route:      unmatchedRoute,
		Status:     x.http.Response.StatusCode(),
		ErrorCode:  x.errorCode,
		Duration:   x.server.now().Sub(x.began),
		InstanceID: x.call.InstanceID,
		IP:         x.caller(),
		UserAgent:  userAgent(x.headers.userAgent),
	}
	if x.row != nil {
		row.Route = x.row.Path
	}
	if grant := x.call.Grant; grant != nil {
		row.WorkspaceID, row.Environment = grant.Workspace, grant.Environment
		row.KeyID, row.Lineage = grant.KeyID, grant.Lineage
	}
	x.server.logs.Log(row)
}

// method returns the request's method as the log shows it.
func (x *exchange) method() string {
	method := x.http.Method()
	if x.row != nil && string(method) == x.row.Method {
		return x.row.Method
	}
	return printable(trimmedTo(string(method), longestMethod))
}

// userAgent keeps what says enough of a User-Agent.
func userAgent(header []byte) string {
	const enough = 200
	if len(header) > enough {
		header = header[:enough]
	}
	return printable(string(header))
}

// caller returns the address of who asks, as far as the trusted proxies say.
func (x *exchange) caller() string {
	if conn, ok := x.http.Conn().(*politeConn); ok && len(x.server.trusted) == 0 {
		return conn.peer // once for all its requests
	}
	remote, ok := addressOf(x.http.RemoteAddr())
	if !ok {
		return ""
	}
	return clientIP(remote, x.headers.forwardedFor, x.server.trusted).String()
}

// addressOf returns the IP address of the other end of a connection.
func addressOf(remote net.Addr) (addr netip.Addr, ok bool) {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return addr, false
	}
	return tcp.AddrPort().Addr().Unmap(), true
}
