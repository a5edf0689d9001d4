package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/internal/fault"
)

// The media types in which answers come beside JSON.
const (
	formPNG    = "image/png"
	formSVG    = "image/svg+xml"
	formText   = "text/plain"
	formEvents = "text/event-stream"
)

// form is an answer in another shape than the envelope: bytes as they are, a
// file, or a stream of events.
type form struct {
	mediaType string
	body      []byte
	file      *fileBody
	stream    func(w *bufio.Writer) // nil: body is all
}

// formed is an answer that is sent in another form when it has one, and else as
// Data in the envelope.
type formed[T any] struct {
	Data  T
	other *form
}

// answer describes the envelope; the row's Forms describe the others.
func (formed[T]) answer() any { return dataAnswer[T]{} }

func (f formed[T]) inForm() (data any, other *form) { return f.Data, f.other }

// manyFormed is a formed answer of anything.
type manyFormed interface {
	inForm() (data any, other *form)
}

// Prefers returns which of the media types the caller wants most, by its
// Accept; JSON when it wants none of them. Of equals the first one counts.
func (c *Call) Prefers(forms ...string) string {
	const usual = "application/json"
	best, weight := usual, acceptance(c.exchange.headers.accept, usual)
	for _, form := range forms {
		if q := acceptance(c.exchange.headers.accept, form); q > weight {
			best, weight = form, q
		}
	}
	return best
}

// acceptance is the weight that an Accept gives a media type: that of the most
// particular range which fits.
func acceptance(accept []byte, mediaType string) (weight float64) {
	major, _, _ := strings.Cut(mediaType, "/")
	particular := 0
	for entry := range strings.SplitSeq(string(accept), ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(entry), ";")
		rank := 0
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case mediaType:
			rank = 3
		case major + "/*":
			rank = 2
		case "*/*":
			rank = 1
		}
		if rank > particular {
			particular, weight = rank, quality(parameters)
		}
	}
	return weight
}

// quality reads the q of a range's parameters: 1 when there is none, 0 when it
// cannot be read.
func quality(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		text, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q=")
		if !ok {
			continue
		}
		q, err := strconv.ParseFloat(text, 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN is neither
			return 0
		}
		return q
	}
	return 1
}

// sendForm writes an answer that is not the envelope.
func (x *exchange) sendForm() {
	x.http.Response.SetStatusCode(x.status)
	x.http.Response.Header.SetContentType(x.form.mediaType)
	setHeader(x.http, "X-Content-Type-Options", "nosniff")
	switch {
	case x.form.file != nil:
		x.sendFile()
	case x.form.stream != nil:
		x.http.SetConnectionClose()
		setHeader(x.http, "X-Accel-Buffering", "no") // proxies must not collect what is told at once
		x.http.SetBodyStreamWriter(x.form.stream)
	default:
		x.http.Response.SetBody(x.form.body)
	}
	x.writeHeaders()
}

const (
	// pairingLife is how long a stream of codes lasts at most.
	pairingLife = 5 * time.Minute
	// heartbeat is how often a silent stream shows that it lives, and finds out
	// that a reader has vanished without hanging up.
	heartbeat = 15 * time.Second
	// maxStreams bounds the streams of the whole server: each is a goroutine and
	// asks the database every second.
	maxStreams = 500
	// streamsEach bounds those of one key lineage, so that none takes them all.
	streamsEach = 20
)

// events is what a stream of events is written to.
type events struct {
	w     *bufio.Writer
	wrote time.Time
	gone  func() bool // whether the reader has hung up; nil: it is not known
}

// send writes one event with its data as JSON.
func (e *events) send(name string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return e.write("event: " + name + "\ndata: " + string(encoded) + "\n\n")
}

// beat keeps a silent stream alive. It fails once the reader has gone.
func (e *events) beat() error {
	if e.gone != nil && e.gone() {
		return errReaderGone
	}
	if time.Since(e.wrote) < heartbeat {
		return nil
	}
	return e.write(": still here\n\n")
}

func (e *events) write(text string) error {
	e.wrote = time.Now()
	if _, err := e.w.WriteString(text); err != nil {
		return err
	}
	return e.w.Flush()
}

// stream makes an answer of events that tell writes. tell outlives the request:
// it must keep nothing of the call. Its context ends with the server, and after
// life unless that is zero; when the reader goes, writing or beat fails. It
// returns when the stream is to end. Fault: fault.ErrUnavailable when there are too many streams.
func (c *Call) stream(life time.Duration, tell func(ctx context.Context, out *events) error) (*form, error) {
	x := c.exchange
	if string(x.http.Method()) == http.MethodHead {
		return &form{mediaType: formEvents}, nil
	}
	s, requestID, lineage := x.server, x.call.RequestID, x.call.Grant.Lineage
	gone := hungUp(x.http.Conn())
	if !s.streams.take(lineage, 1) {
		return nil, fault.ErrUnavailable.Saying("Too many streams are open; try again.").After(5 * time.Second)
	}
	return &form{mediaType: formEvents, stream: func(w *bufio.Writer) {
		defer s.streams.give(lineage, 1)
		defer func() {
			if p := recover(); p != nil {
				s.logger.Error("stream failed", "request_id", requestID, "error", panicked{value: p}, "stack", string(debug.Stack()))
			}
		}()
		ctx := s.stopping
		if life > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, life)
			defer cancel()
		}
		if err := tell(ctx, &events{w: w, wrote: time.Now(), gone: gone}); err != nil && ctx.Err() == nil {
			s.logger.Debug("stream ended", "request_id", requestID, "error", err)
		}
	}}, nil
}

// Recheck returns a question that outlives the request: whether the caller's
// key still opens doors. A stream must not go on for a key that was revoked.
func (c *Call) Recheck() func(ctx context.Context) error {
	token, err := c.exchange.headers.token()
	authenticator := c.exchange.server.auth
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		_, refused := authenticator.Authenticate(ctx, token)
		return refused
	}
}
