package whatsapp

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/types"

	"portaria/internal/fault"
	"portaria/messaging"
)

// checkedPerHour and checkedAtOnce are an instance's budget for checking
// numbers. Sending does not use it up.
const (
	checkedPerHour = 600
	checkedAtOnce  = 200
)

// The faults of checking numbers.
var (
	errCheckBudget = fault.New(fault.RateLimited, "RATE_LIMITED", "This instance has checked too many numbers; wait and try again.")
	errNoAnswer    = fault.ErrUnavailable.Saying("WhatsApp did not answer; try again.").After(time.Second)
)

// CheckNumbers tells for each number, in their order, whether WhatsApp knows it.
// What was asked a short while ago is not asked again. Faults: RATE_LIMITED when
// the budget is used up, UNAVAILABLE.
func (c *channel) CheckNumbers(ctx context.Context, numbers []messaging.Address) ([]messaging.NumberCheck, error) {
	if !c.enter() {
		return nil, errNoAnswer
	}
	defer c.work.Done()
	l := c.link.Load()
	if l == nil || !c.online.Load() {
		return nil, errNoAnswer
	}
	limited, cancel := context.WithTimeout(ctx, c.timing.Lookup)
	defer cancel()
	if err := c.lookUp(limited, l, numbers); err != nil {
		return nil, err
	}
	checks := make([]messaging.NumberCheck, len(numbers))
	for i, number := range numbers {
		checks[i].Input = number.Input
		p, known := c.people.find(number.WAID, c.now())
		if !known || !p.exists {
			continue
		}
		checks[i].Exists = true
		if p.to.Server == types.DefaultUserServer {
			checks[i].WAID = p.to.String()
		}
		if !p.lid.IsEmpty() {
			checks[i].LID = p.lid.String()
		}
	}
	return checks, nil
}

// lookUp asks about those numbers that are not known.
func (c *channel) lookUp(ctx context.Context, l *link, numbers []messaging.Address) error {
	ask := make(map[string]types.JID)
	for _, number := range numbers {
		if _, known := c.people.find(number.WAID, c.now()); known {
			continue
		}
		if jid, err := types.ParseJID(number.WAID); err == nil && jid.Server == types.DefaultUserServer {
			ask[number.WAID] = jid
		}
	}
	if len(ask) == 0 {
		return nil
	}
	budget := c.checks.ReserveN(time.Now(), len(ask))
	if wait := budget.Delay(); !budget.OK() || wait > 0 {
		budget.Cancel()
		return errCheckBudget.After(min(wait, time.Hour))
	}
	answers, err := c.askAbout(ctx, l, ask)
	if err != nil {
		c.log.Warn("numbers not checked", "error", err)
		return errNoAnswer
	}
	for waID, p := range answers {
		c.people.put(waID, p)
	}
	return nil
}
