package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// bulkView is a bulk as the API shows it.
type bulkView struct {
	ID           string                `json:"id"`
	Name         nullable              `json:"name"`
	Environment  messaging.Environment `json:"environment" enum:"live,test"`
	Instances    []string              `json:"instances" nullable:"false" description:"Ids."`
	State        messaging.BulkState   `json:"state" enum:"scheduled,running,paused,completed,canceled"`
	Counts       bulkCountsView        `json:"counts"`
	Type         messaging.Kind        `json:"type" enum:"text,image,video,audio,document,sticker,location,contacts,poll"`
	Message      contentJSON           `json:"message" description:"With its placeholders."`
	Priority     string                `json:"priority" enum:"high,normal,low"`
	SendAt       timestamp             `json:"send_at"`
	TimeZone     nullable              `json:"time_zone"`
	Pace         *bulkPaceView         `json:"pace"`
	QuietHours   *bulkQuietView        `json:"quiet_hours"`
	Dedupe       bool                  `json:"dedupe"`
	DedupeWindow nullable              `json:"dedupe_window"`
	FrequencyCap *frequencyCapView     `json:"frequency_cap"`
	OnInvalid    string                `json:"on_invalid" enum:"reject,skip"`
	ExpiresIn    nullable              `json:"expires_in"`
	Metadata     object                `json:"metadata"`
	KeyID        string                `json:"key_id"`
	CreatedAt    timestamp             `json:"created_at"`
	StartedAt    timestamp             `json:"started_at"`
	PausedAt     timestamp             `json:"paused_at"`
	CompletedAt  timestamp             `json:"completed_at" description:"When it completed or was canceled."`
	EstimatedAt  timestamp             `json:"estimated_completion_at" description:"When the last message will probably have gone, by its pace, those of its instances, and all quiet hours. Null when that is not known: it is paused, or no instance is connected. Always null in lists and events."`
}

// bulkCountsView parts a bulk's rows by where they stand now.
type bulkCountsView struct {
	Total     int64 `json:"total" description:"The sum of the others."`
	Queued    int64 `json:"queued" description:"Those that can still be sent."`
	Sent      int64 `json:"sent"`
	Delivered int64 `json:"delivered"`
	Read      int64 `json:"read" description:"Or played."`
	Failed    int64 `json:"failed" description:"Or expired."`
	Skipped   int64 `json:"skipped"`
	Canceled  int64 `json:"canceled"`
}

// bulkPaceView is a bulk's pace.
type bulkPaceView struct {
	MinGapMS int64 `json:"min_gap_ms"`
	JitterMS int64 `json:"jitter_ms"`
	PerHour  int   `json:"per_hour" description:"0: any number."`
}

// bulkQuietView is the time of day in which a bulk does not send.
type bulkQuietView struct {
	From     string `json:"from"`
	To       string `json:"to"`
	TimeZone string `json:"time_zone"`
}

// frequencyCapView bounds the bulk messages that one recipient gets.
type frequencyCapView struct {
	Max int    `json:"max"`
	Per string `json:"per"`
}

// viewBulk shows a bulk without an estimate of its end.
func viewBulk(b *messaging.Bulk) bulkView {
	o := &b.Options
	v := bulkView{
		ID: b.ID, Name: nullable(b.Name), Environment: b.Environment, Instances: b.InstanceIDs, State: b.State,
		Counts: bulkCountsView(b.Counts), Type: b.Template.Kind, Message: contentJSON{b.Template}, Priority: priorityName(o.Priority),
		SendAt: timestamp(o.SendAt), TimeZone: nullable(o.TimeZone), Dedupe: o.Dedupe,
		DedupeWindow: viewSpan(o.DedupeWindow), OnInvalid: "reject", ExpiresIn: viewSpan(o.ExpiresIn),
		Metadata: object(b.Metadata), KeyID: b.KeyID, CreatedAt: timestamp(b.CreatedAt),
		StartedAt: timestamp(b.StartedAt), PausedAt: timestamp(b.PausedAt), CompletedAt: timestamp(b.EndedAt),
	}
	if o.SkipInvalid {
		v.OnInvalid = "skip"
	}
	if p := o.Pace; p != nil {
		v.Pace = &bulkPaceView{MinGapMS: p.MinGap.Milliseconds(), JitterMS: p.Jitter.Milliseconds(), PerHour: p.PerHour}
	}
	if q := o.QuietHours; q != nil {
		v.QuietHours = &bulkQuietView{From: q.From, To: q.To, TimeZone: q.TimeZone}
	}
	if c := o.FrequencyCap; c != nil {
		v.FrequencyCap = &frequencyCapView{Max: c.Max, Per: messaging.FormatDuration(c.Per)}
	}
	return v
}

// viewEstimated shows a bulk with what is known of its end.
func (s *Server) viewEstimated(ctx context.Context, b *messaging.Bulk) bulkView {
	v := viewBulk(b)
	if !b.State.Ended() {
		v.EstimatedAt = timestamp(s.bulks.Estimate(ctx, *b))
	}
	return v
}

// viewSpan shows a duration; null for none.
func viewSpan(d time.Duration) nullable {
	if d == 0 {
		return ""
	}
	return nullable(messaging.FormatDuration(d))
}

// priorityName is what a priority is called.
func priorityName(p messaging.Priority) string {
	switch p {
	case messaging.High:
		return "high"
	case messaging.Normal:
		return "normal"
	case messaging.Low:
	}
	return "low"
}

// bulkAnswer is what a new bulk is answered: the bulk, or a rehearsal of it.
type bulkAnswer struct {
	bulk      bulkView
	rehearsal *rehearsalView
}

