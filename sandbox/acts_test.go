package sandbox

import (
	"context"
	"errors"
	"testing"

	"portaria/internal/fault"
	"portaria/messaging"
)

// An act succeeds where a live channel's would: on a connection, and to people who
// are on WhatsApp.
func TestActsNeedAConnection(t *testing.T) {
	address := func(number string) messaging.Address {
		return messaging.Address{Input: number, WAID: number + "@" + messaging.UserServer}
	}
	for name, act := range map[string]func(context.Context, *channel) error{
		"edit":   func(ctx context.Context, c *channel) error { return c.Edit(ctx, messaging.Message{}) },
		"revoke": func(ctx context.Context, c *channel) error { return c.Revoke(ctx, messaging.Message{}) },
		"typing": func(ctx context.Context, c *channel) error {
			return c.Type(ctx, address("5511912345678"), messaging.TypingText)
		},
		"read": func(ctx context.Context, c *channel) error { return c.MarkRead(ctx, nil) },
	} {
		c := &channel{connected: true}
		if err := act(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.goOffline()
		if f := fault.As(act(t.Context(), c)); f == nil || !f.Kind().Temporary() {
			t.Errorf("%s without a connection: %v", name, f)
		}
	}
	err := (&channel{connected: true}).Type(t.Context(), address("15005550009"), messaging.TypingText)
	if !errors.Is(err, messaging.ErrActRefused) {
		t.Errorf("typing to nobody: %v", err)
	}
}
