package gateway

import (
	"net/http"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
	"portaria/outbox"
)

// InstanceSource says where a row's instance comes from.
type InstanceSource uint8

// The sources.
const (
	InstanceNone  InstanceSource = iota
	InstancePath                 // {instance} in the path
	InstanceQuery                // ?instance=, when given
	InstanceKey                  // the one instance that the key is locked to
	InstanceBody                 // named in the body; the handler finds it
)

// Visibility says what of the tenancy a row shows to a caller.
type Visibility uint8

// The visibilities.
const (
	SeesTenancy     Visibility = iota // all that the allowlist opens
	SeesOwnSends                      // messages of the caller's key lineage, unless it has messages:read
	SeesOwnRequests                   // logs; a locked key sees its own lineage's
)

// Row is a route under /v1: everything that guards it, documents it and tests
// it.
type Row struct {
	Method      string
	Path        string // as OpenAPI writes it, with {instance} and {id}
	OperationID string
	Tag         string
	Summary     string
	Description string

	Scopes       []auth.Scope // a caller needs all of them …
	AnyOf        []auth.Scope // … and one of these
	Sees         Visibility
	Instance     InstanceSource
	Environments []messaging.Environment // nil: both
	WorkspaceAct bool                    // a key locked to instances may not
	Cost         int                     // tokens of the key's bucket; 0 means 1
	// SpendsMessages says that the row spends tokens of the key's second bucket,
	// one a recipient, so that its answers tell what is left there.
	SpendsMessages bool

	// SecretBody says that the body may hold a secret that is easily guessed, as a
	// PIN is, or a proxy's password: nothing is kept from which it can be found by
	// trying.
	SecretBody bool

	BodyLimit int64 // 0: the route takes no body
	FormLimit int64 // of multipart/form-data; 0: the route takes no form
	// Spools says that the body is a bulk's: its rows go to the disk as they
	// arrive, and what stands beside them is the body that is decoded.
	Spools bool
	// DryRuns says that ?dry_run=true acts on nothing, so that an
	// Idempotency-Key is not taken by it.
	DryRuns  bool
	Seeds    SeedUse       // what becomes of X-Sandbox-Seed
	Example  string        // a body, as JSON
	Deadline time.Duration // 0: defaultDeadline
	Statuses []int         // of success; the first is the usual one. None: 200
	Others   map[int]any   // envelopes of successes that are not the handler's usual one, by status
	Forms    []string      // media types of success beside JSON, chosen by Accept
	Faults   []*fault.Fault
	Handler  Handler
}

const (
	// jsonLimit is the largest JSON body.
	jsonLimit = 1 << 20
	// mediaLimit is the largest JSON body that holds a file in base64.
	mediaLimit = 24 << 20
	// defaultDeadline bounds what a handler may take.
	defaultDeadline = 15 * time.Second
)

// table is every route under /v1. A new route is one row and one function.
func (s *Server) table() []Row {
	rows := []Row{{
		Method: http.MethodGet, Path: "/v1/me", OperationID: "getMe", Tag: "keys",
		Summary:     "Show the key that asks",
		Description: "Any valid key may ask: its id, environment, scopes, instances, limits and expiry.",
		Handler:     handle(s.me),
	}}
	rows = append(rows, s.messageRows()...)
	rows = append(rows, s.messageActRows()...)
	rows = append(rows, s.mediaRows()...)
	rows = append(rows, s.instanceRows()...)
	rows = append(rows, s.connectionRows()...)
	rows = append(rows, s.historyRows()...)
	rows = append(rows, s.streamRows()...)
	rows = append(rows, s.webhookRows()...)
	rows = append(rows, s.bulkRows()...)
	return append(rows, s.sandboxRows()...)
}

func (s *Server) messageRows() []Row {
	sendFaults := []*fault.Fault{
		ErrUnsupportedMessage, ErrIdempotencyReused, ErrIdempotencyInProgress,
		outbox.ErrInvalidRecipient, outbox.ErrSandboxRecipient, media.ErrURLNotAllowed, media.ErrUnreachable,
	}
	send := Row{
		Method: http.MethodPost, Tag: "messages",
		Description: "Accepted durably: after the 202 no crash loses the message. With ?wait= the answer is 200 once the status or an end is reached. " +
			"A file may also come as a form: the part message holds this body without url, base64 and media_id, the part file the file.",
		Scopes: []auth.Scope{auth.WhatsAppSend}, BodyLimit: mediaLimit, FormLimit: formLimit,
		Example:  `{"to":"+55 11 91234-5678","text":"Olá"}`,
		Statuses: []int{http.StatusAccepted, http.StatusOK}, Faults: sendFaults, SpendsMessages: true,
		Seeds:   SeedsIDs,
		Handler: handle(s.sendMessage),
	}
	toInstance, toOwn := send, send
	toInstance.Path, toInstance.OperationID, toInstance.Instance = "/v1/instances/{instance}/messages", "sendMessage", InstancePath
	toInstance.Summary = "Send a message from an instance"
	toOwn.Path, toOwn.OperationID, toOwn.Instance = "/v1/messages", "sendMessageFromOwnInstance", InstanceKey
	toOwn.Summary = "Send a message from the one instance that the key is locked to"

	readers := []auth.Scope{auth.MessagesRead, auth.WhatsAppSend}
	return []Row{toInstance, toOwn, {
		Method: http.MethodGet, Path: "/v1/messages", OperationID: "listMessages", Tag: "messages",
		Summary:     "List messages, newest first",
		Description: "messages:read sees every message of the key's instances; whatsapp:send alone sees those that its own key lineage sent.",
		AnyOf:       readers, Sees: SeesOwnSends, Instance: InstanceQuery,
		Handler: handle(s.listMessages),
	}, {
		Method: http.MethodGet, Path: "/v1/messages/{id}", OperationID: "getMessage", Tag: "messages",
		Summary: "Show a message", AnyOf: readers, Sees: SeesOwnSends,
		Faults:  []*fault.Fault{fault.ErrNotFound},
		Handler: handle(s.getMessage),
	}, {
		Method: http.MethodGet, Path: "/v1/messages/{id}/events", OperationID: "listMessageEvents", Tag: "messages",
		Summary: "List what happened to a message", AnyOf: readers, Sees: SeesOwnSends,
		Faults:  []*fault.Fault{fault.ErrNotFound},
		Handler: handle(s.listMessageEvents),
	}, {
		Method: http.MethodPost, Path: "/v1/messages/{id}/cancel", OperationID: "cancelMessage", Tag: "messages",
		Summary:     "Cancel a message that waits",
		Description: "While it is scheduled, queued or held. Own messages, or any with messages:read too.",
		Scopes:      []auth.Scope{auth.WhatsAppSend}, Sees: SeesOwnSends, BodyLimit: jsonLimit,
		Faults:  []*fault.Fault{fault.ErrNotFound, fault.ErrConflict, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.cancelMessage),
	}}
}

