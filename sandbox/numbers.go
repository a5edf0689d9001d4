package sandbox

import (
	"context"

	"portaria/messaging"
)

// CheckNumbers tells which numbers the simulated network knows: all but those
// magic recipients that are not on WhatsApp.
func (c *channel) CheckNumbers(_ context.Context, numbers []messaging.Address) ([]messaging.NumberCheck, error) {
	checks := make([]messaging.NumberCheck, len(numbers))
	for n, number := range numbers {
		p := planFor(number, nil)
		checks[n] = messaging.NumberCheck{Input: number.Input}
		if p.entry != refuse || p.code != codeNotOnWhatsApp {
			checks[n].WAID, checks[n].Exists = number.WAID, true
		}
	}
	return checks, nil
}
