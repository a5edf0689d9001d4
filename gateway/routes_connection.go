package gateway

import (
	"net/http"

	"portaria/auth"
	"portaria/instances"
	"portaria/internal/fault"
)

// connectionRows are the routes of an instance's connection: the acts, pairing,
// and what the network knows.
func (s *Server) connectionRows() []Row {
	rows := []Row{
		s.actRow("connect", "connectInstance", "Connect an instance",
			"Begins pairing when no phone is linked: read /qr, or ask for a /pairing-code. Nothing but disconnect or a logout ends the desire "+
				"to be connected. An instance that is connected stays as it is.", handle(s.connectInstance)),
		s.actRow("disconnect", "disconnectInstance", "Disconnect an instance",
			"The phone stays linked. Messages wait until the instance is connected again, or they expire.", handle(s.disconnectInstance)),
		s.actRow("restart", "restartInstance", "Make an instance's connection anew", "", handle(s.restartInstance)),
		s.actRow("logout", "logoutInstance", "Unlink an instance's phone",
			"Messages wait: linking the same number again sends them, another one fails them INSTANCE_LOGGED_OUT.", handle(s.logoutInstance)),
	}
	rows = append(rows, s.pairingRows()...)
	return append(rows, Row{
		Method: http.MethodGet, Path: "/v1/instances/{instance}/pace", OperationID: "getPace", Tag: "instances",
		Summary: "Show how much of its pace an instance has used", Scopes: []auth.Scope{auth.WhatsAppRead}, Instance: InstancePath,
		Handler: handle(s.instancePace),
	}, Row{
		Method: http.MethodPost, Path: "/v1/instances/{instance}/numbers/check", OperationID: "checkNumbers", Tag: "instances",
		Summary:     "Ask which numbers are on WhatsApp",
		Description: "Up to 50 a request. The network limits how much may be asked; sending needs no check.",
		Scopes:      []auth.Scope{auth.WhatsAppSend}, Instance: InstancePath, BodyLimit: jsonLimit,
		Example: `{"numbers":["+55 11 91234-5678"]}`,
		Faults:  []*fault.Fault{instances.ErrNotConnected, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler: handle(s.checkNumbers),
	})
}

// actRow is an act on a connection: it is accepted now and done a moment later.
func (s *Server) actRow(act, id, summary, description string, handler Handler) Row {
	return Row{
		Method: http.MethodPost, Path: "/v1/instances/{instance}/" + act, OperationID: id, Tag: "instances",
		Summary: summary, Description: description,
		Scopes: []auth.Scope{auth.WhatsAppManage}, Instance: InstancePath, BodyLimit: jsonLimit,
		Statuses: []int{http.StatusAccepted},
		Faults:   []*fault.Fault{instances.ErrNotConnected, ErrIdempotencyReused, ErrIdempotencyInProgress},
		Handler:  handler,
	}
}

// pairingRows show codes, which link phones: they are for those who manage.
func (s *Server) pairingRows() []Row {
	manage := []auth.Scope{auth.WhatsAppManage}
	already := []*fault.Fault{instances.ErrAlreadyConnected, instances.ErrNotPairing}
	once := append(already[:len(already):len(already)], ErrIdempotencyReused, ErrIdempotencyInProgress)
	return []Row{{
		Method: http.MethodGet, Path: "/v1/instances/{instance}/qr", OperationID: "getPairingQR", Tag: "instances",
		Summary: "Show the QR of a pairing",
		Description: "After connect. The code changes every 20 to 60 s: read it again at expires_at, or take the stream of events " +
			"(Accept: text/event-stream), which sends `qr` for every code, and then `connected` with the instance or `failed`.",
		Scopes: manage, Instance: InstancePath, Forms: qrForms,
		Faults:  already,
		Handler: handle(s.instanceQR),
	}, {
		Method: http.MethodPost, Path: "/v1/instances/{instance}/pairing-code", OperationID: "createPairingCode", Tag: "instances",
		Summary:     "Begin pairing by a code that is typed on the phone",
		Description: "Instead of connect and a QR. WhatsApp shows a notification on the phone; the code is typed there.",
		Scopes:      manage, Instance: InstancePath, BodyLimit: jsonLimit,
		Example: `{"phone":"+55 11 91234-5678"}`,
		Faults:  once,
		Handler: handle(s.pairByCode),
	}, {
		Method: http.MethodPost, Path: "/v1/instances/{instance}/pairing-links", OperationID: "createPairingLink", Tag: "instances",
		Summary: "Make a one-time page for the owner of a phone",
		Description: "The page shows the QR or a code without an API key, and nothing else of the instance than its name. The first phone that is " +
			"linked uses up every link of the instance.",
		Scopes: manage, Instance: InstancePath, BodyLimit: jsonLimit, SecretBody: true, Statuses: []int{http.StatusCreated},
		Example: `{"expires_in":"1h","pin":"483920"}`,
		Faults:  once,
		Handler: handle(s.createPairingLink),
	}}
}
