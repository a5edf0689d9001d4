package gateway

import (
	"context"
	"errors"
	"time"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// connectInstance asks for a connection, or for pairing.
func (s *Server) connectInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.connections.Connect(ctx, call.Tenancy, call.InstanceID, "")
	return s.viewInstance(instance), err
}

// disconnectInstance ends the connection and the desire for one.
func (s *Server) disconnectInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.connections.Disconnect(ctx, call.Tenancy, call.InstanceID)
	return s.viewInstance(instance), err
}

// restartInstance makes the connection anew.
func (s *Server) restartInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.connections.Restart(ctx, call.Tenancy, call.InstanceID)
	return s.viewInstance(instance), err
}

// logoutInstance unlinks the phone.
func (s *Server) logoutInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.connections.Logout(ctx, call.Tenancy, call.InstanceID)
	return s.viewInstance(instance), err
}

// pairingMoment is what is known of an instance's pairing at one moment.
type pairingMoment struct {
	instance messaging.Instance
	pairing  messaging.Pairing
	shown    bool // there is something to scan or to type
}

// connected reports whether there is nothing left to pair.
func (m *pairingMoment) connected() bool { return m.instance.State == messaging.InstanceConnected }

// over reports whether the pairing has ended, or never begun: nothing will be
// shown until somebody asks again.
func (m *pairingMoment) over() bool {
	if m.shown || m.instance.Ask == messaging.AskConnect {
		return false
	}
	return m.instance.State != messaging.InstancePairing && m.instance.State != messaging.InstanceConnecting
}

// momentPatience is how long one look waits for a code that is not there yet;
// who looks comes again.
const momentPatience = time.Second

// pairingNow looks at an instance's pairing.
func (s *Server) pairingNow(ctx context.Context, t messaging.Tenancy, id string) (pairingMoment, error) {
	var m pairingMoment
	brief, cancel := context.WithTimeout(ctx, momentPatience)
	defer cancel()
	pairing, err := s.connections.Pairing(brief, t, id)
	switch {
	case err == nil:
		m.pairing, m.shown = pairing, true
	case errors.Is(err, instances.ErrNotPairing), errors.Is(err, instances.ErrAlreadyConnected):
	case brief.Err() != nil && ctx.Err() == nil:
	default:
		return m, err
	}
	m.instance, err = s.instances.Resolve(ctx, t, id)
	return m, err
}

// pairingPoll is how often a pairing is looked at unless something is known to
// have changed: another process may show it a new code.
const pairingPoll = time.Second

// followPairing calls look with the pairing as it stands, now and whenever it
// may have changed, until look says that it is done or ctx ends.
func (s *Server) followPairing(
	ctx context.Context, t messaging.Tenancy, id string, look func(m *pairingMoment) (done bool, err error),
) error {
	changes, stop := s.connections.Watch(id)
	defer stop()
	tick := time.NewTicker(pairingPoll)
	defer tick.Stop()
	for {
		m, err := s.pairingNow(ctx, t, id)
		if err != nil {
			return err
		}
		if done, err := look(&m); done || err != nil {
			return err
		}
		select {
		case <-changes:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pairingCode is the body of a request for a code.
type pairingCode struct {
	Phone string `json:"phone" required:"true" minLength:"1" description:"The number of the phone that will be linked, in international form." example:"+55 11 91234-5678"`

	digits string
}

// validate implements validator.
func (p *pairingCode) validate(_ *Call, fields *fault.Fields) error {
	p.digits = checkPhone(fields, p.Phone)
	return nil
}

// checkPhone returns the digits of a phone's number.
func checkPhone(fields *fault.Fields, phone string) string {
	if phone == "" {
		fields.Add("phone", "required", "is required")
		return ""
	}
	address, err := outbox.ParseRecipient(phone)
	if err != nil || address.Phone() == "" {
		fields.Add("phone", "format", "must be a phone number in international form, as +5511912345678")
		return ""
	}
	return address.Phone()
}

// pairingCodeView is a code to be typed on the phone.
type pairingCodeView struct {
	Code      nullable  `json:"code" description:"Null in the answer to a repeated request: a code is shown once."`
	ExpiresAt timestamp `json:"expires_at"`
}

// codePatience is how long a request waits for its code: it comes from the
// network.
const codePatience = 12 * time.Second

// pairByCode begins pairing by a code and waits for it.
func (s *Server) pairByCode(ctx context.Context, call *Call, req pairingCode) (pairingCodeView, error) {
	if err := pairable(call.Instance); err != nil {
		return pairingCodeView{}, err
	}
	before, err := s.pairingNow(ctx, call.Tenancy, call.InstanceID)
	if err != nil {
		return pairingCodeView{}, err
	}
	running := before.instance.State == messaging.InstancePairing && before.instance.PairPhone == req.digits &&
		before.pairing.Code != "" && call.Now().Before(before.pairing.ExpiresAt)
	if running {
		return codeAnswer(call, before.pairing)
	}
	if _, err := s.connections.Connect(ctx, call.Tenancy, call.InstanceID, req.digits); err != nil {
		return pairingCodeView{}, err
	}
	pairing, err := s.awaitCode(ctx, call, before.pairing.Code)
	if err != nil {
		return pairingCodeView{}, err
	}
	return codeAnswer(call, pairing)
}

// pairable refuses an instance that has a phone already.
func pairable(i messaging.Instance) error {
	switch {
	case i.State == messaging.InstanceConnected:
		return instances.ErrAlreadyConnected
	case i.Linked():
		return instances.ErrNotPairing.Saying("A phone is linked already: connect the instance, or log it out to link another one.")
	default:
		return nil
	}
}

// awaitCode waits for a code that is another one than before.
func (s *Server) awaitCode(ctx context.Context, call *Call, before string) (found messaging.Pairing, err error) {
	ctx, cancel := call.Patiently(ctx, codePatience)
	defer cancel()
	err = s.followPairing(ctx, call.Tenancy, call.InstanceID, func(m *pairingMoment) (bool, error) {
		switch {
		case m.connected():
			return true, instances.ErrAlreadyConnected
		case m.shown && m.pairing.Code != "" && m.pairing.Code != before:
			found = m.pairing
			return true, nil
		case m.over():
			return true, instances.ErrNotPairing.Saying("The pairing ended before there was a code; try again.").
				With("state_reason", m.instance.StateReason)
		default:
			return false, nil
		}
	})
	if ctx.Err() != nil && err != nil {
		err = fault.ErrUnavailable.Saying("The network has not given a code yet; try again.").Because(err)
	}
	return found, err
}

// codeAnswer shows a code, and has it left out of what is kept.
func codeAnswer(call *Call, p messaging.Pairing) (pairingCodeView, error) {
	v := pairingCodeView{ExpiresAt: timestamp(p.ExpiresAt)}
	if call.Idempotent() {
		if err := call.KeepInstead(v); err != nil {
			return v, err
		}
	}
	v.Code = nullable(p.Code)
	return v, nil
}
