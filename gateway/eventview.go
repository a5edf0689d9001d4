package gateway

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
)

// Renderer writes events as the API shows them. Whoever tells of events outside
// of it (webhooks, a broker) uses the same one.
type Renderer struct{ proxies Proxies }

// NewRenderer returns a renderer that knows what of an instance's proxy may be
// shown.
func NewRenderer(proxies Proxies) Renderer { return Renderer{proxies} }

// RenderEvent writes an event in one line: exactly the JSON of one element of
// GET /v1/events.
func (r Renderer) RenderEvent(e messaging.Event) ([]byte, error) {
	encoded, err := json.Marshal(r.viewEvent(e))
	if err != nil {
		return nil, fmt.Errorf("render event %s: %w", e.ID, err)
	}
	return encoded, nil
}

// eventAPIVersion says which schema an event's data has.
const eventAPIVersion = "v1"

// eventView is an event as the API shows it.
type eventView struct {
	ID          string                `json:"id"`
	Type        messaging.EventType   `json:"type"`
	APIVersion  string                `json:"api_version"`
	Environment messaging.Environment `json:"environment" enum:"live,test"`
	WorkspaceID string                `json:"workspace_id"`
	InstanceID  nullable              `json:"instance_id"`
	Sequence    int64                 `json:"sequence"`
	Timestamp   timestamp             `json:"timestamp"`
	Data        eventData             `json:"data"`
}

// Description tells the OpenAPI document where the schema of each type is.
func (eventView) Description() string {
	return "data holds the object of the event by its noun, as message of message.sent. Each type has a JSON Schema of its own: " +
		"/schemas/events/{type}.json, listed in /schemas/events.json. They are the same for live and test."
}

// eventData holds the object of an event by its noun.
type eventData struct {
	Message  *messageJSON  `json:"message,omitzero"`
	Instance *instanceView `json:"instance,omitzero"`
	Call     *callView     `json:"call,omitzero"`
	Bulk     *bulkView     `json:"bulk,omitzero"`
	Webhook  *webhookView  `json:"webhook,omitzero"`
}

// callView is a call from a contact.
type callView struct {
	ID       string      `json:"id"`
	From     addressView `json:"from"`
	Video    bool        `json:"video"`
	Group    bool        `json:"group"`
	Rejected bool        `json:"rejected" description:"By settings.reject_calls."`
	At       timestamp   `json:"at"`
}

func viewCall(c *messaging.Call) *callView {
	return &callView{
		ID: c.ID, From: addressView(c.From), Video: c.Video, Group: c.Group, Rejected: c.Rejected, At: timestamp(c.At),
	}
}

func (r Renderer) viewEvent(e messaging.Event) eventView {
	v := eventView{
		ID: e.ID, Type: e.Type, APIVersion: eventAPIVersion, Environment: e.Environment,
		WorkspaceID: e.WorkspaceID, InstanceID: nullable(e.InstanceID), Sequence: e.Sequence, Timestamp: timestamp(e.Timestamp),
	}
	if e.Message != nil {
		message := *e.Message
		message.State = e.State
		v.Data.Message = &messageJSON{message}
	}
	if e.Instance != nil {
		instance := r.viewInstance(*e.Instance)
		v.Data.Instance = &instance
	}
	if e.Call != nil {
		v.Data.Call = viewCall(e.Call)
	}
	if e.Bulk != nil {
		view := viewBulk(e.Bulk)
		v.Data.Bulk = &view
	}
	if e.Webhook != nil {
		webhook := viewWebhook(*e.Webhook)
		v.Data.Webhook = &webhook
	}
	return v
}
