package wasim

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"portaria/internal/fault"
)

var (
	errControlQuery = fault.New(fault.Malformed, "WASIM_QUERY_INVALID", "Ask for messages with to, from, group, after and limit alone.")
	errInboundParts = fault.New(fault.Invalid, "WASIM_INBOUND_INVALID", "A message has one content: a text, a file, a location, cards or a poll.")
)

// none is the body of requests that have none.
type none struct{}

// controlHealthView tells that the server runs, and for whom.
type controlHealthView struct {
	Status    string `json:"status"`
	Addr      string `json:"addr"`
	Accounts  int    `json:"accounts"`
	Linked    int    `json:"linked"`
	Connected int    `json:"connected"`
	Received  int    `json:"received"`
}

func (s *Server) controlHealth(*http.Request, none) (any, error) {
	view := controlHealthView{Status: "ok", Addr: s.Addr(), Received: len(s.Received()), Connected: len(s.connections(""))}
	if s.isDown() {
		view.Status = "outage"
	}
	for _, a := range s.accountsOf("") {
		view.Accounts++
		view.Linked += len(a.companions())
	}
	return view, nil
}

// linkedView is an account after its phone has linked a client.
type linkedView struct {
	Phone   string   `json:"phone"`
	Devices []uint16 `json:"devices"`
}

type scanRequest struct {
	Phone string `json:"phone"`
	QR    string `json:"qr"`
}

func (s *Server) controlScan(r *http.Request, in scanRequest) (any, error) {
	return s.withPhone(in.Phone, func(p *Phone) error { return p.ScanQR(r.Context(), in.QR) })
}

type codeRequest struct {
	Phone string `json:"phone"`
	Code  string `json:"code"`
}

func (s *Server) controlTypeCode(r *http.Request, in codeRequest) (any, error) {
	return s.withPhone(in.Phone, func(p *Phone) error { return p.TypeCode(r.Context(), in.Code) })
}

func (s *Server) withPhone(number string, act func(*Phone) error) (any, error) {
	a := s.account(number)
	if a == nil {
		return nil, ErrNumber
	}
	p := &Phone{a}
	if err := act(p); err != nil {
		return nil, err
	}
	return linkedView{Phone: p.Number(), Devices: p.Devices()}, nil
}

// inboundRequest is a message of a contact to an account.
type inboundRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
	// ReplyTo is the id of the message that a text answers.
	ReplyTo string `json:"reply_to"`
	// Kind is that of a file: image, video, audio, ptt, document or sticker.
	Kind    string `json:"kind"`
	MIME    string `json:"mime_type"`
	Caption string `json:"caption"`
	Data    []byte `json:"data"` // base64

	Location *Place   `json:"location"`
	Cards    []string `json:"cards"` // vCards
	Poll     *Poll    `json:"poll"`
}

// contents counts what the request has.
func (in *inboundRequest) contents() (n int) {
	for _, given := range []bool{in.Text != "", in.isFile(), in.Location != nil, len(in.Cards) > 0, in.Poll != nil} {
		if given {
			n++
		}
	}
	return n
}

func (in *inboundRequest) isFile() bool { return in.Kind != "" || len(in.Data) > 0 }

func (s *Server) controlInbound(r *http.Request, in inboundRequest) (any, error) {
	a := s.account(in.From)
	if a == nil {
		return nil, ErrNumber
	}
	from, id, err := &Contact{a}, "", error(nil)
	switch {
	case in.contents() != 1:
		return nil, errInboundParts
	case in.Location != nil:
		id, err = from.SendLocation(r.Context(), in.To, *in.Location)
	case len(in.Cards) > 0:
		id, err = from.SendCards(r.Context(), in.To, in.Cards...)
	case in.Poll != nil:
		id, err = from.SendPoll(r.Context(), in.To, *in.Poll)
	case in.isFile():
		id, err = from.SendMedia(r.Context(), in.To, in.Kind, cmp.Or(in.MIME, "application/octet-stream"), in.Caption, in.Data)
	case in.ReplyTo != "":
		id, err = from.SendReply(r.Context(), in.To, in.ReplyTo, in.Text)
	default:
		id, err = from.SendText(r.Context(), in.To, in.Text)
	}
	if err != nil {
		return nil, err
	}
	return struct {
		ID string `json:"id"`
	}{id}, nil
}

