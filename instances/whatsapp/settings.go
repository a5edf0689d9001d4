package whatsapp

import (
	"context"

	"github.com/go-json-experiment/json"
	"go.mau.fi/whatsmeow/types"
)

// settings are those of an instance's settings that concern the channel.
type settings struct {
	RejectCalls  bool `json:"reject_calls"`
	MarkRead     bool `json:"mark_read"`
	AlwaysOnline bool `json:"always_online"`
}

// settings returns them as they are now. The door has checked them; what cannot
// be read is not set.
func (c *channel) settings() (s settings) {
	text := c.facts.Settings
	if c.driver.o.Settings != nil {
		text = c.driver.o.Settings(c.facts)
	}
	if len(text) > 0 && json.Unmarshal(text, &s) != nil {
		return settings{}
	}
	return s
}

// show makes the number appear online. WhatsApp wants a push name for it, which
// a session has only after the phone has sent it.
func (c *channel) show(ctx context.Context, l *link) {
	limited, cancel := context.WithTimeout(ctx, c.timing.Lookup)
	defer cancel()
	if err := l.client.SendPresence(limited, types.PresenceAvailable); err != nil {
		c.log.Debug("not shown online", "error", err)
	}
}
