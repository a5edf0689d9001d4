package store

import (
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// What nearly every message and its first event hold is written by hand. It must
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

func TestTheFirstEventIsStoredAsTheLibraryWritesIt(t *testing.T) {
	for _, status := range []messaging.Status{
		messaging.StatusScheduled, messaging.StatusQueued, messaging.StatusHeld, messaging.StatusSending, messaging.StatusReceived, "",
	} {
		for _, attempts := range []int{0, 1} {
			e := messaging.Event{MessageID: "msg_1", State: messaging.State{Status: status, Attempts: attempts}}
			want, err := json.Marshal(e.State)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := eventData(&e); err != nil || got != string(want) {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		}
	}
}
