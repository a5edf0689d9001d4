package main

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/auth"
	"portaria/instances/proxy"
	"portaria/messaging"
	"portaria/store"
)

// timeLayout is how times are shown, as in the HTTP API: RFC 3339, UTC,
// milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// instant is a time in a JSON document; null when there is none.
type instant time.Time

// String shows the time to people.
func (t instant) String() string {
	if time.Time(t).IsZero() {
		return "-"
	}
	return time.Time(t).UTC().Format(timeLayout)
}

// MarshalJSONTo implements json.MarshalerTo.
func (t instant) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if time.Time(t).IsZero() {
		return encoder.WriteToken(jsontext.Null)
	}
	return encoder.WriteToken(jsontext.String(t.String()))
}

// nullable is a string that is null in JSON when it is empty.
type nullable string

// MarshalJSONTo implements json.MarshalerTo.
func (n nullable) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if n == "" {
		return encoder.WriteToken(jsontext.Null)
	}
	return encoder.WriteToken(jsontext.String(string(n)))
}

// workspaceView is a workspace as commands print it.
type workspaceView struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	CreatedAt instant `json:"created_at"`
}

func viewWorkspace(w store.Workspace) workspaceView {
	return workspaceView{ID: w.ID, Name: w.Name, CreatedAt: instant(w.CreatedAt)}
}

// instanceView is an instance as the HTTP API shows it; the instances story
// holds the two together.
type instanceView struct {
	ID          string                  `json:"id"`
	Name        string                  `json:"name"`
	Environment messaging.Environment   `json:"environment"`
	Driver      messaging.DriverName    `json:"driver"`
	Desired     messaging.Desired       `json:"desired"`
	State       messaging.InstanceState `json:"state"`
	StateReason nullable                `json:"state_reason"`
	StateSince  instant                 `json:"state_since"`
	StateUntil  instant                 `json:"state_until"`
	Phone       nullable                `json:"phone"`
	PushName    nullable                `json:"push_name"`
	Metadata    jsontext.Value          `json:"metadata"`
	Settings    jsontext.Value          `json:"settings"`
	CreatedAt   instant                 `json:"created_at"`
}

func viewInstance(i messaging.Instance, proxies *proxy.Book) instanceView {
	return instanceView{
		ID: i.ID, Name: i.Name, Environment: i.Environment, Driver: i.Driver, Desired: i.Desired,
		State: i.State, StateReason: nullable(i.StateReason), StateSince: instant(i.StateSince), StateUntil: instant(i.StateUntil),
		Phone: nullable(i.Phone), PushName: nullable(i.PushName), Metadata: i.Metadata, Settings: proxies.Shown(i), CreatedAt: instant(i.CreatedAt),
	}
}

// keyView is a key as commands print it. Token is there once, when the key is
// made.
type keyView struct {
	ID                string                `json:"id"`
	Token             string                `json:"token,omitzero"`
	Name              string                `json:"name"`
	Environment       messaging.Environment `json:"environment"`
	Scopes            []string              `json:"scopes"`
	Instances         *[]string             `json:"instances"` // ids; null when the key opens all
	AllInstances      bool                  `json:"all_instances"`
	State             auth.KeyState         `json:"state"`
	Display           string                `json:"display"`
	WorkspaceID       string                `json:"workspace_id"`
	RatePerMinute     int64                 `json:"rate_per_minute"`
	RateBurst         int64                 `json:"rate_burst"`
	MessagesPerMinute *int64                `json:"messages_per_minute"`
	Lineage           string                `json:"lineage"`
	SuccessorID       nullable              `json:"successor_id"`
	CreatedAt         instant               `json:"created_at"`
	ExpiresAt         instant               `json:"expires_at"`
	RevokedAt         instant               `json:"revoked_at"`
	LastUsedAt        instant               `json:"last_used_at"`
	Replaces          *keyView              `json:"replaces,omitzero"` // of a rotation: the old key
}

func viewKey(k auth.Key) keyView {
	v := keyView{
		ID: k.ID, Name: k.Name, Environment: k.Environment, Scopes: k.Scopes, AllInstances: k.AllInstances,
		State: k.State, Display: k.Display, WorkspaceID: k.Workspace, RatePerMinute: k.RatePerMinute, RateBurst: k.RateBurst,
		Lineage: k.Lineage, SuccessorID: nullable(k.SuccessorID), CreatedAt: instant(k.CreatedAt),
		ExpiresAt: instant(k.ExpiresAt), RevokedAt: instant(k.RevokedAt), LastUsedAt: instant(k.LastUsedAt),
	}
	if k.MessagesPerMinute > 0 {
		v.MessagesPerMinute = &k.MessagesPerMinute
	}
	if !k.AllInstances {
		ids := make([]string, 0, len(k.Instances))
		for _, allowed := range k.Instances {
			ids = append(ids, allowed.ID)
		}
		v.Instances = &ids
	}
	return v
}

// logView is a row of api_logs as the HTTP API shows it.
type logView struct {
	Time        instant  `json:"time"`
	RequestID   string   `json:"request_id"`
	Environment nullable `json:"environment"` // null, as key_id, for a caller without a valid key
	KeyID       nullable `json:"key_id"`
	Method      string   `json:"method"`
	Route       string   `json:"route"`
	Status      int      `json:"status"`
	ErrorCode   nullable `json:"error_code"`
	DurationUS  int64    `json:"duration_us"`
	InstanceID  nullable `json:"instance_id"`
	IP          nullable `json:"ip"`
	UserAgent   nullable `json:"user_agent"`
}

func viewLog(row messaging.RequestLog) logView {
	return logView{
		Time: instant(row.At), RequestID: row.RequestID, Environment: nullable(row.Environment), KeyID: nullable(row.KeyID), Method: row.Method, Route: row.Route,
		Status: row.Status, ErrorCode: nullable(row.ErrorCode), DurationUS: row.Duration.Microseconds(),
		InstanceID: nullable(row.InstanceID), IP: nullable(row.IP), UserAgent: nullable(row.UserAgent),
	}
}