func (s *Server) mediaRows() []Row {
	return []Row{{
		Method: http.MethodPost, Path: "/v1/media", OperationID: "uploadMedia", Tag: "media", Seeds: SeedsIDs,
		Summary: "Upload a file for messages",
		Description: "As a form with the part file, of at most 100 MiB, or as JSON with url or base64. The file's type is found from its bytes. " +
			"Messages name it by media_id, as often as they like.",
		Scopes: []auth.Scope{auth.WhatsAppSend}, BodyLimit: mediaLimit, FormLimit: formLimit, Statuses: []int{http.StatusCreated},
		Example: `{"base64":"iVBORw0KGgo=","filename":"pixel.png"}`,
		Faults: []*fault.Fault{
			media.ErrEmpty, media.ErrURLNotAllowed, media.ErrUnreachable, ErrIdempotencyReused, ErrIdempotencyInProgress,
		},
		Handler: handle(s.uploadMedia),
	}, {
		Method: http.MethodGet, Path: "/v1/media/{id}", OperationID: "getMedia", Tag: "media",
		Summary: "Download a file",
		Description: "messages:read opens the files of the key's instances, whatsapp:send alone those that its own key lineage brought. " +
			"The bytes as they are, as an attachment.",
		AnyOf: []auth.Scope{auth.MessagesRead, auth.WhatsAppSend}, Sees: SeesOwnSends, Forms: []string{anyForm},
		Faults:  []*fault.Fault{fault.ErrNotFound},
		Handler: handle(s.getMedia),
	}}
}

func (s *Server) instanceRows() []Row {
	read, manage := []auth.Scope{auth.WhatsAppRead}, []auth.Scope{auth.WhatsAppManage}
	return []Row{{
		Method: http.MethodPost, Path: "/v1/instances", OperationID: "createInstance", Tag: "instances",
		Summary:     "Create an instance",
		Description: "A test instance begins connected to the sandbox, unless sandbox.paired is false; a live one begins created.",
		Scopes:      manage, WorkspaceAct: true, BodyLimit: jsonLimit, SecretBody: true, Statuses: []int{http.StatusCreated},
		Example: `{"name":"support","metadata":{"team":"sales"}}`,
		Faults: []*fault.Fault{
			fault.New(fault.Conflict, "NAME_TAKEN", ""), fault.ErrConflict, ErrIdempotencyReused, ErrIdempotencyInProgress,
		},
		Seeds:   SeedsIDs,
		Handler: handle(s.createInstance),
	}, {
		Method: http.MethodGet, Path: "/v1/instances", OperationID: "listInstances", Tag: "instances",
		Summary: "List instances, newest first", Scopes: read,
		Handler: handle(s.listInstances),
	}, {
		Method: http.MethodGet, Path: "/v1/instances/{instance}", OperationID: "getInstance", Tag: "instances",
		Summary: "Show an instance", Scopes: read, Instance: InstancePath,
		Handler: handle(s.getInstance),
	}, {
		Method: http.MethodPatch, Path: "/v1/instances/{instance}", OperationID: "updateInstance", Tag: "instances",
		Summary:     "Change an instance's metadata and settings",
		Description: "Merged member by member as RFC 7396 says: null removes.",
		Scopes:      manage, Instance: InstancePath, BodyLimit: jsonLimit,
		Example: `{"metadata":{"team":"sales","old":null}}`,
		Handler: handle(s.updateInstance),
	}, {
		Method: http.MethodDelete, Path: "/v1/instances/{instance}", OperationID: "deleteInstance", Tag: "instances",
		Summary: "Delete an instance", Description: "Its waiting messages are canceled.",
		Scopes: manage, Instance: InstancePath,
		Handler: handle(s.deleteInstance),
	}}
}

func (s *Server) historyRows() []Row {
	return []Row{{
		Method: http.MethodGet, Path: "/v1/events", OperationID: "listEvents", Tag: "events",
		Summary:     "List events",
		Description: "Newest first; with ?after= oldest first, beginning behind that event.",
		Scopes:      []auth.Scope{auth.EventsRead}, Instance: InstanceQuery,
		Handler: handle(s.listEvents),
	}, {
		Method: http.MethodGet, Path: "/v1/logs", OperationID: "listLogs", Tag: "logs",
		Summary:     "List which key made which request",
		Description: "Newest first. A locked key sees only its own lineage's requests.",
		Scopes:      []auth.Scope{auth.LogsRead}, Sees: SeesOwnRequests, Instance: InstanceQuery,
		Handler: handle(s.listLogs),
	}}
}
