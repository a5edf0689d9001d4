package gateway

import (
	"slices"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

// stepInput is a step of a script: an object with one member that is named like
// its kind, or the bare name of a kind that needs no more.
type stepInput struct {
	stepObject

	bare   string // as "drop"
	isBare bool
}

// stepObject is the long form of a step.
type stepObject struct {
	Send      *sendMessage        `json:"send,omitzero" description:"Send a message: a body as that of POST …/messages."`
	Inbound   *receiveMessage     `json:"inbound,omitzero" description:"A contact does something: a body as that of POST …/inbound."`
	Expect    *expectInput        `json:"expect,omitzero"`
	Advance   *advanceInput       `json:"advance,omitzero"`
	Drop      arguments[cutOff]   `json:"drop,omitzero" description:"The connection is lost, for a time or until reconnect."`
	Reconnect arguments[nothing]  `json:"reconnect,omitzero" description:"The connection comes back."`
	Connect   arguments[nothing]  `json:"connect,omitzero" description:"As POST …/connect: begins pairing when no phone is linked."`
	Scan      arguments[scanCode] `json:"scan,omitzero" description:"A phone scans or types the code that is shown."`
	Logout    arguments[nothing]  `json:"logout,omitzero" description:"The phone removes the device."`
	Ban       arguments[cutOff]   `json:"ban,omitzero" description:"The network bans the number, for a time or for good."`

	Fails string `json:"fails,omitzero" pattern:"^[A-Z][A-Z0-9_]{0,63}$" description:"The step is to be refused with this code. Not of expect and advance." example:"INVALID_RECIPIENT"`
}

// bareKinds are those that may stand as a name alone.
var bareKinds = []runs.Kind{runs.Drop, runs.Reconnect, runs.Connect, runs.Scan, runs.Logout, runs.Ban}

// kinds lists what a step is to do: exactly one thing, unless it is wrong.
func (s *stepInput) kinds() (given []runs.Kind) {
	if s.isBare {
		return []runs.Kind{runs.Kind(s.bare)}
	}
	for _, member := range [...]struct {
		kind  runs.Kind
		given bool
	}{
		{runs.Send, s.Send != nil},
		{runs.Inbound, s.Inbound != nil},
		{runs.Expect, s.Expect != nil},
		{runs.Advance, s.Advance != nil},
		{runs.Drop, s.Drop.given},
		{runs.Reconnect, s.Reconnect.given},
		{runs.Connect, s.Connect.given},
		{runs.Scan, s.Scan.given},
		{runs.Logout, s.Logout.given},
		{runs.Ban, s.Ban.given},
	} {
		if member.given {
			given = append(given, member.kind)
		}
	}
	return given
}

// check notes what is wrong with a step; at is where it stands.
func (s *stepInput) check(call *Call, at string, fields *fault.Fields) error {
	kinds := s.kinds()
	switch {
	case s.isBare && !slices.Contains(bareKinds, kinds[0]):
		fields.Add(at, "enum", "must be an object with one step, or one of drop, reconnect, connect, scan, logout, ban")
		return nil
	case len(kinds) == 0:
		fields.Add(at, "required", "needs one of send, inbound, expect, advance, drop, reconnect, connect, scan, logout, ban")
		return nil
	case len(kinds) > 1:
		fields.Add(at+"."+string(kinds[1]), "requires", "cannot stand beside "+string(kinds[0])+": a step does one thing")
		return nil
	}
	s.checkFails(kinds[0], at, fields)
	var wrong fault.Fields
	err := s.checkKind(kinds[0], call, &wrong)
	*fields = append(*fields, within(at+"."+string(kinds[0]), wrong)...)
	return err
}

// checkFails checks the code with which a step is to be refused.
func (s *stepInput) checkFails(kind runs.Kind, at string, fields *fault.Fields) {
	switch {
	case s.Fails == "":
	case kind == runs.Expect || kind == runs.Advance:
		fields.Add(at+".fails", "requires", "does not go with "+string(kind))
	case !isCode(s.Fails):
		fields.Add(at+".fails", "pattern", "must be the code of an error, as INVALID_RECIPIENT")
	}
}

// checkKind checks what a step's kind needs.
func (s *stepInput) checkKind(kind runs.Kind, call *Call, wrong *fault.Fields) error {
	switch kind { //nolint:exhaustive // the others have nothing to check
	case runs.Send:
		return s.Send.validate(call, wrong)
	case runs.Inbound:
		return s.Inbound.check(false, wrong)
	case runs.Expect:
		s.Expect.check(wrong)
	case runs.Advance:
		s.Advance.check(wrong)
	case runs.Drop:
		return s.Drop.in.validate(call, wrong)
	case runs.Ban:
		return s.Ban.in.validate(call, wrong)
	case runs.Scan:
		return s.Scan.in.validate(call, wrong)
	}
	return nil
}

// maxCode is longer than any code of an error.
const maxCode = 64

// isCode reports whether a text can be the code of an error.
func isCode(s string) bool {
	for i, r := range s {
		upper, other := 'A' <= r && r <= 'Z', '0' <= r && r <= '9' || r == '_'
		if !upper && (i == 0 || !other) {
			return false
		}
	}
	return s != "" && len(s) <= maxCode
}

// expectInput is an event that is to come.
type expectInput struct {
	Event  messaging.EventType `json:"event" required:"true" description:"A type of event." example:"message.delivered"`
	Within string              `json:"within,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" default:"5s" description:"By the run's clock, which moves as far as it has to: at most 366d."`
	Match  matchInput          `json:"match,omitzero"`
	Absent bool                `json:"absent,omitzero" description:"The event must not come within that time."`

	within time.Duration
}

// defaultWithin is how long an event is waited for, by the run's clock.
const defaultWithin = 5 * time.Second

// check notes what is wrong with an expectation.
func (e *expectInput) check(wrong *fault.Fields) {
	switch {
	case e.Event == "":
		wrong.Add("event", "required", "is required, as message.delivered")
	case !slices.Contains(messaging.EventTypes, e.Event):
		wrong.Add("event", "enum", "is not a type of event; message.delivered is one")
	default:
		noun, _, _ := strings.Cut(string(e.Event), ".")
		e.Match.check(noun, wrong)
	}
	e.within = defaultWithin
	if e.Within == "" {
		return
	}
	d, err := messaging.ParseDuration(e.Within)
	switch {
	case err != nil:
		wrong.Add("within", "duration", "must be a whole number with a unit, as in 5s")
	case d > maxAhead:
		wrong.Add("within", "max", "must be at most 366d")
	}
	e.within = d
}
