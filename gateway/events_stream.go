package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"portaria/events/stream"
	"portaria/internal/fault"
	"portaria/messaging"
)

// streamEvents is the query of GET /v1/events/stream.
type streamEvents struct {
	Type        string `query:"type" description:"Types as message.delivered, families as message.*, or *; several are parted by commas. Absent: everything." example:"message.*,instance.logged_out"`
	After       string `query:"after" description:"An event's id: what came behind it is told first."`
	LastEventID string `header:"Last-Event-ID" description:"As after, and stronger: event sources send it by themselves when they connect again."`

	types []string
}

// readQuery implements queryReader.
func (s *streamEvents) readQuery(q *query) {
	s.After = q.id("after", messaging.EventPrefix)
	list := q.text("type")
	if list == "" {
		return
	}
	for pattern := range strings.SplitSeq(list, ",") {
		pattern = strings.TrimSpace(pattern)
		if !isEventPattern(pattern) {
			q.wrong.Add("type", "enum", "is not a type or a family of events")
			return
		}
		s.types = append(s.types, pattern)
	}
}

// isEventPattern reports whether a text is a type of event, a family of them as
// message.*, or *.
func isEventPattern(pattern string) bool {
	return slices.ContainsFunc(messaging.EventTypes, func(t messaging.EventType) bool {
		return string(t) == pattern || t.Matches(pattern)
	})
}

// streamed is an answer that is a stream of events and nothing else.
type streamed struct{ formed[nothing] }

// answer implements what answerOf asks for: there is no JSON.
func (streamed) answer() any { return nil }

// streamEvents tells of events as they happen.
func (s *Server) streamEvents(_ context.Context, call *Call, req streamEvents) (streamed, error) {
	after, err := call.lastEventID(req.After)
	if err != nil {
		return streamed{}, err
	}
	subscription := stream.Subscription{
		World: messaging.World{WorkspaceID: call.Tenancy.Workspace(), Environment: call.Tenancy.Environment()},
		Allow: call.Tenancy.Allowlist(), Types: req.types, InstanceID: call.InstanceID, After: after,
	}
	recheck, portuguese, requestID := call.Recheck(), call.exchange.headers.wantsPortuguese(), call.RequestID
	other, err := call.stream(0, func(ctx context.Context, out *events) error {
		l := eventListener{ctx: ctx, out: out, recheck: recheck, checked: time.Now(), portuguese: portuguese, last: after}
		if err := out.write("retry: 2000\n\n"); err != nil {
			return err
		}
		err := s.streaming.Follow(ctx, subscription, &l)
		reason := streamEnd(err)
		if reason == nil {
			return err
		}
		if reason.Is(fault.ErrUnavailable) {
			s.logger.Error("a stream of events ended", "request_id", requestID, "error", err)
		}
		return l.dropped(reason)
	})
	return streamed{formed[nothing]{other: other}}, err
}

// lastEventID returns behind which event a stream begins; empty: now. What an
// event source has heard since counts more than what its URL says.
// Fault: fault.ErrBadRequest.
func (c *Call) lastEventID(after string) (string, error) {
	last := string(c.exchange.http.Request.Header.Peek("Last-Event-ID"))
	if last == "" {
		return after, nil
	}
	if !messaging.ValidID(messaging.EventPrefix, last) {
		return "", fault.ErrBadRequest.Saying("Last-Event-ID is not the id of an event.")
	}
	return last, nil
}

// errTooSlow is told to who cannot keep up with its events.
var errTooSlow = fault.New(fault.Unavailable, "TOO_SLOW",
	"You read more slowly than events happen: connect again with Last-Event-ID, and narrow what you listen to.")

// errReaderGone ends a stream that nobody reads any more.
var errReaderGone = errors.New("the reader has gone")

// streamEnd is what a listener is told of the end of its stream; nil when nobody
// listens.
func streamEnd(err error) *fault.Fault {
	switch f := fault.As(err); {
	case errors.Is(err, errReaderGone):
		return nil
	case errors.Is(err, stream.ErrSlow):
		return errTooSlow
	case errors.Is(err, stream.ErrStopped), errors.Is(err, context.Canceled):
		return fault.ErrShuttingDown
	case f != nil && f.Kind() == fault.Unauthenticated:
		return f
	default:
		return fault.ErrUnavailable
	}
}

// recheckEvery is how often a stream asks whether its key still opens doors.
// Together with the time in which other processes' changes are noticed
// (auth.Directory, 250 ms), it ends within a second of a revocation.
const recheckEvery = 200 * time.Millisecond

// eventListener writes what a subscription brings.
type eventListener struct {
	ctx        context.Context //nolint:containedctx // of the stream that it lives in
	out        *events
	recheck    func(ctx context.Context) error
	checked    time.Time
	portuguese bool
	last       string // the last event that was told, or asked for
}

var _ stream.Listener = (*eventListener)(nil)

// Tell implements stream.Listener.
func (l *eventListener) Tell(item *stream.Item) error {
	if err := l.check(); err != nil {
		return err
	}
	if l.out.frame(item.ID, string(item.Type), item.Data) != nil {
		return errReaderGone
	}
	l.last = item.ID
	return nil
}

// gapView says which events a stream cannot tell any more.
type gapView struct {
	After nullable `json:"after"`
	First nullable `json:"first"`
}

// Gap implements stream.Listener.
func (l *eventListener) Gap(after, first string) error {
	return gone(l.out.send("gap", gapView{nullable(after), nullable(first)}))
}

// Flush implements stream.Listener.
func (l *eventListener) Flush() error { return gone(l.out.flush()) }

// Still implements stream.Listener.
func (l *eventListener) Still() error {
	if err := l.check(); err != nil {
		return err
	}
	return gone(l.out.beat())
}

func gone(err error) error {
	if err != nil {
		return errReaderGone
	}
	return nil
}

// check asks from time to time whether the key is still good. Not to know it for
// a moment is no reason to end the stream.
func (l *eventListener) check() error {
	if time.Since(l.checked) < recheckEvery {
		return nil
	}
	err := l.recheck(l.ctx)
	if f := fault.As(err); f != nil && f.Kind().Temporary() {
		return nil
	}
	l.checked = time.Now()
	return err
}

// droppedView says why a stream ends.
type droppedView struct {
	Code        string   `json:"code"`
	Message     string   `json:"message"`
	LastEventID nullable `json:"last_event_id"`
}

// dropped tells the listener why its stream ends, and behind which event to go
// on.
func (l *eventListener) dropped(why *fault.Fault) error {
	said := faultError{Code: why.Code(), Message: why.Message()}
	if l.portuguese {
		said = inPortuguese(said)
	}
	return l.out.send("dropped", droppedView{Code: said.Code, Message: said.Message, LastEventID: nullable(l.last)})
}

// frame writes an event with its id, and data that is one line; flush sends it.
func (e *events) frame(id, name string, data []byte) error {
	for _, part := range [...]string{"id: ", id, "\nevent: ", name, "\ndata: "} {
		if _, err := e.w.WriteString(part); err != nil {
			return err
		}
	}
	if _, err := e.w.Write(data); err != nil {
		return err
	}
	_, err := e.w.WriteString("\n\n")
	return err
}

// flush sends what has been written.
func (e *events) flush() error {
	if e.w.Buffered() == 0 {
		return nil
	}
	e.wrote = time.Now()
	return e.w.Flush()
}
