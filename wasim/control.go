package wasim

import (
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// Faults of the control port alone.
var (
	errControlBody    = fault.New(fault.Malformed, "WASIM_BODY_INVALID", "The body is not the JSON that is expected here.")
	errControlType    = fault.New(fault.UnsupportedMedia, "WASIM_NOT_JSON", "Send the body with Content-Type: application/json.")
	errControlLarge   = fault.New(fault.TooLarge, "WASIM_BODY_TOO_LARGE", "The body is too large.")
	errControlPath    = fault.New(fault.NotFound, "WASIM_NO_SUCH_PATH", "There is nothing at this path.")
	errControlMethod  = fault.New(fault.MethodNotAllowed, "WASIM_METHOD", "This path is asked another way.")
	errControlOrigin  = fault.New(fault.Forbidden, "WASIM_ORIGIN", "Web pages may not use the control port.")
	errControlHost    = fault.New(fault.Forbidden, "WASIM_HOST", "Ask for the control port as localhost or by an address of the loopback.")
	errControlTimeout = fault.New(fault.Unavailable, "WASIM_TIMEOUT", "The client did not answer in time.")
)

const (
	controlPatience = 30 * time.Second // for a client that is being linked
	maxControlBody  = 64 << 10
	maxControlFile  = 48 << 20 // a file of 32 MiB in base64, and some more
)

// ControlHandler is the control port: what a test does in Go, by HTTP and
// JSON. It asks nobody who they are, so serve it on the loopback only; requests
// for any other host are refused. The
// answers are {"success":true,"data":…} or {"success":false,"error":{"code",
// "message","details"}}; README.md lists the paths.
func (s *Server) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /health", control(0, s.controlHealth))
	mux.Handle("POST /scan", control(maxControlBody, s.controlScan))
	mux.Handle("POST /type-code", control(maxControlBody, s.controlTypeCode))
	mux.Handle("POST /inbound", control(maxControlFile, s.controlInbound))
	mux.Handle("GET /messages", control(0, s.controlMessages))
	mux.Handle("GET /typing", control(0, s.controlTyping))
	mux.Handle("GET /sent", control(0, s.controlSent))
	mux.Handle("GET /contacts/{number}", control(0, s.controlContact))
	mux.Handle("POST /contacts/{number}", control(maxControlBody, s.controlSetContact))
	mux.Handle("GET /faults", control(0, s.controlFaults))
	mux.Handle("POST /faults", control(maxControlBody, s.controlInject))
	mux.Handle("DELETE /faults", control(0, s.controlClear))
	mux.Handle("POST /restart", control(0, s.controlRestart))
	for _, path := range []string{"/health", "/scan", "/type-code", "/inbound", "/messages", "/typing", "/sent", "/contacts/{number}", "/faults", "/restart"} {
		mux.Handle(path, refusing(errControlMethod))
	}
	mux.Handle("/", refusing(errControlPath))
	// A page in a browser on this machine could reach the port too.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(refusing(errControlOrigin))
	return onLoopback(guard.Handler(mux))
}

// onLoopback refuses requests that do not ask for this machine: a page whose
// name was made to point here has the origin of the control port, so that the
// name alone gives it away.
func onLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			refusing(errControlHost).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a Host header, with or without a port, names the
// loopback.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}

func refusing(f *fault.Fault) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerControl(w, nil, f) })
}

// control makes a handler of a function that gets the body as In, bounded by
// limit; without a limit there is no body.
func control[In any](limit int64, act func(*http.Request, In) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if limit > 0 {
			if err := readControl(w, r, limit, &in); err != nil {
				answerControl(w, nil, err)
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
		defer cancel()
		out, err := act(r.WithContext(ctx), in)
		answerControl(w, out, err)
	})
}

// readControl reads a body of exactly one JSON object that has no members but
// those of in.
func readControl(w http.ResponseWriter, r *http.Request, limit int64, in any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errControlType
	}
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, limit), in, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errControlLarge
	}
	wrong := errControlBody
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		wrong = wrong.With("at", string(semantic.JSONPointer))
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		wrong = wrong.With("at", string(syntactic.JSONPointer))
	}
	return wrong
}

// controlAnswer is every answer of the control port.
type controlAnswer struct {
	Success bool          `json:"success"`
	Data    any           `json:"data,omitzero"`
	Error   *controlError `json:"error,omitzero"`
}

type controlError struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details,omitzero"`
}

func answerControl(w http.ResponseWriter, data any, err error) {
	status, answer := http.StatusOK, controlAnswer{Success: true, Data: data}
	if err != nil {
		f := asControlFault(err)
		status = controlStatus(f.Kind())
		answer = controlAnswer{Error: &controlError{Code: f.Code(), Message: f.Message(), Details: f.Details()}}
	}
	text, err := json.Marshal(answer, jsontext.WithIndent("  "))
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who has gone does not miss it
}

func asControlFault(err error) *fault.Fault {
	if f := fault.As(err); f != nil {
		return f
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errControlTimeout
	}
	// Whoever controls a simulator may read its errors.
	return fault.New(fault.Internal, "WASIM_INTERNAL", "That failed: "+err.Error()+".")
}

func controlStatus(k fault.Kind) int {
	switch k {
	case fault.Malformed:
		return http.StatusBadRequest
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal, fault.Unauthenticated, fault.HeadersTooLarge, fault.RateLimited:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}
