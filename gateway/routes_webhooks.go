package gateway

import (
	"net/http"

	"portaria/auth"
	"portaria/events/webhooks"
	"portaria/instances"
	"portaria/internal/fault"
)

// webhookExample is a new webhook for those who try the API.
const webhookExample = `{"url":"https://example.com/portaria","events":["message.*","instance.logged_out"],"description":"the shop"}`

// webhookRows are the endpoints themselves.
func (s *Server) webhookRows() []Row {
	read, manage := []auth.Scope{auth.WebhooksRead}, []auth.Scope{auth.WebhooksManage}
	absent := []*fault.Fault{fault.ErrNotFound}
	named := []*fault.Fault{webhooks.ErrURLNotAllowed, auth.ErrInstanceNotAllowed, instances.ErrNotFound}
	once := []*fault.Fault{ErrIdempotencyReused, ErrIdempotencyInProgress}
	rows := []Row{{
		Method: http.MethodPost, Path: "/v1/webhooks", OperationID: "createWebhook", Tag: "webhooks",
		Summary: "Create a webhook",
		Description: "Events are posted to its URL as GET /v1/events shows them, signed as the Standard Webhooks specification says " +
			"(webhook-id, webhook-timestamp, webhook-signature), at least once each: webhook-id is the event's id on every try. " +
			"Any 2xx within 15 s is success. The secret is shown here and never again. A locked key's webhook hears of the key's " +
			"instances alone, and of those that it names.",
		Scopes: manage, BodyLimit: jsonLimit, Statuses: []int{http.StatusCreated}, Example: webhookExample,
		Faults:  append(append([]*fault.Fault{webhooks.ErrTooMany, fault.ErrConflict}, named...), once...),
		Seeds:   SeedsIDs,
		Handler: handle(s.createWebhook),
	}, {
		Method: http.MethodGet, Path: "/v1/webhooks", OperationID: "listWebhooks", Tag: "webhooks",
		Summary:     "List webhooks, newest first",
		Description: "A locked key sees those that hear of its instances alone.",
		Scopes:      read,
		Handler:     handle(s.listWebhooks),
	}, {
		Method: http.MethodGet, Path: "/v1/webhooks/{id}", OperationID: "getWebhook", Tag: "webhooks",
		Summary: "Show a webhook", Description: "Without its secret, which nobody is shown again.",
		Scopes: read, Faults: absent,
		Handler: handle(s.getWebhook),
	}, {
		Method: http.MethodPatch, Path: "/v1/webhooks/{id}", OperationID: "updateWebhook", Tag: "webhooks",
		Summary: "Change a webhook",
		Description: "What is absent stays. Lists take the place of the old ones; instances null means all of them, and retry_policy null " +
			"the usual one. To enable a webhook that Portaria has switched off forgets why; what waited for it is delivered then.",
		Scopes: manage, BodyLimit: jsonLimit, Example: `{"events":["message.received"],"enabled":true}`,
		Faults:  append(absent[:1:1], named...),
		Handler: handle(s.updateWebhook),
	}, {
		Method: http.MethodDelete, Path: "/v1/webhooks/{id}", OperationID: "deleteWebhook", Tag: "webhooks",
		Summary: "Delete a webhook", Description: "What has not been delivered yet is forgotten.",
		Scopes: manage, Faults: absent,
		Handler: handle(s.deleteWebhook),
	}}
	return append(append(rows, s.webhookActRows()...), s.deliveryRows()...)
}

