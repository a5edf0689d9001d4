package wasim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// TestRequestsOfClientsAreAnswered: what clients ask beside sending messages
// must not cost them an error or a wait.
func TestRequestsOfClientsAreAnswered(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	other := types.NewJID(friend, types.DefaultUserServer)
	for name, ask := range map[string]func(context.Context) error{
		"privacy": func(ctx context.Context) error {
			settings, err := c.TryFetchPrivacySettings(ctx, true)
			if err == nil && settings.ReadReceipts != types.PrivacySettingAll {
				err = errors.New("read receipts are " + string(settings.ReadReceipts))
			}
			return err
		},
		"set privacy": func(ctx context.Context) error {
			_, err := c.SetPrivacySetting(ctx, types.PrivacySettingTypeLastSeen, types.PrivacySettingNone)
			return err
		},
		"blocklist": func(ctx context.Context) error { _, err := c.GetBlocklist(ctx); return err },
		"block": func(ctx context.Context) error {
			_, err := c.UpdateBlocklist(ctx, other, events.BlocklistChangeActionBlock)
			return err
		},
		"picture": func(ctx context.Context) error {
			_, err := c.GetProfilePictureInfo(ctx, other, &whatsmeow.GetProfilePictureParams{})
			if errors.Is(err, whatsmeow.ErrProfilePictureNotSet) {
				return nil
			}
			return errors.Join(errors.New("there should be no picture"), err)
		},
		"business profile": func(ctx context.Context) error { _, err := c.GetBusinessProfile(ctx, other); return err },
		"user info":        func(ctx context.Context) error { _, err := c.GetUserInfo(ctx, []types.JID{other}); return err },
		"status privacy":   func(ctx context.Context) error { _, err := c.GetStatusPrivacy(ctx); return err },
		"disappearing":     func(ctx context.Context) error { return c.SetDefaultDisappearingTimer(ctx, 24*time.Hour) },
		"passive":          func(ctx context.Context) error { return c.SetPassive(ctx, true) },
		"active":           func(ctx context.Context) error { return c.SetPassive(ctx, false) },
		"push settings":    func(ctx context.Context) error { _, err := c.GetServerPushNotificationConfig(ctx); return err },
		"push": func(ctx context.Context) error {
			return c.RegisterForPushNotifications(ctx, &whatsmeow.WebPushConfig{})
		},
		"groups": func(ctx context.Context) error { _, err := c.GetJoinedGroups(ctx); return err },
		"typing": func(ctx context.Context) error {
			return c.SendChatPresence(ctx, other, types.ChatPresenceComposing, types.ChatPresenceMediaText)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := ask(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
