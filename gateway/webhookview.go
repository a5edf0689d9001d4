package gateway

import (
	"portaria/events/webhooks"
	"portaria/messaging"
)

// webhookView is an endpoint as the API shows it.
type webhookView struct {
	ID             string                `json:"id"`
	URL            string                `json:"url"`
	Description    string                `json:"description"`
	Environment    messaging.Environment `json:"environment" enum:"live,test"`
	Events         []string              `json:"events" nullable:"false" description:"Types, families as message.*, or * for all."`
	Instances      *[]string             `json:"instances" description:"Ids; null: all instances, also those to come."`
	Chats          messaging.Chats       `json:"chats" enum:"all,direct,group"`
	Ordered        bool                  `json:"ordered" description:"The events of one instance come one after the other: the next one waits until the one before has been delivered or has finally failed."`
	Enabled        bool                  `json:"enabled"`
	DisabledReason nullable              `json:"disabled_reason" description:"Why Portaria switched it off: gone (it answered 410) or failing (nothing succeeded for 5 days)."`
	DisabledAt     timestamp             `json:"disabled_at"`
	FailingSince   timestamp             `json:"failing_since" description:"The first failure since the last success."`
	RetryPolicy    retryPolicyView       `json:"retry_policy"`
	RotatedUntil   timestamp             `json:"secret_rotated_until" description:"Until then the secret before this one signs too."`
	CreatedAt      timestamp             `json:"created_at"`
}

// retryPolicyView is how often an endpoint is tried, as it is in effect.
type retryPolicyView struct {
	MaxAttempts int      `json:"max_attempts"`
	Schedule    []string `json:"schedule" nullable:"false" description:"The wait before each try, counted from the failure before it; the last one repeats." example:"[\"0s\",\"5s\",\"5m\"]"`
}

func viewWebhook(w messaging.Webhook) webhookView {
	v := webhookView{
		ID: w.ID, URL: w.URL, Description: w.Description, Environment: w.Environment, Events: w.Events, Chats: w.Chats,
		Ordered: w.Ordered, Enabled: w.Enabled, DisabledReason: nullable(w.DisabledReason), DisabledAt: timestamp(w.DisabledAt),
		FailingSince: timestamp(w.FailingSince), RetryPolicy: viewRetryPolicy(webhooks.PolicyOf(&w)),
		RotatedUntil: timestamp(w.SecretRotatedUntil), CreatedAt: timestamp(w.CreatedAt),
	}
	if w.Instances != nil {
		v.Instances = &w.Instances
	}
	return v
}

func viewRetryPolicy(p webhooks.Policy) retryPolicyView {
	v := retryPolicyView{MaxAttempts: p.MaxAttempts, Schedule: make([]string, 0, len(p.Schedule))}
	for _, wait := range p.Schedule {
		v.Schedule = append(v.Schedule, messaging.FormatDuration(wait))
	}
	return v
}

// webhookSecretView is an endpoint with its new secret.
type webhookSecretView struct {
	webhookView

	Secret nullable `json:"secret" description:"Signs the deliveries (Standard Webhooks); shown once. Null in the answer to a repeated request." example:"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"`
}

// deliveryView is a delivery with what became of its last try.
type deliveryView struct {
	ID            string                 `json:"id"`
	WebhookID     string                 `json:"webhook_id"`
	EventID       string                 `json:"event_id"`
	EventType     messaging.EventType    `json:"event_type"`
	InstanceID    nullable               `json:"instance_id"`
	State         webhooks.DeliveryState `json:"state" enum:"pending,delivered,failed"`
	Attempts      int                    `json:"attempts"`
	NextAttemptAt timestamp              `json:"next_attempt_at" description:"Of a pending one."`
	StatusCode    *int                   `json:"status_code" description:"Of the last try; null when there was no answer."`
	DurationMS    *int64                 `json:"duration_ms" description:"Of the last try."`
	ErrorClass    nullable               `json:"error_class" description:"Why the last try failed: status, redirect, timeout, connect, dns, tls, not_allowed, broken, event_gone, internal."`
	Answer        nullable               `json:"answer" description:"The first 1 KB of the last answer's body."`
	CreatedAt     timestamp              `json:"created_at"`
	AttemptedAt   timestamp              `json:"attempted_at"`
}

func viewDelivery(d webhooks.Delivery) deliveryView {
	v := deliveryView{
		ID: d.ID, WebhookID: d.WebhookID, EventID: d.EventID, EventType: d.EventType, InstanceID: nullable(d.InstanceID),
		State: d.State, Attempts: d.Attempts, ErrorClass: nullable(d.ErrorClass), Answer: nullable(d.Answer),
		CreatedAt: timestamp(d.CreatedAt), AttemptedAt: timestamp(d.AttemptedAt),
	}
	if d.State == webhooks.Pending {
		v.NextAttemptAt = timestamp(d.Due)
	}
	if d.StatusCode > 0 {
		v.StatusCode = &d.StatusCode
	}
	if !d.AttemptedAt.IsZero() {
		took := d.Duration.Milliseconds()
		v.DurationMS = &took
	}
	return v
}

// replayedView says what a replay of a range came to.
type replayedView struct {
	Queued int       `json:"queued"`
	More   bool      `json:"more" description:"There is more than one request queues: ask again with last as since."`
	Last   timestamp `json:"last" description:"The time of the last event that was queued."`
}
