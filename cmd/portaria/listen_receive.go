package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/events/webhooks"
)

const (
	// maxWebhook bounds the body of a webhook that is received.
	maxWebhook = 1 << 20
	// farewell is how long webhooks in hand may take once the command is to end.
	farewell = 5 * time.Second
	// rememberedIDs is how many webhook-ids are remembered, to tell repeats.
	rememberedIDs = 10_000
)

// receive is a webhook's endpoint until ctx ends.
func (cmd *listenCmd) receive(ctx context.Context, out *eventPrinter, secrets []webhooks.Secret) error {
	if len(secrets) == 0 {
		return usageError("--receive: needs --secret, or PORTARIA_WEBHOOK_SECRET: the webhook's secret as it was shown when it was made")
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", cmd.Receive)
	if err != nil {
		return errListen.Saying("The address cannot be listened on: another program may use the port, or the address is not this machine's. Choose another --receive.").Because(err)
	}
	r := &receiver{out: out, secrets: secrets, forward: cmd.newForwarder(nil), now: time.Now, failed: make(chan error, 1)}
	out.note("receiving webhooks at http://%s", listener.Addr())
	return r.serve(ctx, listener)
}

// receiver verifies webhooks and shows them.
type receiver struct {
	out     *eventPrinter
	secrets []webhooks.Secret
	forward *forwarder // nil: nobody is told
	now     func() time.Time
	seen    memory
	failed  chan error // that events cannot be shown any more
}

// serve answers until ctx ends, which is no error.
func (r *receiver) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	var err error
	select {
	case err = <-ended:
		return err
	case err = <-r.failed:
	case <-ctx.Done():
	}
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if server.Shutdown(patient) != nil {
		_ = server.Close()
	}
	<-ended
	return err
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "webhooks are posted")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxWebhook))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		r.refuse(w, req, http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
		return
	}
	if err != nil {
		r.refuse(w, req, http.StatusBadRequest, "the body broke off")
		return
	}
	if status, why := r.verify(req.Header, body); why != "" {
		r.refuse(w, req, status, why)
		return
	}
	r.accept(w, req, body)
}

// verify says with which status and why a webhook is refused; "" when it is not.
func (r *receiver) verify(h http.Header, body []byte) (status int, why string) {
	switch err := webhooks.Verify(h, body, r.now(), r.secrets...); {
	case err == nil:
		return 0, ""
	case errors.Is(err, webhooks.ErrNotSigned):
		return http.StatusBadRequest, err.Error()
	default:
		return http.StatusUnauthorized, err.Error()
	}
}

// refuse answers and tells why.
func (r *receiver) refuse(w http.ResponseWriter, req *http.Request, status int, why string) {
	r.out.beside("refused with %d: %s (webhook-id %s, from %s)", status, why, printable(orDash(req.Header.Get(webhooks.HeaderID))), req.RemoteAddr)
	answer(w, status, why)
}

// accept shows a webhook, and answers what the program behind says of it.
func (r *receiver) accept(w http.ResponseWriter, req *http.Request, body []byte) {
	id := req.Header.Get(webhooks.HeaderID)
	remark := "verified"
	if repeat := r.seen.add(id); repeat {
		remark = "verified, repeat"
		if r.out.json {
			r.out.beside("  %s repeat", printable(id))
		}
	}
	if err := r.out.event(readEvent(jsontext.Value(body)), remark); err != nil {
		select {
		case r.failed <- err:
		default: // it is known
		}
		answer(w, http.StatusServiceUnavailable, "the receiver cannot show events any more")
		return
	}
	if r.forward == nil {
		answer(w, http.StatusOK, "ok")
		return
	}
	// As it came: the program verifies it with the same secret.
	headers := make(http.Header)
	for _, name := range []string{"Content-Type", "User-Agent", webhooks.HeaderID, webhooks.HeaderTimestamp, webhooks.HeaderSignature} {
		headers.Set(name, req.Header.Get(name))
	}
	o := r.forward.post(req.Context(), headers, body)
	r.out.forwarded(id, o)
	if o.status == 0 {
		answer(w, http.StatusBadGateway, "the program that this is forwarded to does not answer")
		return
	}
	if o.contentType != "" {
		w.Header().Set("Content-Type", o.contentType)
	}
	w.WriteHeader(o.status)
	_, _ = w.Write(o.answer) // whoever has gone needs no answer
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // whoever has gone needs no answer
}

// memory remembers the last ids. The zero value is ready.
type memory struct {
	mu    sync.Mutex
	known map[string]bool
	order []string // a ring, once it is full
	next  int
}

// add reports whether an id was known already.
func (m *memory) add(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[id] {
		return true
	}
	if m.known == nil {
		m.known = make(map[string]bool)
	}
	m.known[id] = true
	if len(m.order) < rememberedIDs {
		m.order = append(m.order, id)
		return false
	}
	delete(m.known, m.order[m.next])
	m.order[m.next] = id
	m.next = (m.next + 1) % rememberedIDs
	return false
}