// webhookActRows are what else is asked of an endpoint.
func (s *Server) webhookActRows() []Row {
	manage := []auth.Scope{auth.WebhooksManage}
	once := []*fault.Fault{fault.ErrNotFound, ErrIdempotencyReused, ErrIdempotencyInProgress}
	return []Row{{
		Method: http.MethodPost, Path: "/v1/webhooks/{id}/test", OperationID: "testWebhook", Tag: "webhooks",
		Summary: "Send a webhook an event of type webhook.test",
		Description: "200 with the delivery once its first try has ended, well or not: status_code, error_class and answer say how. 202 when that " +
			"takes longer than 5 s.",
		Scopes: manage, BodyLimit: jsonLimit, Statuses: []int{http.StatusOK, http.StatusAccepted},
		Faults:  append([]*fault.Fault{webhooks.ErrDisabled}, once...),
		Handler: handle(s.testWebhook),
	}, {
		Method: http.MethodPost, Path: "/v1/webhooks/{id}/rotate-secret", OperationID: "rotateWebhookSecret", Tag: "webhooks",
		Summary: "Give a webhook a new secret",
		Description: "The answer shows it, once. Until grace has passed (24h unless you say otherwise, 0s to 7d) deliveries are signed with both, " +
			"so that receivers can be changed without losing any.",
		Scopes: manage, BodyLimit: jsonLimit, Example: `{"grace":"24h"}`, Faults: once,
		Handler: handle(s.rotateWebhookSecret),
	}, {
		Method: http.MethodPost, Path: "/v1/webhooks/{id}/replay", OperationID: "replayWebhook", Tag: "webhooks",
		Summary: "Deliver the events of a time once more",
		Description: "The deliveries since then that have failed, and whose events have not been delivered since; with include all every event that " +
			"the webhook hears of, as after a receiver has lost its data. Oldest first, under the same webhook-id as before.",
		Scopes: manage, BodyLimit: jsonLimit, Statuses: []int{http.StatusAccepted},
		Example: `{"since":"2026-01-31T12:00:00Z","include":"failed"}`, Faults: once,
		Handler: handle(s.replayWebhook),
	}}
}

// deliveryRows are the log of an endpoint's deliveries.
func (s *Server) deliveryRows() []Row {
	return []Row{{
		Method: http.MethodGet, Path: "/v1/webhooks/{id}/deliveries", OperationID: "listDeliveries", Tag: "webhooks",
		Summary: "List a webhook's deliveries",
		Description: "Newest first; with ?after= oldest first, beginning behind that delivery. Each with what became of its last try: status, " +
			"duration, why it failed and the first 1 KB of the answer. Kept for 30 days.",
		Scopes: []auth.Scope{auth.WebhooksRead}, Faults: []*fault.Fault{fault.ErrNotFound},
		Handler: handle(s.listDeliveries),
	}, {
		Method: http.MethodPost, Path: "/v1/webhooks/{id}/deliveries/{delivery}/replay", OperationID: "replayDelivery", Tag: "webhooks",
		Summary:     "Deliver an event once more",
		Description: "As a new delivery, under the same webhook-id. Not while the delivery is still pending.",
		Scopes:      []auth.Scope{auth.WebhooksManage}, BodyLimit: jsonLimit, Statuses: []int{http.StatusAccepted},
		Faults:  []*fault.Fault{fault.ErrNotFound, webhooks.ErrNotDelivered, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.replayDelivery),
	}}
}

// streamRows are the events as they happen.
func (s *Server) streamRows() []Row {
	return []Row{{
		Method: http.MethodGet, Path: "/v1/events/stream", OperationID: "streamEvents", Tag: "events",
		Summary: "Listen to events as they happen",
		Description: "Server-sent events (text/event-stream): `id` is the event's, `event` its type, `data` the event as GET /v1/events shows it. " +
			"With Last-Event-ID or ?after= what came behind that event is told first, so nothing is missed between two connections; `gap` " +
			"says that some of it is no longer kept. A comment every 15 s shows that the stream lives. Before it ends the stream says why: " +
			"`dropped` with a code, TOO_SLOW for who reads more slowly than events happen, SHUTTING_DOWN, UNAUTHORIZED, KEY_EXPIRED " +
			"or UNAVAILABLE. At most 20 streams for a key.",
		Scopes: []auth.Scope{auth.EventsRead}, Instance: InstanceQuery, Forms: []string{formEvents},
		Handler: handle(s.streamEvents),
	}}
}
