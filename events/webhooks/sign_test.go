package webhooks_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"portaria/events/webhooks"
)

// signed is the header of a delivery.
func signed(id string, at time.Time, signatures ...string) http.Header {
	header := make(http.Header)
	header.Set(webhooks.HeaderID, id)
	header.Set(webhooks.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhooks.HeaderSignature, strings.Join(signatures, " "))
	return header
}

// Receivers verify with the official libraries: what we sign they must accept,
// and what they sign we must.
func TestSignaturesAreThoseOfTheOfficialLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := webhooks.NewSecret()
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		id := "evt_" + rapid.StringMatching("[a-z0-9]{1,30}").Draw(t, "id")
		now := time.Now()
		theirs, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		ours := webhooks.Sign(secret, id, now, body)
		if err := theirs.Verify(body, signed(id, now, webhooks.Sign(webhooks.NewSecret(), id, now, body), ours)); err != nil {
			t.Errorf("they refuse ours: %v", err)
		}
		signature, err := theirs.Sign(id, now, body)
		if err != nil || signature != ours {
			t.Errorf("they sign %s, %v; we sign %s", signature, err, ours)
		}
		if err := webhooks.Verify(signed(id, now, "v1a,x", signature), body, now, webhooks.NewSecret(), secret); err != nil {
			t.Errorf("we refuse theirs: %v", err)
		}
	})
}

// The vector that the specification's own tests use.
func TestThePublishedVector(t *testing.T) {
	secret, err := webhooks.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhooks.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Whatever is altered on the way is refused.
func TestAlteredDeliveriesAreRefused(t *testing.T) {
	secret, now, body := webhooks.NewSecret(), time.Now(), []byte(`{"a":1}`)
	signature := webhooks.Sign(secret, "evt_1", now, body)
	with := func(name, value string) http.Header {
		header := signed("evt_1", now, signature)
		header.Set(name, value)
		return header
	}
	for name, c := range map[string]struct {
		header http.Header
		body   string
		now    time.Time
		secret webhooks.Secret
		want   error
	}{
		"as it was":        {header: with("x", "y")},
		"almost too old":   {header: with("x", "y"), now: now.Add(webhooks.Tolerance)},
		"too old":          {header: with("x", "y"), now: now.Add(webhooks.Tolerance + 2*time.Second), want: webhooks.ErrNotNow},
		"too new":          {header: with("x", "y"), now: now.Add(-webhooks.Tolerance - 2*time.Second), want: webhooks.ErrNotNow},
		"another body":     {header: with("x", "y"), body: `{"a":2}`, want: webhooks.ErrWrongSignature},
		"another id":       {header: with(webhooks.HeaderID, "evt_2"), want: webhooks.ErrWrongSignature},
		"an id with a dot": {header: with(webhooks.HeaderID, "evt_1.1"), want: webhooks.ErrNotSigned},
		"another time":     {header: with(webhooks.HeaderTimestamp, strconv.FormatInt(now.Unix()+1, 10)), want: webhooks.ErrWrongSignature},
		"no time":          {header: with(webhooks.HeaderTimestamp, "today"), want: webhooks.ErrNotSigned},
		"no id":            {header: with(webhooks.HeaderID, ""), want: webhooks.ErrNotSigned},
		"no signature":     {header: with(webhooks.HeaderSignature, ""), want: webhooks.ErrNotSigned},
		"another version":  {header: with(webhooks.HeaderSignature, "v2"+signature[2:]), want: webhooks.ErrWrongSignature},
		"cut":              {header: with(webhooks.HeaderSignature, signature[:20]), want: webhooks.ErrWrongSignature},
		"another secret":   {header: with("x", "y"), secret: webhooks.NewSecret(), want: webhooks.ErrWrongSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if c.body == "" {
				c.body = string(body)
			}
			if c.now.IsZero() {
				c.now = now
			}
			if c.secret == (webhooks.Secret{}) {
				c.secret = secret
			}
			if err := webhooks.Verify(c.header, []byte(c.body), c.now, c.secret); !errors.Is(err, c.want) {
				t.Errorf("error = %v, want %v", err, c.want)
			}
		})
	}
	if err := webhooks.Verify(signed("evt_1", now, webhooks.Sign(webhooks.Secret{}, "evt_1", now, body)), body, now, webhooks.Secret{}); !errors.Is(err, webhooks.ErrWrongSignature) {
		t.Errorf("without a secret: %v", err)
	}
}

// A secret that is printed or logged by accident must tell nothing.
func TestSecretsShowThemselvesOnlyWhenRevealed(t *testing.T) {
	secret := webhooks.NewSecret()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "secret", secret)
	key := strings.TrimPrefix(secret.Reveal(), "whsec_")
	for _, shown := range []string{fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret), log.String()} {
		if strings.Contains(shown, key) {
			t.Errorf("it is shown: %s", shown)
		}
	}
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 32 || secret.Reveal() == webhooks.NewSecret().Reveal() {
		t.Errorf("the key has %d bytes, %v", len(raw), err)
	}
	if again, err := webhooks.ParseSecret(secret.Reveal()); err != nil || again != secret {
		t.Errorf("it is not read back: %v", err)
	}
}

func TestTextsThatAreNoSecrets(t *testing.T) {
	short, long := base64.StdEncoding.EncodeToString(make([]byte, 23)), base64.StdEncoding.EncodeToString(make([]byte, 65))
	good := strings.TrimPrefix(webhooks.NewSecret().Reveal(), "whsec_")
	for _, text := range []string{"", "whsec_", good, "sk_" + good, "whsec_" + short, "whsec_" + long, "whsec_" + good[:8] + "\n" + good[8:], "whsec_!" + good} {
		if _, err := webhooks.ParseSecret(text); !errors.Is(err, webhooks.ErrNoSecret) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Strangers send what they like: nothing but a signature with the secret passes.
func FuzzVerify(f *testing.F) {
	secret, now := webhooks.NewSecret(), time.Unix(1614265330, 0)
	f.Add("evt_1", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []byte(`{}`))
	f.Add("evt_1", "1614265330", webhooks.Sign(webhooks.NewSecret(), "evt_1", now, nil)+" v1, v1,!", []byte(nil))
	f.Add(".", "-1", ", ,", []byte("\xff"))
	f.Fuzz(func(t *testing.T, id, timestamp, signatures string, body []byte) {
		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signatures}}
		if err := webhooks.Verify(header, body, now, secret); err == nil {
			t.Errorf("accepted %q %q %q", id, timestamp, signatures)
		}
		header.Set("webhook-signature", signatures+" "+webhooks.Sign(secret, id, now, body))
		header.Set("webhook-timestamp", "1614265330")
		if err := webhooks.Verify(header, body, now, secret); err != nil && !errors.Is(err, webhooks.ErrNotSigned) {
			t.Errorf("refused though signed: %v", err)
		}
	})
}
