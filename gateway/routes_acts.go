package gateway

import (
	"net/http"
	"time"

	"portaria/auth"
	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// actsDeadline bounds an edit: that of a caption may bring the file once more.
const actsDeadline = time.Minute

// messageActRows are what one does with messages besides sending them.
func (s *Server) messageActRows() []Row {
	send := []auth.Scope{auth.WhatsAppSend}
	late := []*fault.Fault{
		fault.ErrNotFound, fault.ErrConflict, messaging.ErrTooOld, messaging.ErrActRefused, instances.ErrNotConnected, fault.ErrUnavailable,
	}
	once := []*fault.Fault{instances.ErrNotConnected, messaging.ErrActRefused, fault.ErrUnavailable, ErrIdempotencyReused, ErrIdempotencyInProgress}
	return []Row{{
		Method: http.MethodPatch, Path: "/v1/messages/{id}", OperationID: "editMessage", Tag: "messages",
		Summary: "Edit a message that was sent",
		Description: "The text of a text message, or the caption of an image, a video or a document, for 15 minutes after it was sent. " +
			"Done at once: the instance has to be connected. Own messages, or any with messages:read too. A repeat is harmless.",
		Scopes: send, Sees: SeesOwnSends, BodyLimit: jsonLimit, Deadline: actsDeadline,
		Example: `{"text":"Olá, Ana"}`,
		Faults:  late,
		Handler: handle(s.editMessage),
	}, {
		Method: http.MethodDelete, Path: "/v1/messages/{id}", OperationID: "revokeMessage", Tag: "messages",
		Summary: "Delete a message that was sent for everyone",
		Description: "For two and a half days after it was sent; a message that waits is canceled instead. What it said stays readable here. " +
			"Done at once: the instance has to be connected. Own messages, or any with messages:read too. A repeat is harmless.",
		Scopes: send, Sees: SeesOwnSends,
		Faults:  late,
		Handler: handle(s.revokeMessage),
	}, {
		Method: http.MethodPost, Path: "/v1/instances/{instance}/typing", OperationID: "showTyping", Tag: "messages",
		Summary:     "Show a chat that a message is being written",
		Description: "WhatsApp ends it by itself after about 25 seconds, and when a message arrives.",
		Scopes:      send, Instance: InstancePath, BodyLimit: jsonLimit,
		Example: `{"to":"+55 11 91234-5678","state":"typing"}`,
		Faults:  append([]*fault.Fault{outbox.ErrInvalidRecipient, outbox.ErrSandboxRecipient}, once...),
		Handler: handle(s.showTyping),
	}, {
		Method: http.MethodPost, Path: "/v1/instances/{instance}/read", OperationID: "markMessagesRead", Tag: "messages",
		Summary:     "Tell contacts that their messages were read",
		Description: "Of up to 100 inbound messages of the instance. A phone that has read receipts switched off tells nobody but itself.",
		Scopes:      send, Instance: InstancePath, BodyLimit: jsonLimit,
		Example: `{"message_ids":["msg_01jd00000000000000000000aa"]}`,
		Faults:  once,
		Handler: handle(s.markMessagesRead),
	}}
}
