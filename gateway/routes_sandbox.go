package gateway

import (
	"net/http"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/sandbox/runs"
)

// testOnly are the environments of the sandbox's rows.
var testOnly = []messaging.Environment{messaging.Test}

// sandboxRows are the routes of the test world.
func (s *Server) sandboxRows() []Row {
	rows := s.sandboxWorldRows()
	rows = append(rows, s.sandboxControlRows()...)
	return append(append(rows, s.inboundRow()), s.runRows()...)
}

// sandboxWorldRows are about a workspace's test world as a whole.
func (s *Server) sandboxWorldRows() []Row {
	run := []auth.Scope{auth.SandboxRun}
	return []Row{{
		Method: http.MethodGet, Path: "/v1/sandbox/messages", OperationID: "listCarriages", Tag: "sandbox",
		Summary: "List what the simulated network carried", Scopes: run, Environments: testOnly, Instance: InstanceQuery,
		Handler: handle(s.listCarriages),
	}, {
		Method: http.MethodGet, Path: "/v1/sandbox/clock", OperationID: "getClock", Tag: "sandbox",
		Summary: "Show the sandbox clock", Scopes: run, Environments: testOnly,
		Handler: handle(s.getClock),
	}, {
		Method: http.MethodPut, Path: "/v1/sandbox/clock", OperationID: "setClock", Tag: "sandbox",
		Summary: "Set how the sandbox clock runs", Scopes: run, Environments: testOnly, WorkspaceAct: true, BodyLimit: jsonLimit,
		Example: `{"mode":"frozen"}`,
		Handler: handle(s.setClock),
	}, {
		Method: http.MethodPost, Path: "/v1/sandbox/clock/advance", OperationID: "advanceClock", Tag: "sandbox",
		Summary:     "Move the sandbox clock",
		Description: "Answers when all that came due has been done.",
		Scopes:      run, Environments: testOnly, WorkspaceAct: true, BodyLimit: jsonLimit, Deadline: time.Minute,
		Example: `{"seconds":3600}`,
		Faults:  []*fault.Fault{fault.ErrConflict, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.advanceClock),
	}, {
		Method: http.MethodPost, Path: "/v1/sandbox/reset", OperationID: "resetSandbox", Tag: "sandbox",
		Summary: "Clear the test world",
		Description: "What happened in the workspace's test environment goes: messages, events, bulks, opt-outs, files, runs, seeds. What was set up " +
			"stays: keys, instances, webhooks. Nothing live is touched.",
		Scopes: run, Environments: testOnly, WorkspaceAct: true, BodyLimit: jsonLimit, Deadline: time.Minute,
		Faults:  []*fault.Fault{runs.ErrInProgress, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.resetSandbox),
	}}
}

// sandboxControlRows do to an instance what its phone and its network do.
func (s *Server) sandboxControlRows() []Row {
	scan := s.controlRow("scan", "scanCode", "Link a simulated phone to an instance that is being paired",
		"As a phone does that scans the QR, or on which the pairing code is typed. Without code it takes whatever is shown. "+
			"Opening the link that the QR of a test instance is does the same.",
		handle(s.scanCode), sandbox.ErrNotPairing, sandbox.ErrWrongCode)
	scan.Seeds, scan.Example = SeedsIDs, `{"code":"ABCD-1234"}`
	drop := s.controlRow("drop", "dropConnection", "Cut an instance's connection",
		"For a time of the sandbox clock, or until reconnect. Messages wait meanwhile.", handle(s.dropConnection), sandbox.ErrNotOnline)
	drop.Example = `{"seconds":30}`
	ban := s.controlRow("ban", "banInstance", "Have the network ban an instance's number",
		"For a time of the sandbox clock, after which the connection comes back by itself (restricted), or for good (banned).",
		handle(s.banInstance), sandbox.ErrNotLinked)
	ban.Example = `{"seconds":3600}`
	return []Row{
		scan, drop,
		s.controlRow("reconnect", "reconnectInstance", "Bring an instance's connection back",
			"One that was dropped, or whose ban is lifted with it.", handle(s.reconnectInstance), sandbox.ErrNotDown),
		s.controlRow("logout", "removeDevice", "Have the phone remove the instance from its linked devices",
			"What the owner of a phone may do at any time. To log out from this side, use /v1/instances/{instance}/logout.",
			handle(s.removeDevice), sandbox.ErrNotLinked),
		ban,
	}
}

