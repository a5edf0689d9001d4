package gateway

import (
	"context"
	"time"

	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/messaging"
)

// pairingLink is the body of a new pairing link.
type pairingLink struct {
	ExpiresIn string `json:"expires_in,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"How long the link works: 1m to 24h, 15m by default." example:"1h"`
	PIN       string `json:"pin,omitzero" pattern:"^[0-9]{6}$" description:"Six digits that the page asks for; tell them another way than the link. Five wrong ones end the link."`

	life time.Duration
}

// validate implements validator.
func (p *pairingLink) validate(_ *Call, fields *fault.Fields) error {
	if p.ExpiresIn != "" {
		life, err := messaging.ParseDuration(p.ExpiresIn)
		if err != nil || life == 0 {
			fields.Add("expires_in", "duration", "must be a whole number with a unit, as in 15m")
		}
		p.life = life
	}
	pairlink.CheckLife(fields, p.life)
	pairlink.CheckPIN(fields, p.PIN)
	return nil
}

// pairingLinkView is a new pairing link.
type pairingLinkView struct {
	InstanceID string    `json:"instance_id"`
	URL        nullable  `json:"url" description:"For the phone's owner; shown once. Null in the answer to a repeated request."`
	ExpiresAt  timestamp `json:"expires_at"`
	AsksPIN    bool      `json:"asks_pin"`
}

func viewPairingLink(l pairlink.Link) pairingLinkView {
	return pairingLinkView{InstanceID: l.InstanceID, ExpiresAt: timestamp(l.ExpiresAt), AsksPIN: l.AsksPIN()}
}

// createPairingLink makes a one-time page for the owner of a phone.
func (s *Server) createPairingLink(ctx context.Context, call *Call, req pairingLink) (pairingLinkView, error) {
	if err := pairable(call.Instance); err != nil {
		return pairingLinkView{}, err
	}
	draft := pairlink.Draft{Tenancy: call.Tenancy, InstanceID: call.InstanceID, ExpiresIn: req.life, PIN: req.PIN}
	if call.Idempotent() {
		draft.ClaimFor = func(l pairlink.Link) (*messaging.Claim, error) { return call.ClaimInstead(viewPairingLink(l)) }
	}
	token, link, err := s.links.Create(ctx, draft)
	view := viewPairingLink(link)
	view.URL = nullable(s.publicURL() + PairPath + token.Reveal())
	return view, err
}
