package gateway

import (
	"net/http"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/media"
	"portaria/outbox"
)

// bulkExample is a new bulk for those who try the API.
const bulkExample = `{"name":"Black Friday","message":{"text":"Olá {{name|cliente}}, seu pedido {{order}} chegou."},` +
	`"recipients":[{"to":"+55 11 91234-5678","variables":{"name":"Ana","order":"A-1"}}]}`

// bulkDescription says what a bulk is.
const bulkDescription = "Up to 100,000 recipients and 25 MiB, accepted whole or not at all: after the 202 no crash loses a row, and none is sent to twice. " +
	"As JSON, or as a form with the parts file (CSV with a header; or a JSON object on each line, application/x-ndjson), message (the message, " +
	"or this body without recipients) and any option in a part of its own, in whatever order. Rows that cannot be sent refuse the bulk and are " +
	"listed in details.fields, unless on_invalid is skip. With ?dry_run=true every row is checked and the answer is 200 with what would happen: nothing " +
	"is stored or paid. A bulk costs a further token for each hundred recipients, at most the key's burst less one, and one of its messages for each."

// bulkRows are bulks and their results.
func (s *Server) bulkRows() []Row {
	write, read := []auth.Scope{auth.BulkWrite, auth.WhatsAppSend}, []auth.Scope{auth.BulkRead}
	absent := []*fault.Fault{fault.ErrNotFound}
	create := Row{
		Method: http.MethodPost, Tag: "bulk", Description: bulkDescription, Scopes: write,
		BodyLimit: bulkLimit, FormLimit: bulkFormLimit, Spools: true, DryRuns: true, Deadline: bulkDeadline,
		Statuses: []int{http.StatusAccepted, rehearsedStatus}, Others: map[int]any{rehearsedStatus: dataAnswer[rehearsalView]{}},
		SpendsMessages: true, Example: bulkExample,
		Faults: []*fault.Fault{
			ErrUnsupportedMessage, ErrIdempotencyReused, ErrIdempotencyInProgress,
			outbox.ErrSandboxRecipient, outbox.ErrInvalidRecipient, media.ErrURLNotAllowed, media.ErrUnreachable,
		},
		Handler: handle(s.createBulk),
	}
	one, several := create, create
	one.Path, one.OperationID, one.Instance = "/v1/instances/{instance}/bulk", "createBulk", InstancePath
	one.Summary = "Send a message to many recipients through an instance"
	several.Path, several.OperationID, several.Instance = "/v1/bulk", "createSpreadBulk", InstanceBody
	several.Summary, several.Handler = "Send a message to many recipients through several instances", handle(s.createSpreadBulk)
	several.Example = `{"instances":["support","sales"],` + bulkExample[1:]
	rows := []Row{one, several, {
		Method: http.MethodGet, Path: "/v1/bulk", OperationID: "listBulks", Tag: "bulk",
		Summary:     "List bulks, newest first",
		Description: "A locked key sees those whose instances are all its own.",
		Scopes:      read,
		Handler:     handle(s.listBulks),
	}, {
		Method: http.MethodGet, Path: "/v1/bulk/{id}", OperationID: "getBulk", Tag: "bulk",
		Summary: "Show a bulk", Description: "With its counts as they stand now, and an estimate of its end.",
		Scopes: read, Faults: absent,
		Handler: handle(s.getBulk),
	}, {
		Method: http.MethodGet, Path: "/v1/bulk/{id}/recipients", OperationID: "listBulkRecipients", Tag: "bulk",
		Summary: "List the recipients of a bulk, and what became of each",
		Description: "In the order of the upload, every row from the 202 on. With Accept: text/csv all of them as one table, whatever page is asked for: " +
			"row, to, wa_id, status, error_code, error_message, message_id, instance_id, sent_at, delivered_at, read_at, failed_at, and a column for each variable. " +
			"In the table a cell that begins with = + - @, or with a tab or a line break, has an apostrophe before it, so that no spreadsheet takes it for a " +
			"formula; telephone numbers stay as they are.",
		Scopes: read, Forms: []string{formCSV}, Deadline: bulkDeadline, Faults: absent,
		Handler: handle(s.listBulkRecipients),
	}}
	return append(append(rows, s.steeringRows()...), s.optOutRows()...)
}

// steeringRows are what owners ask of a bulk that is there.
func (s *Server) steeringRows() []Row {
	var rows []Row
	for _, ask := range []struct {
		word, operation, summary, says string
		handler                        Handler
	}{{
		"pause", "pauseBulk", "Pause a bulk",
		"What the network has in hand goes out; the rest waits until the bulk is resumed.", handle(s.steer(BulkControls.Pause)),
	}, {
		"resume", "resumeBulk", "Let a bulk that is paused go on", "", handle(s.steer(BulkControls.Resume)),
	}, {
		"cancel", "cancelBulk", "Cancel a bulk",
		"What the network has in hand goes out; the rest is canceled. There is no way back.", handle(s.steer(BulkControls.Cancel)),
	}, {
		"retry-failed", "retryBulk", "Send to those again whose messages failed or expired",
		"Of a bulk that is running or has completed. Each gets a new message; the row then shows that one. Without such rows nothing happens.",
		handle(s.steer(BulkControls.RetryFailed)),
	}} {
		rows = append(rows, Row{
			Method: http.MethodPost, Path: "/v1/bulk/{id}/" + ask.word, OperationID: ask.operation, Tag: "bulk",
			Summary: ask.summary, Description: ask.says, Scopes: []auth.Scope{auth.BulkWrite, auth.WhatsAppSend}, BodyLimit: jsonLimit,
			Faults:  []*fault.Fault{fault.ErrNotFound, fault.ErrConflict, ErrIdempotencyReused, ErrIdempotencyInProgress},
			Handler: ask.handler,
		})
	}
	return rows
}

// optOutRows are the contacts who do not want bulks.
func (s *Server) optOutRows() []Row {
	const path, tag = "/v1/opt-outs", "opt-outs"
	return []Row{{
		Method: http.MethodPost, Path: path, OperationID: "createOptOut", Tag: tag,
		Summary: "Note that a contact does not want bulks",
		Description: "Bulks of the instance, or of the whole workspace, skip the contact from then on. Contacts do it themselves with SAIR, PARAR or " +
			"STOP, or the words of the instance's settings.opt_out_keywords. Who is noted already stays so.",
		Scopes: []auth.Scope{auth.ContactsWrite}, Instance: InstanceBody, BodyLimit: jsonLimit, Statuses: []int{http.StatusCreated},
		Example: `{"to":"+55 11 91234-5678","instance_id":"support"}`,
		Faults:  []*fault.Fault{auth.ErrInstanceLocked, outbox.ErrInvalidRecipient, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.createOptOut),
	}, {
		Method: http.MethodGet, Path: path, OperationID: "listOptOuts", Tag: tag,
		Summary:     "List contacts who do not want bulks, newest first",
		Description: "With ?instance= those of that instance alone. A locked key sees those of its instances.",
		Scopes:      []auth.Scope{auth.ContactsRead}, Instance: InstanceQuery,
		Handler: handle(s.listOptOuts),
	}, {
		Method: http.MethodDelete, Path: path, OperationID: "deleteOptOut", Tag: tag,
		Summary:     "Forget that a contact does not want bulks",
		Description: "Of ?to=, for ?instance= or, without it, for the whole workspace.",
		Scopes:      []auth.Scope{auth.ContactsWrite}, Instance: InstanceQuery,
		Faults:  []*fault.Fault{fault.ErrNotFound, auth.ErrInstanceLocked},
		Handler: handle(s.deleteOptOut),
	}}
}
