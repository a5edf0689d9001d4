package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/internal/qrcode"
	"portaria/messaging"
)

// What the page of a pairing link asks for. These requests have no key: the
// token in their path opens one instance, and nothing of it but its name and
// its pairing. They are no part of the API.

// The rows of the page are not in the table: they have no scopes. Their
// patterns stand in the log, where a token must not. Nobody writes to them.
var (
	pairRow       = Row{Method: http.MethodGet, Path: PairPath + "{token}"}
	pairStateRow  = Row{Method: http.MethodGet, Path: PairPath + "{token}/state"}
	pairBeginRow  = Row{Method: http.MethodPost, Path: PairPath + "{token}/begin", BodyLimit: pageBodyLimit}
	pairUnlockRow = Row{Method: http.MethodPost, Path: PairPath + "{token}/unlock", BodyLimit: pageBodyLimit}
)

const (
	// pageBodyLimit is the largest body of the page's requests.
	pageBodyLimit = 1 << 10
	// missesPerMinute is how many unknown tokens and wrong PINs one address may
	// send; beyond them it waits.
	missesPerMinute = 20
	// beginsPerMinute is how many pairings one link may begin: each is a session
	// at the network.
	beginsPerMinute = 6
	// looksPerMinute is how often one link may be asked how its pairing stands:
	// pages ask every two seconds.
	looksPerMinute = 240
	// pairTokenLength is the length of a token, to refuse others without a query.
	pairTokenLength = 26
)

// mountPairing mounts the page and its requests.
func (s *Server) mountPairing() error {
	page, err := newPairPage()
	if err != nil {
		return err
	}
	s.page = page
	if err := s.open(PairPath+":token", s.showPairPage); err != nil {
		return err
	}
	if err := s.open(PairPath+":token/state", s.pairStep(&pairStateRow, s.stateStep)); err != nil {
		return err
	}
	s.app.Add(http.MethodPost, PairPath+":token/begin", s.pairStep(&pairBeginRow, s.beginStep))
	s.app.Add(http.MethodPost, PairPath+":token/unlock", s.pairStep(&pairUnlockRow, s.unlockStep))
	return nil
}

// pairStep answers one request of the page: the link first, then the body, then
// the act.
func (s *Server) pairStep(row *Row, act func(ctx context.Context, x *exchange, token string, link pairlink.Link) (any, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := s.begin(c.Context(), row)
		defer x.end()
		token := c.Params("token")
		ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
		defer cancel()
		x.secretive()
		if err := x.shielded(func() error {
			link, err := x.openLink(ctx, token, string(x.http.Request.Header.Peek("Pairing-Session")))
			if err != nil && (row != &pairUnlockRow || !errors.Is(err, pairlink.ErrPINRequired)) {
				return err
			}
			if err := x.takeBody(); err != nil {
				return err
			}
			data, err := act(ctx, x, token, link)
			if err != nil {
				return err
			}
			return x.answerOpen(data)
		}); err != nil {
			x.refuse(err)
		}
		return nil
	}
}

// openLink finds the link of a token. An address that has missed too often
// waits, whether or not it is right this time.
func (x *exchange) openLink(ctx context.Context, token, session string) (pairlink.Link, error) {
	s, who := x.server, x.stranger()
	if err := s.misses.take(who, x.began, 0); err != nil {
		return pairlink.Link{}, err
	}
	if len(token) != pairTokenLength || !plainText(token) {
		_ = s.misses.take(who, x.began, 1)
		return pairlink.Link{}, fault.ErrNotFound
	}
	link, err := s.links.Open(ctx, token, session)
	wrongSession := session != "" && errors.Is(err, pairlink.ErrPINRequired)
	if f := fault.As(err); f != nil && f.Is(fault.ErrNotFound) || wrongSession {
		_ = s.misses.take(who, x.began, 1)
	}
	return link, err
}

// pairStatus is what the page shows of a pairing.
type pairStatus string

// The statuses.
const (
	pairIdle       pairStatus = "idle"     // nothing is going on: somebody must begin
	pairStarting   pairStatus = "starting" // no code is there yet
	pairQR         pairStatus = "qr"
	pairCode       pairStatus = "code"
	pairConnecting pairStatus = "connecting"
	pairConnected  pairStatus = "connected"
)

// pairStateView is all that the page is told.
type pairStateView struct {
	Instance    string     `json:"instance"` // its name
	Status      pairStatus `json:"status"`
	QR          string     `json:"qr,omitzero"`   // a data URI
	Code        string     `json:"code,omitzero"` // ABCD-1234
	ExpiresInMS int64      `json:"expires_in_ms,omitzero"`
}

