package store

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// What nearly every message and its events hold is written by hand. It must
// be what the library would write: that is what reads it, here and elsewhere.
func TestPlainTextIsStoredAsTheLibraryWritesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := messaging.Text{Body: rapid.String().Draw(t, "body"), PreviewURL: rapid.Bool().Draw(t, "preview")}
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encodeContent(messaging.Content{Kind: messaging.KindText, Text: &text})
		if err != nil || got != string(want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	})
}

func TestStatesAreStoredAsTheLibraryWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Custom(func(t *rapid.T) time.Time {
			return fromMicros(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 4e15)).Draw(t, "microseconds"))
		})
		e := messaging.Event{MessageID: "msg_1", State: messaging.State{
			Status:   rapid.SampledFrom([]messaging.Status{messaging.StatusQueued, messaging.StatusRead, messaging.StatusFailed, ""}).Draw(t, "status"),
			Attempts: rapid.IntRange(0, 3).Draw(t, "attempts"),
			SentAt:   at.Draw(t, "sent"), DeliveredAt: at.Draw(t, "delivered"), ReadAt: at.Draw(t, "read"),
			PlayedAt: at.Draw(t, "played"), FailedAt: at.Draw(t, "failed"),
		}}
		if rapid.Bool().Draw(t, "failing") {
			e.State.Error = &messaging.SendError{Code: "TIMEOUT", Message: "The network did not answer."}
		}
		want, err := json.Marshal(e.State)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := eventData(&e); err != nil || got != string(want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	})
}
