package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// maxDelay is the longest delay that an override may ask for.
const maxDelay = 24 * time.Hour

// The keys of an override's delay_ms.
const (
	delaySent      = string(messaging.StatusSent)
	delayDelivered = string(messaging.StatusDelivered)
	delayRead      = string(messaging.StatusRead)
)

// ValidateOverride returns what is wrong with an override; nothing for nil.
func ValidateOverride(o *messaging.Override) fault.Fields {
	var fields fault.Fields
	if o == nil {
		return nil
	}
	switch messaging.Status(o.Outcome) { //nolint:exhaustive // the others are refused alike
	case "", messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead, messaging.StatusFailed:
	default:
		fields.Add("sandbox.outcome", "enum", "must be sent, delivered, read or failed")
	}
	if o.Code != "" && o.Outcome != string(messaging.StatusFailed) {
		fields.Add("sandbox.code", "requires", "goes with the outcome failed only")
	}
	if o.Code != "" && sentence(o.Code) == "" {
		fields.Add("sandbox.code", "enum", "must be an error code of a message")
	}
	for _, status := range slices.Sorted(maps.Keys(o.DelayMS)) {
		switch ms := o.DelayMS[status]; {
		case status != delaySent && status != delayDelivered && status != delayRead:
			fields.Add("sandbox.delay_ms", "enum", "has delays for sent, delivered and read only")
		case ms < 0 || ms > maxDelay.Milliseconds():
			fields.Add("sandbox.delay_ms."+status, "range", "must lie between 0 and 86400000")
		}
	}
	return fields
}

// overridden changes a plan as an override asks. An outcome replaces what the
// recipient would do; delays apply to what is left. The delay of sent counts
// from carriage, the others from sent.
func overridden(p plan, o *messaging.Override) plan {
	switch messaging.Status(o.Outcome) { //nolint:exhaustive // ValidateOverride lets no other through
	case messaging.StatusFailed:
		if o.Code == "" {
			return plan{entry: refuse, code: codeProvider}
		}
		return plan{entry: refuse, code: o.Code}
	case messaging.StatusSent:
		p = plan{steps: silence}
	case messaging.StatusDelivered:
		p = plan{steps: deliveredOnly}
	case messaging.StatusRead:
		p = plan{steps: happySteps}
	}
	if len(o.DelayMS) == 0 || p.entry == refuse {
		return p
	}
	if d, ok := delayOf(o, delaySent); ok {
		p.ack = d
	}
	p.steps = delayed(p.steps, o)
	return p
}

// delayed returns steps at the times that an override asks for. What comes
// later than delivered keeps its distance from it, unless it has a delay of
// its own.
func delayed(steps []step, o *messaging.Override) []step {
	delivered, moved := delayOf(o, delayDelivered)
	read, readGiven := delayOf(o, delayRead)
	if !moved && !readGiven {
		return steps
	}
	steps = slices.Clone(steps)
	shift := time.Duration(0)
	for i := range steps {
		s := &steps[i]
		if s.kind == stepDelivered && moved {
			shift, moved = delivered-s.after, false
		}
		if s.kind == stepRead && readGiven {
			s.after = read
		} else {
			s.after += shift
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.after, b.after) })
	return steps
}

func delayOf(o *messaging.Override, status string) (time.Duration, bool) {
	ms, ok := o.DelayMS[status]
	return time.Duration(ms) * time.Millisecond, ok
}
