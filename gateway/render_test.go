package gateway

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// The hot path writes a message by hand; the document is made from a struct.
// Both must be the same JSON, whatever the message holds.
func TestWrittenMessageIsTheDocumentedOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		want, err := json.Marshal(documented(m))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(messageJSON{m}.appendJSON(nil))); diff != "" {
			t.Fatalf("(-documented +written):\n%s", diff)
		}
	})
}

// documented is the message in the form that the document is made from.
func documented(m messaging.Message) messageView {
	v := messageView{
		ID: m.ID, InstanceID: m.InstanceID, Environment: m.Environment, Direction: m.Direction, Type: m.Content.Kind,
		Content: textView{Body: m.Content.Text.Body, PreviewURL: m.Content.Text.PreviewURL}, Status: m.Status,
		WAMessageID: m.WAMessageID, Error: m.Error, Attempts: m.Attempts,
		CreatedAt: timestamp(m.CreatedAt), SendAt: timestamp(m.SendAt), SentAt: timestamp(m.SentAt),
		DeliveredAt: timestamp(m.DeliveredAt), ReadAt: timestamp(m.ReadAt), FailedAt: timestamp(m.FailedAt),
	}
	peer := addressView(m.Peer)
	if m.Direction == messaging.Inbound {
		v.From = &peer
	} else {
		v.To = &peer
	}
	if m.KeyID != "" {
		v.KeyID = &m.KeyID
	}
	if m.BulkID != "" {
		v.BulkID = &m.BulkID
	}
	if m.Metadata != nil {
		v.Metadata = &map[string]any{"a": "b"}
	}
	return v
}

func drawMessage(t *rapid.T) messaging.Message {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"Olá", "a\"b\\c", "\x00\x1f\u2028</script>", "", "😀"}))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "us")).In(time.FixedZone("BRT", -3*60*60))
	})
	m := messaging.Message{
		ID: text.Draw(t, "id"), InstanceID: text.Draw(t, "instance"), Environment: messaging.Test,
		Direction: rapid.SampledFrom([]messaging.Direction{messaging.Outbound, messaging.Inbound}).Draw(t, "direction"),
		Peer:      messaging.Address{Input: text.Draw(t, "input"), WAID: text.Draw(t, "wa_id")},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{
			Body: text.Draw(t, "body"), PreviewURL: rapid.Bool().Draw(t, "preview"),
		}},
		WAMessageID: text.Draw(t, "wa"), KeyID: text.Draw(t, "key"), BulkID: text.Draw(t, "bulk"),
		CreatedAt: moment.Draw(t, "created"), SendAt: moment.Draw(t, "send"),
		State: messaging.State{
			Status: rapid.SampledFrom(messaging.Statuses).Draw(t, "status"), Attempts: rapid.Int().Draw(t, "attempts"),
			SentAt: moment.Draw(t, "sent"), DeliveredAt: moment.Draw(t, "delivered"), ReadAt: moment.Draw(t, "read"), FailedAt: moment.Draw(t, "failed"),
		},
	}
	if rapid.Bool().Draw(t, "failed?") {
		m.Error = &messaging.SendError{Code: "NOT_ON_WHATSAPP", Message: text.Draw(t, "why")}
	}
	if rapid.Bool().Draw(t, "metadata?") {
		m.Metadata = []byte(`{"a":"b"}`)
	}
	return m
}

func TestTimesAreUTCMilliseconds(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 0, 0, 123_456_789, time.FixedZone("BRT", -3*60*60))
	if got := string(appendTime(nil, at)); got != `"2026-01-31T12:00:00.123Z"` {
		t.Errorf("got %s", got)
	}
	if got := string(appendTime(nil, time.Time{})); got != "null" {
		t.Errorf("no time is %s", got)
	}
}
