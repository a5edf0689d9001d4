// Package shop is an example: a shop that tells its customers on WhatsApp about
// their orders. Its tests put Portaria's sandbox in the place of WhatsApp.
package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Notice is what became of telling a customer.
type Notice string

// The notices.
const (
	Told    Notice = "told"
	Call    Notice = "call" // there is no WhatsApp behind the number
	Unasked Notice = "none" // the customer said STOP
)

// Order is an order of a customer.
type Order struct {
	Number, Phone, State string
	Notice               Notice
}

// Shop keeps orders. It is an http.Handler of webhooks.
type Shop struct {
	Portaria Portaria
	Instance string // which number of the shop's writes
	Secret   string // of the webhook
	Changed  func() // called after a notice, an answer or a STOP; nil: nobody waits

	mu       sync.Mutex // guards the rest
	orders   map[string]*Order
	silent   map[string]bool   // who said STOP, as WhatsApp calls them
	answered map[string]string // what was said, by the id of the message that it answers
}

// New returns a shop without orders.
func New(p Portaria, instance string) *Shop {
	return &Shop{
		Portaria: p, Instance: instance,
		orders: make(map[string]*Order), silent: make(map[string]bool), answered: make(map[string]string),
	}
}

// Take takes an order.
func (s *Shop) Take(o Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.State = "in the oven"
	s.orders[o.Number] = &o
}

// Order returns an order as it stands.
func (s *Shop) Order(number string) Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orders[number]; o != nil {
		return *o
	}
	return Order{}
}

// Stopped reports whether a customer said STOP.
func (s *Shop) Stopped(phone string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent[whatsAppID(phone)]
}

// Answered returns what was said to a message; empty: nothing yet.
func (s *Shop) Answered(messageID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered[messageID]
}

// outgoing is a message as the gateway takes it.
type outgoing struct {
	To       string            `json:"to"`
	Text     string            `json:"text"`
	ReplyTo  string            `json:"reply_to,omitzero"`
	SendAt   time.Time         `json:"send_at,omitzero"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Ready tells the customer that an order is ready, and reminds them at a time.
func (s *Shop) Ready(ctx context.Context, number string, remindAt time.Time) error {
	s.mu.Lock()
	o := s.orders[number]
	o.State = "ready"
	told := outgoing{To: o.Phone, Text: fmt.Sprintf("Your order %s is ready.", number), Metadata: map[string]string{"order": number}}
	s.mu.Unlock()
	if s.Stopped(told.To) {
		s.note(number, Unasked)
		return nil
	}
	err := s.send(ctx, "order-"+number+"-ready", told)
	if refused, ok := errors.AsType[*Refusal](err); ok && refused.Code == "INVALID_RECIPIENT" {
		s.note(number, Call)
		return nil
	}
	if err != nil {
		return err
	}
	reminder := outgoing{To: told.To, Text: fmt.Sprintf("Your order %s gets cold.", number), SendAt: remindAt}
	return s.send(ctx, "order-"+number+"-reminder", reminder)
}

func (s *Shop) send(ctx context.Context, idempotencyKey string, m outgoing) error {
	return s.Portaria.Ask(ctx, http.MethodPost, "/v1/instances/"+s.Instance+"/messages", idempotencyKey, m, nil)
}

func (s *Shop) note(number string, n Notice) {
	s.mu.Lock()
	if o := s.orders[number]; o != nil {
		o.Notice = n
	}
	s.mu.Unlock()
	s.changed()
}

func (s *Shop) changed() {
	if s.Changed != nil {
		s.Changed()
	}
}

// event is what the shop wants to know of an event.
type event struct {
	Type string `json:"type"`
	Data struct {
		Message message `json:"message"`
	} `json:"data"`
}

type message struct {
	ID   string `json:"id"`
	From struct {
		WAID string `json:"wa_id"`
	} `json:"from"`
	Type     string                 `json:"type"`
	Content  struct{ Body string }  `json:"content"`
	Error    struct{ Code string }  `json:"error"`
	Metadata struct{ Order string } `json:"metadata"`
}

// ServeHTTP implements http.Handler: it takes a webhook. What is not answered
// with 2xx is tried again.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the body is too large, or broke off", http.StatusBadRequest)
		return
	}
	if !Verified(s.Secret, r.Header, body, time.Now()) {
		http.Error(w, "not signed by Portaria", http.StatusUnauthorized)
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	if err := s.handle(r.Context(), e); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// handle takes an event. It may come twice, and must do no harm then.
func (s *Shop) handle(ctx context.Context, e event) error {
	m := e.Data.Message
	switch {
	case e.Type == "message.delivered" && m.Metadata.Order != "":
		s.note(m.Metadata.Order, Told)
	case e.Type == "message.failed" && m.Error.Code == "NOT_ON_WHATSAPP":
		s.note(m.Metadata.Order, Call)
	case e.Type == "message.received" && m.Type == "text":
		return s.answer(ctx, m)
	}
	return nil
}

var aNumber = regexp.MustCompile(`\b\d+\b`)

func (s *Shop) answer(ctx context.Context, m message) error {
	text := strings.TrimSpace(m.Content.Body)
	if strings.EqualFold(text, "stop") {
		s.mu.Lock()
		s.silent[m.From.WAID] = true
		s.mu.Unlock()
		s.changed()
		return nil
	}
	reply := "Which order? Send its number."
	if o := s.Order(aNumber.FindString(text)); o.Number != "" {
		reply = fmt.Sprintf("Order %s is %s.", o.Number, o.State)
	}
	if err := s.send(ctx, "answer-"+m.ID, outgoing{To: m.From.WAID, Text: reply, ReplyTo: m.ID}); err != nil {
		return err
	}
	s.mu.Lock()
	s.answered[m.ID] = reply
	s.mu.Unlock()
	s.changed()
	return nil
}

var notDigits = regexp.MustCompile(`\D`)

func whatsAppID(phone string) string {
	return notDigits.ReplaceAllString(phone, "") + "@s.whatsapp.net"
}
