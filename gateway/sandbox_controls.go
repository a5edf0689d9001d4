package gateway

import (
	"context"
	"strings"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

// scanCode is the body of POST …/scan.
type scanCode struct {
	Code string `json:"code,omitzero" maxLength:"1024" description:"The pairing code, the QR's text, or the link that it is. Left out: whatever is shown." example:"ABCD-1234"`
}

// maxShownCode is longer than any code or link that is shown.
const maxShownCode = 1024

// validate implements validator.
func (c *scanCode) validate(_ *Call, fields *fault.Fields) error {
	if len(c.Code) > maxShownCode {
		fields.Add("code", "max_length", "must not be longer than 1024 characters")
	}
	return nil
}

// shown returns the code as the sandbox knows it. The QR is kept as a token and
// shown as a link, under whichever address the server was asked.
func (c *scanCode) shown() string {
	code := strings.TrimSpace(c.Code)
	if _, token, ok := strings.Cut(code, ScanPath); ok {
		return sandbox.LinkQR(token)
	}
	return code
}

// lapse is how long something lasts.
type lapse struct {
	Seconds *float64 `json:"seconds,omitzero" exclusiveMinimum:"0" maximum:"31622400" description:"By the sandbox clock, at most 366 days; fractions are allowed." example:"30"`
}

// check notes what is wrong with the time, and returns it; zero when there is
// none.
func (l *lapse) check(fields *fault.Fields) time.Duration {
	if l.Seconds == nil {
		return 0
	}
	lasts := secondsOf(*l.Seconds)
	if lasts <= 0 {
		fields.Add("seconds", "range", "must be more than 0, and at most 31622400")
	}
	return lasts
}

// secondsOf returns a time given in seconds; negative when it is longer than
// anything may last here.
func secondsOf(n float64) time.Duration {
	if n > maxAdvanceSeconds {
		return -1
	}
	return time.Duration(n * float64(time.Second))
}

// cutOff is the body of POST …/drop and …/ban.
type cutOff struct {
	lapse

	lasts time.Duration
}

// validate implements validator.
func (c *cutOff) validate(_ *Call, fields *fault.Fields) error {
	c.lasts = c.check(fields)
	return nil
}

// scanCode links a simulated phone to an instance that is being paired.
func (s *Server) scanCode(ctx context.Context, call *Call, req scanCode) (instanceView, error) {
	if err := s.awaitPairing(ctx, call); err != nil {
		return instanceView{}, err
	}
	return s.control(ctx, call, instanceState{messaging.InstanceConnected, ""}, func(i messaging.TestInstance) error {
		return s.controls.Scan(ctx, i, req.shown())
	})
}

// awaitPairing lets a pairing that was asked for a moment ago begin.
func (s *Server) awaitPairing(ctx context.Context, call *Call) error {
	brief, cancel := context.WithTimeout(ctx, momentPatience)
	defer cancel()
	err := s.followPairing(brief, call.Tenancy, call.InstanceID, func(m *pairingMoment) (bool, error) {
		call.Instance = m.instance
		return m.over() || m.connected() || m.shown && m.instance.State == messaging.InstancePairing, nil
	})
	if brief.Err() != nil && ctx.Err() == nil {
		return nil // there is no code; the phone will say so
	}
	return err
}

// dropConnection cuts an instance's connection.
func (s *Server) dropConnection(ctx context.Context, call *Call, req cutOff) (instanceView, error) {
	return s.control(ctx, call, instanceState{messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable}, func(i messaging.TestInstance) error {
		return s.controls.Drop(ctx, i, req.lasts)
	})
}

// reconnectInstance brings a connection back.
func (s *Server) reconnectInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	return s.control(ctx, call, instanceState{messaging.InstanceConnected, ""}, func(i messaging.TestInstance) error {
		return s.controls.Reconnect(ctx, i)
	})
}

// removeDevice unlinks the phone from its own side.
func (s *Server) removeDevice(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	return s.control(ctx, call, instanceState{messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved}, func(i messaging.TestInstance) error {
		return s.controls.Logout(ctx, i)
	})
}

// banInstance bans an instance's number.
func (s *Server) banInstance(ctx context.Context, call *Call, req cutOff) (instanceView, error) {
	brings := instanceState{messaging.InstanceBanned, messaging.ReasonBanned}
	if req.lasts > 0 {
		brings = instanceState{messaging.InstanceRestricted, messaging.ReasonTemporaryBan}
	}
	return s.control(ctx, call, brings, func(i messaging.TestInstance) error { return s.controls.Ban(ctx, i, req.lasts) })
}

// instanceState is what a control brings an instance to.
type instanceState struct {
	state  messaging.InstanceState
	reason string
}

// controlPatience is how long an answer waits for the instance to show what was
// done to it.
const controlPatience = time.Second

// control does something to the call's instance and shows the instance after it.
// What was done is recorded by then, and the instance shows it a moment later:
// should that take too long, as when another process has the instance, the
// answer says what will be shown.
func (s *Server) control(ctx context.Context, call *Call, brings instanceState, act func(messaging.TestInstance) error) (instanceView, error) {
	before := call.Instance
	test, ok := before.Test()
	if !ok {
		return instanceView{}, auth.ErrWrongEnvironment
	}
	changes, stop := s.connections.Watch(before.ID)
	defer stop()
	if err := act(test); err != nil {
		return instanceView{}, err
	}
	patience := time.NewTimer(controlPatience)
	defer patience.Stop()
	for {
		i, err := s.instances.Resolve(ctx, call.Tenancy, before.ID)
		if err != nil {
			return instanceView{}, err
		}
		if i.State == brings.state || !i.StateSince.Equal(before.StateSince) {
			return s.viewInstance(i), nil
		}
		select {
		case <-changes:
		case <-patience.C:
			i.State, i.StateReason, i.StateSince = brings.state, brings.reason, s.clockOf(call.Tenancy).Now()
			return s.viewInstance(i), nil
		case <-ctx.Done():
			return instanceView{}, ctx.Err()
		}
	}
}