// controlRow is one control of a test instance.
func (s *Server) controlRow(act, id, summary, description string, handler Handler, faults ...*fault.Fault) Row {
	return Row{
		Method: http.MethodPost, Path: "/v1/sandbox/instances/{instance}/" + act, OperationID: id, Tag: "sandbox",
		Summary: summary, Description: description,
		Scopes: []auth.Scope{auth.SandboxRun}, Environments: testOnly, Instance: InstancePath, BodyLimit: jsonLimit,
		Faults:  append(faults, ErrIdempotencyReused, ErrIdempotencyInProgress),
		Handler: handler,
	}
}

// inboundRow is how contacts write to test instances.
func (s *Server) inboundRow() Row {
	return Row{
		Method: http.MethodPost, Path: "/v1/sandbox/instances/{instance}/inbound", OperationID: "receiveMessage", Tag: "sandbox",
		Summary: "Have a contact write to an instance",
		Description: "A message of any kind that can be sent, answered 201 with the message. type edit and type revoke change a message that " +
			"a contact sent before, answered 200 with the message as it stands; type call is a call, answered 201 with the call. " +
			"Events and webhooks are those of live messages. A file may also come as a form, as for sending.",
		Scopes: []auth.Scope{auth.SandboxRun}, Environments: testOnly, Instance: InstancePath, BodyLimit: mediaLimit, FormLimit: formLimit,
		Example:  `{"from":"+55 11 91234-5678","text":"Olá"}`,
		Statuses: []int{http.StatusCreated, http.StatusOK},
		Others:   map[int]any{http.StatusOK: answerOf[messageJSON]()},
		Faults: []*fault.Fault{
			sandbox.ErrNotOnline, fault.ErrConflict, ErrUnsupportedMessage, media.ErrURLNotAllowed, media.ErrUnreachable,
			ErrIdempotencyReused, ErrIdempotencyInProgress,
		},
		Seeds:   SeedsIDs,
		Handler: handle(s.receiveMessage),
	}
}

// runRows play scripts.
func (s *Server) runRows() []Row {
	run := []auth.Scope{auth.SandboxRun}
	return []Row{{
		Method: http.MethodPost, Path: "/v1/sandbox/runs", OperationID: "createRun", Tag: "sandbox",
		Summary: "Play a script and tell what came of it",
		Description: "An integration test in one call. The run has a clock of its own, which moves only as its steps ask, and unless instance is " +
			"given an instance of its own. Steps that send need whatsapp:send too. The answer is 201 whether the run passed or not: see passed.",
		Scopes: run, Environments: testOnly, Instance: InstanceBody, BodyLimit: mediaLimit, Deadline: time.Minute, SpendsMessages: true,
		Example: `{"name":"an order is confirmed","steps":[{"send":{"to":"+15005550006","text":"Your order is on its way"}},` +
			`{"expect":{"event":"message.read","within":"5s"}},{"inbound":{"from":"+15005550006","text":"Thank you"}},"drop",{"advance":"60s"}]}`,
		Statuses: []int{http.StatusCreated},
		Faults: []*fault.Fault{
			ErrInstanceRequired, runs.ErrInProgress, ErrUnsupportedMessage, ErrIdempotencyReused, ErrIdempotencyInProgress,
		},
		Seeds:   SeedsRun,
		Handler: handle(s.createRun),
	}, {
		Method: http.MethodGet, Path: "/v1/sandbox/runs/{id}", OperationID: "getRun", Tag: "sandbox",
		Summary: "Show a run", Scopes: run, Environments: testOnly,
		Faults:  []*fault.Fault{fault.ErrNotFound},
		Handler: handle(s.getRun),
	}}
}