// rehearsedStatus is that of a rehearsal.
const rehearsedStatus = http.StatusOK

// answer describes the envelope of a bulk; its row has that of a rehearsal.
func (bulkAnswer) answer() any { return dataAnswer[bulkView]{} }

// MarshalJSONTo implements json.MarshalerTo.
func (b bulkAnswer) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if b.rehearsal != nil {
		return json.MarshalEncode(encoder, b.rehearsal)
	}
	return json.MarshalEncode(encoder, b.bulk)
}

// rehearsalView is what would become of a bulk. Nothing of it is stored.
type rehearsalView struct {
	Accepted bool                `json:"accepted" description:"Whether the bulk would be accepted, if its tokens are there. All that would be refused stands in faults."`
	Total    int64               `json:"total" description:"Rows. valid, invalid and skipped add up to it."`
	Valid    int64               `json:"valid" description:"Rows that would become a message."`
	Invalid  int64               `json:"invalid" description:"Rows that cannot be sent."`
	Skipped  int64               `json:"skipped" description:"Rows that would not be sent for another reason, as an opt-out."`
	Outcomes map[string]int64    `json:"outcomes" nullable:"false" description:"Rows by where they would end: a status (read, sent), or a code (NOT_ON_WHATSAPP, DUPLICATE). Of a live recipient only accepted can be told."`
	Faults   []rowFaultView      `json:"faults" nullable:"false" description:"What is wrong with rows; the first 100."`
	StartsAt timestamp           `json:"starts_at" description:"When the first message would go."`
	EndsAt   timestamp           `json:"ends_at" description:"When the last one would, under the pace; null when that is not known."`
	Seconds  *float64            `json:"duration_seconds" description:"Between the two."`
	Tokens   rehearsalTokensView `json:"tokens"`
}

// rehearsalTokensView is what a bulk costs its key.
type rehearsalTokensView struct {
	Requests int64 `json:"requests" description:"Of the key's bucket, the request itself among them."`
	Messages int64 `json:"messages" description:"Of the key's bucket of messages; 0 when it has none."`
}

// rowFaultView says what is wrong with a row.
type rowFaultView struct {
	Row     int64    `json:"row" description:"From 1."`
	Line    *int64   `json:"line" description:"Of the file; null of a JSON body."`
	Column  nullable `json:"column" description:"Of the file, or the member of a JSON row; null: the row as a whole."`
	Code    string   `json:"code"`
	Message string   `json:"message"`
}

// viewRehearsal shows a rehearsal, with what the bulk would cost this key.
func (c *Call) viewRehearsal(r *bulk.Rehearsal) *rehearsalView {
	v := &rehearsalView{
		Accepted: !r.Refused,
		Total:    r.Total, Valid: r.Valid, Invalid: r.Invalid, Skipped: r.Skipped, Outcomes: r.Outcomes,
		Faults: make([]rowFaultView, 0, len(r.Faults)), StartsAt: timestamp(r.Starts), EndsAt: timestamp(r.Ends),
		Tokens: rehearsalTokensView{Requests: 1 + int64(bulkCost(c.Grant, int(r.RequestTokens)*recipientsPerToken))},
	}
	if v.Outcomes == nil {
		v.Outcomes = map[string]int64{}
	}
	if !r.Ends.IsZero() {
		seconds := r.Duration.Seconds()
		v.Seconds = &seconds
	}
	if bucket := c.Grant.Messages; bucket != nil {
		v.Tokens.Messages = r.MessageTokens
		v.Accepted = v.Accepted && r.MessageTokens <= int64(bucket.Burst())
	}
	for i := range r.Faults {
		v.Faults = append(v.Faults, viewRowFault(&r.Faults[i]))
	}
	return v
}

func viewRowFault(f *bulk.RowFault) rowFaultView {
	v := rowFaultView{Row: f.Row, Column: nullable(f.Column), Code: f.Code, Message: f.Message}
	if f.Line > 0 {
		v.Line = &f.Line
	}
	return v
}

// tooManyFor is the fault of more recipients than a key can ever pay at once.
func tooManyFor(bucket *auth.Bucket) error {
	most := bucket.Burst()
	return fault.As(fault.Fields{{
		Field: rowsMember, Rule: "max",
		Message: "are more than this key may send to in one bulk: its messages-per-minute lets " + strconv.Itoa(most) + " through at once",
	}}.Err()).With("limit", most)
}

// bulkFormSchema describes the form in which a bulk comes.
func bulkFormSchema(row *Row) map[string]any {
	text := func(says string) map[string]any { return map[string]any{"type": "string", "description": says} }
	parts := map[string]any{
		filePart: map[string]any{
			"type": "string", "format": "binary",
			"description": "CSV with a header, or a JSON object on each line (application/x-ndjson). At most 25 MiB.",
		},
		messagePart: map[string]any{
			"type": "string", "contentMediaType": "application/json",
			"description": "The message, or the JSON body without recipients.",
		},
	}
	options := []string{
		"name", "mapping", "send_at", "time_zone", "pace", "quiet_hours", "dedupe", "dedupe_window", "frequency_cap", "priority",
		"on_invalid", "expires_in", "metadata", "sandbox",
	}
	if row.Instance == InstanceBody {
		options = append(options, "instances")
	}
	for _, name := range options {
		says := "As in the JSON body, as JSON."
		if optionFormOf(name) != jsonOption {
			says = "As in the JSON body, as plain text."
		}
		parts[name] = text(says)
	}
	return map[string]any{"type": "object", "properties": parts, "required": []string{filePart, messagePart}, "additionalProperties": false}
}