// stateStep shows how the pairing stands.
func (s *Server) stateStep(ctx context.Context, x *exchange, _ string, link pairlink.Link) (any, error) {
	q := query{args: x.http.QueryArgs()}
	if err := q.close(); err != nil {
		return nil, err
	}
	if err := s.looks.take(link.TokenHash, x.began, 1); err != nil {
		return nil, err
	}
	m, err := s.pairingNow(ctx, link.Tenancy, link.InstanceID)
	if err != nil {
		return nil, err
	}
	return s.showMoment(ctx, link, &m)
}

// showMoment puts a moment into the page's words. The first connection uses the
// link up.
func (s *Server) showMoment(ctx context.Context, link pairlink.Link, m *pairingMoment) (pairStateView, error) {
	view := pairStateView{Instance: m.instance.Name}
	switch {
	case m.connected():
		view.Status = pairConnected
		return view, s.links.Use(ctx, link.InstanceID)
	case m.over():
		view.Status = pairIdle
		return view, nil
	case !m.shown && m.instance.Linked(), m.instance.State == messaging.InstanceConnecting:
		view.Status = pairConnecting
		return view, nil
	case !m.shown:
		view.Status = pairStarting
		return view, nil
	}
	left := m.pairing.ExpiresAt.Sub(s.clockOf(link.Tenancy).Now())
	view.ExpiresInMS = max(left.Milliseconds(), 0)
	if m.pairing.Code != "" {
		view.Status, view.Code = pairCode, m.pairing.Code
		return view, nil
	}
	code, err := qrcode.New(s.shownQR(m.pairing.QR))
	if err != nil {
		return view, err
	}
	view.Status, view.QR = pairQR, "data:image/svg+xml;base64,"+base64.StdEncoding.EncodeToString(code.SVG())
	return view, nil
}

// beginPairing is the body of the page's wish to begin.
type beginPairing struct {
	Phone string `json:"phone,omitzero"` // empty: by QR

	digits string
}

// validate implements validator.
func (b *beginPairing) validate(_ *Call, fields *fault.Fields) error {
	if b.Phone != "" {
		b.digits = checkPhone(fields, b.Phone)
	}
	return nil
}

// beginStep begins pairing, unless the one that is wanted is under way. It
// answers how the pairing stands.
func (s *Server) beginStep(ctx context.Context, x *exchange, _ string, link pairlink.Link) (any, error) {
	var wish beginPairing
	if err := decodeBody(x.body, &wish, &x.call); err != nil {
		return nil, err
	}
	m, err := s.pairingNow(ctx, link.Tenancy, link.InstanceID)
	if err != nil {
		return nil, err
	}
	underWay := !m.over() && m.instance.PairPhone == wish.digits
	if m.connected() || underWay {
		return s.showMoment(ctx, link, &m)
	}
	if err := s.begins.take(link.TokenHash, x.began, 1); err != nil {
		return nil, err
	}
	m.instance, err = s.connections.Connect(ctx, link.Tenancy, link.InstanceID, wish.digits)
	if err != nil {
		return nil, err
	}
	s.logger.Info("pairing begun by link", "instance", link.InstanceID, "by_code", wish.digits != "")
	m.shown = false // what was shown belonged to the pairing before
	return s.showMoment(ctx, link, &m)
}

// unlockPairing is the body of a PIN.
type unlockPairing struct {
	PIN string `json:"pin"`
}

// validate implements validator.
func (u *unlockPairing) validate(_ *Call, fields *fault.Fields) error {
	if u.PIN == "" {
		fields.Add("pin", "required", "is required")
	}
	pairlink.CheckPIN(fields, u.PIN)
	return nil
}

// unlockedView is what the page shows from then on.
type unlockedView struct {
	Session string `json:"session"`
}

// unlockStep takes the PIN.
func (s *Server) unlockStep(ctx context.Context, x *exchange, token string, _ pairlink.Link) (any, error) {
	var try unlockPairing
	if err := decodeBody(x.body, &try, &x.call); err != nil {
		return nil, err
	}
	session, err := s.links.Unlock(ctx, token, try.PIN)
	if errors.Is(err, pairlink.ErrPINWrong) || errors.Is(err, pairlink.ErrBlocked) {
		_ = s.misses.take(x.stranger(), x.began, 1)
	}
	return unlockedView{Session: session}, err
}
