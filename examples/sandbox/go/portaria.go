package shop

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Portaria is what a program needs of the gateway. Nothing has to be installed.
type Portaria struct {
	URL string // http://127.0.0.1:8080
	Key string
}

// Refusal is an error that the gateway answers.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Ask makes a request; the data of the answer goes into out unless that is nil.
// A POST with an idempotency key can be repeated, and is done once.
func (p Portaria) Ask(ctx context.Context, method, path, idempotencyKey string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.Key)
	req.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	envelope := struct {
		Data  any      `json:"data"`
		Error *Refusal `json:"error"`
	}{Data: out}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("%s %s: status %d: %w", method, path, answer.StatusCode, err)
	}
	if envelope.Error != nil {
		return envelope.Error
	}
	return nil
}

// Verified reports whether the gateway signed a webhook's body, the bytes as they
// came, within the last five minutes.
func Verified(secret string, h http.Header, body []byte, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	at, atErr := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || len(key) == 0 || atErr != nil || now.Sub(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", h.Get("webhook-id"), at)
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for given := range strings.FieldsSeq(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(given), []byte(want)) {
			return true
		}
	}
	return false
}
