package gateway

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
	"portaria/sandbox"
)

// timestamp is a time as the API shows it: RFC 3339, UTC, milliseconds; null
// when there is none.
type timestamp time.Time

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSONTo implements json.MarshalerTo.
func (t timestamp) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return encoder.WriteValue(appendTime(encoder.AvailableBuffer(), time.Time(t)))
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (timestamp) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":["string","null"],"format":"date-time","examples":["2026-01-31T12:00:00.000Z"]}`), nil
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return append(t.UTC().AppendFormat(append(b, '"'), timeLayout), '"')
}

// nullable is a string that is null when empty.
type nullable string

// MarshalJSONTo implements json.MarshalerTo.
func (n nullable) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if n == "" {
		return encoder.WriteToken(jsontext.Null)
	}
	return encoder.WriteToken(jsontext.String(string(n)))
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (nullable) JSONSchemaBytes() ([]byte, error) { return []byte(`{"type":["string","null"]}`), nil }

// object is a JSON object of the caller's; empty when there is none.
type object []byte

// MarshalJSONTo implements json.MarshalerTo.
func (o object) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if len(o) == 0 {
		return encoder.WriteValue(jsontext.Value("{}"))
	}
	return encoder.WriteValue(jsontext.Value(o))
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (object) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"object","additionalProperties":true}`), nil
}

// instanceView is an instance as the API shows it.
type instanceView struct {
	ID          string                  `json:"id"`
	Name        string                  `json:"name"`
	Environment messaging.Environment   `json:"environment" enum:"live,test"`
	Driver      messaging.DriverName    `json:"driver" enum:"whatsapp,sandbox"`
	Desired     messaging.Desired       `json:"desired" enum:"connected,disconnected"`
	State       messaging.InstanceState `json:"state" enum:"created,pairing,connecting,connected,disconnected,logged_out,restricted,banned"`
	StateReason nullable                `json:"state_reason"`
	StateSince  timestamp               `json:"state_since"`
	StateUntil  timestamp               `json:"state_until"`
	Phone       nullable                `json:"phone"`
	PushName    nullable                `json:"push_name"`
	Metadata    object                  `json:"metadata"`
	Settings    object                  `json:"settings"`
	CreatedAt   timestamp               `json:"created_at"`
}

// viewInstance shows an instance, and of its proxy no password.
func (r Renderer) viewInstance(i messaging.Instance) instanceView {
	return instanceView{
		ID: i.ID, Name: i.Name, Environment: i.Environment, Driver: i.Driver, Desired: i.Desired,
		State: i.State, StateReason: nullable(i.StateReason),
		StateSince: timestamp(i.StateSince), StateUntil: timestamp(i.StateUntil),
		Phone: nullable(i.Phone), PushName: nullable(i.PushName),
		Metadata: object(i.Metadata), Settings: object(r.proxies.Shown(i)), CreatedAt: timestamp(i.CreatedAt),
	}
}

// logView is a row of api_logs.
type logView struct {
	Time       timestamp `json:"time"`
	RequestID  string    `json:"request_id"`
	KeyID      nullable  `json:"key_id"`
	Method     string    `json:"method"`
	Route      string    `json:"route"`
	Status     int       `json:"status"`
	ErrorCode  nullable  `json:"error_code"`
	DurationUS int64     `json:"duration_us"`
	InstanceID nullable  `json:"instance_id"`
	IP         nullable  `json:"ip"`
	UserAgent  nullable  `json:"user_agent"`
}

func viewLog(row messaging.RequestLog) logView {
	return logView{
		Time: timestamp(row.At), RequestID: row.RequestID, KeyID: nullable(row.KeyID), Method: row.Method, Route: row.Route,
		Status: row.Status, ErrorCode: nullable(row.ErrorCode), DurationUS: row.Duration.Microseconds(),
		InstanceID: nullable(row.InstanceID), IP: nullable(row.IP), UserAgent: nullable(row.UserAgent),
	}
}

// carriageView is a message as the simulated network carried it.
type carriageView struct {
	WAMessageID string         `json:"wa_message_id"`
	MessageID   string         `json:"message_id"`
	InstanceID  string         `json:"instance_id"`
	To          addressView    `json:"to"`
	Type        messaging.Kind `json:"type"`
	Content     contentJSON    `json:"content"`
	CarriedAt   timestamp      `json:"carried_at"`
}

// addressView is an address: what was written, and what it stands for.
type addressView struct {
	Input string `json:"input"`
	WAID  string `json:"wa_id"`
}

func viewCarriage(c messaging.Carriage) carriageView {
	return carriageView{
		WAMessageID: c.WAMessageID, MessageID: c.MessageID, InstanceID: c.InstanceID,
		To: addressView(c.To), Type: c.Content.Kind, Content: contentJSON{c.Content}, CarriedAt: timestamp(c.CarriedAt),
	}
}

// clockView is the sandbox clock.
type clockView struct {
	Mode sandbox.Mode `json:"mode" enum:"real,instant,frozen"`
	Now  timestamp    `json:"now"`
}

func viewClock(state sandbox.ClockState) clockView {
	return clockView{Mode: state.Mode, Now: timestamp(state.Now)}
}

// meView is the key that asks.
type meView struct {
	ID           string                `json:"id"`
	Name         string                `json:"name"`
	WorkspaceID  string                `json:"workspace_id"`
	Environment  messaging.Environment `json:"environment" enum:"live,test"`
	Scopes       []string              `json:"scopes"`
	AllInstances bool                  `json:"all_instances"`
	Instances    *[]allowedView        `json:"instances" description:"Null when the key opens all instances."`
	Limits       limitsView            `json:"limits"`
	ExpiresAt    timestamp             `json:"expires_at"`
}

// allowedView is an instance that a locked key opens.
type allowedView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// limitsView is how much a key may ask for.
type limitsView struct {
	RatePerMinute     int64  `json:"rate_per_minute"`
	RateBurst         int64  `json:"rate_burst"`
	MessagesPerMinute *int64 `json:"messages_per_minute"`
}

// dataAnswer is the envelope of one object, as the OpenAPI document shows it.
type dataAnswer[T any] struct {
	Success   bool   `json:"success"`
	Data      T      `json:"data"`
	RequestID string `json:"request_id"`
}

// listAnswer is the envelope of a list.
type listAnswer[T any] struct {
	Success   bool     `json:"success"`
	Data      []T      `json:"data" nullable:"false"`
	Page      pageView `json:"page"`
	RequestID string   `json:"request_id"`
}

// pageView says how to get the next page of a list.
type pageView struct {
	Next  nullable `json:"next" description:"Goes into ?cursor=; null on the last page."`
	Limit int      `json:"limit"`
}

// answerOf returns the envelope of a handler's answer.
func answerOf[Res any]() any {
	if list, ok := any(*new(Res)).(interface{ answer() any }); ok {
		return list.answer()
	}
	return dataAnswer[Res]{}
}