// messageQuery chooses among what was received.
type messageQuery struct {
	to, from, group string
	after           uint64
	limit           int
}

func parseMessageQuery(r *http.Request) (messageQuery, error) {
	q := messageQuery{limit: 1000}
	for name, values := range r.URL.Query() {
		value, err := values[0], error(nil)
		switch name {
		case "to":
			q.to = digits(value)
		case "from":
			q.from = digits(value)
		case "group":
			q.group = value
		case "after":
			q.after, err = strconv.ParseUint(value, 10, 64)
		case "limit":
			q.limit, err = strconv.Atoi(value)
		default:
			err = errControlQuery
		}
		if err != nil || q.limit < 1 {
			return q, errControlQuery
		}
	}
	return q, nil
}

// controlMessages lists what contacts have decrypted, the oldest first; with a
// limit, the last ones.
func (s *Server) controlMessages(r *http.Request, _ none) (any, error) {
	q, err := parseMessageQuery(r)
	if err != nil {
		return nil, err
	}
	views := []receivedView{}
	for _, m := range s.Received() {
		if (q.to != "" && m.To != q.to) || (q.from != "" && m.From != q.from) || (q.group != "" && m.Group != q.group) || m.Order <= q.after {
			continue
		}
		views = append(views, viewReceived(m))
	}
	return views[max(0, len(views)-q.limit):], nil
}

func (s *Server) controlRestart(*http.Request, none) (any, error) {
	if err := s.Restart(); err != nil {
		return nil, err
	}
	return struct {
		Addr string `json:"addr"`
	}{s.Addr()}, nil
}

// faultRequest is a fault as the control port takes it. Durations are texts
// as 500ms, 10s or 1h.
type faultRequest struct {
	Name    FaultName `json:"name"`
	Number  string    `json:"number,omitzero"`
	Contact string    `json:"contact,omitzero"`
	Code    int       `json:"code,omitzero"`
	Ban     int       `json:"ban,omitzero"`
	Expire  string    `json:"expire,omitzero"`
	Count   int       `json:"count,omitzero"`
	Delay   string    `json:"delay,omitzero"`
	For     string    `json:"for,omitzero"`
}

func (in faultRequest) fault() (Fault, error) {
	f := Fault{Name: in.Name, Number: in.Number, Contact: in.Contact, Code: in.Code, Ban: in.Ban, Count: in.Count}
	for _, given := range []struct {
		text string
		into *time.Duration
	}{{in.Expire, &f.Expire}, {in.Delay, &f.Delay}, {in.For, &f.For}} {
		if given.text == "" {
			continue
		}
		d, err := time.ParseDuration(given.text)
		if err != nil {
			return f, ErrFault.Saying("A duration is a number and a unit, as 500ms, 10s or 1h.")
		}
		*given.into = d
	}
	return f, nil
}

func (s *Server) controlInject(_ *http.Request, in faultRequest) (any, error) {
	f, err := in.fault()
	if err != nil {
		return nil, err
	}
	met, err := s.Inject(f)
	if err != nil {
		return nil, err
	}
	return struct {
		Met     int            `json:"met"`
		Waiting []faultRequest `json:"waiting"`
	}{met, s.waitingFaults()}, nil
}

func (s *Server) controlClear(*http.Request, none) (any, error) { return none{}, s.ClearFaults() }

// controlFaults is the table of all faults, and those that wait.
func (s *Server) controlFaults(*http.Request, none) (any, error) {
	type kindView struct {
		Name    FaultName `json:"name"`
		When    Moment    `json:"when"`
		Options []string  `json:"options"`
		Needs   int       `json:"needs"`
		Help    string    `json:"help"`
		Client  string    `json:"client"`
	}
	var kinds []kindView
	for _, k := range FaultKinds() {
		kinds = append(kinds, kindView(k))
	}
	return struct {
		Kinds   []kindView     `json:"kinds"`
		Waiting []faultRequest `json:"waiting"`
	}{kinds, s.waitingFaults()}, nil
}

func (s *Server) waitingFaults() []faultRequest {
	waiting := []faultRequest{}
	text := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	for _, f := range s.Faults() {
		waiting = append(waiting, faultRequest{
			Name: f.Name, Number: f.Number, Contact: f.Contact, Code: f.Code, Ban: f.Ban, Count: f.Count,
			Expire: text(f.Expire), Delay: text(f.Delay), For: text(f.For),
		})
	}
	return waiting
}
