package sandbox_test

import (
	"testing"

	"portaria/messaging"
	"portaria/sandbox"
)

func TestPredictionsAreTheTableOfMagicRecipients(t *testing.T) {
	for to, want := range map[string]string{
		"15005550001": "INVALID_RECIPIENT", "15005550006": "read", "15005550009": "NOT_ON_WHATSAPP", "15005550010": "sent",
		"15005550011": "sent", "15005550012": "delivered", "15005550013": "read", "15005550014": "read",
		"15005550015": "PROVIDER_THROTTLED", "15005550016": "read", "15005550017": "read", "15005550018": "read",
		"15005550019": "read", "15005550020": "INSTANCE_LOGGED_OUT", "15005550021": "read", "5511912345678": "read",
	} {
		if got := sandbox.Predict(messaging.Address{WAID: to + "@" + messaging.UserServer}, nil); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	everybody := messaging.Address{WAID: "5511912345678@" + messaging.UserServer}
	override := &messaging.Override{Outcome: "failed", Code: "RECIPIENT_BLOCKED"}
	if got := sandbox.Predict(everybody, override); got != "RECIPIENT_BLOCKED" {
		t.Errorf("an override that fails: %s", got)
	}
}
