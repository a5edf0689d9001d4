package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// inFlight are the Idempotency-Keys that this process is answering just now.
type inFlight struct {
	mu     sync.Mutex
	scopes map[string]struct{} // guarded by mu
}

// enter takes a scope; false when another request has it.
func (f *inFlight) enter(scope string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.scopes[scope]; taken {
		return false
	}
	if f.scopes == nil {
		f.scopes = make(map[string]struct{})
	}
	f.scopes[scope] = struct{}{}
	return true
}

func (f *inFlight) leave(scope string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.scopes, scope)
}

// claim is a request's Idempotency-Key. The zero value is that of a request
// without one.
type claim struct {
	scope, requestHash string
	// sealed is the answer that a store wrote together with the act.
	sealed *messaging.Claim
	// instead is the body that is kept when the answer holds a secret.
	instead []byte
}

func (c *claim) active() bool { return c.scope != "" }

// seal makes the claim of an answer.
func (c *claim) seal(status int, body []byte) *messaging.Claim {
	c.sealed = &messaging.Claim{
		Scope: c.scope, RequestHash: c.requestHash, Status: status, Body: slices.Clone(body),
	}
	return c.sealed
}

// actOnce runs the row's handler and answers. With an Idempotency-Key on a
// POST, one act answers all requests with that key:
//
//	in flight here → 409; kept → replayed, or 422 for another body;
//	else act, and keep the answer if it is one of success.
//
// Two nodes may both find nothing kept; then the store lets one of them write,
// and the other replays what was written.
func (x *exchange) actOnce(ctx context.Context) error {
	if err := x.readSeed(); err != nil {
		return err
	}
	if err := x.readClaim(); err != nil {
		return err
	}
	if !x.claim.active() {
		if err := x.row.Handler.run(ctx, x); err != nil {
			return err
		}
		x.send()
		return nil
	}
	flight := &x.server.flight
	if !flight.enter(x.claim.scope) {
		return ErrIdempotencyInProgress
	}
	defer flight.leave(x.claim.scope)

	if done, err := x.replay(ctx); done || err != nil {
		return err
	}
	if err := x.row.Handler.run(ctx, x); err != nil {
		return x.afterFailure(ctx, err)
	}
	x.keep(ctx)
	x.send()
	return nil
}

// readClaim reads and checks the Idempotency-Key of a POST.
func (x *exchange) readClaim() error {
	if x.row.Method != http.MethodPost || x.row.DryRuns && string(x.http.QueryArgs().Peek("dry_run")) == "true" {
		return nil
	}
	key, err := x.headers.idempotency()
	if err != nil || key == nil {
		return err
	}
	hash := x.requestHash()
	if x.row.SecretBody {
		hash = x.blind(hash, key)
	}
	x.claim = claim{scope: x.claimScope(key), requestHash: hex.EncodeToString(hash[:])}
	return nil
}

// blind makes of a body's hash one that cannot be tried out: a hash alone tells
// a PIN of six digits in a million guesses. It is keyed by what the database does
// not hold: the installation's secret, and the Idempotency-Key itself.
func (x *exchange) blind(hash [sha256.Size]byte, key []byte) (blinded [sha256.Size]byte) {
	secret := hmac.New(sha256.New, x.server.secret)
	secret.Write([]byte("idempotency\n")) // the installation's secret has other uses
	secret.Write(key)
	mac := hmac.New(sha256.New, secret.Sum(nil))
	mac.Write(hash[:])
	mac.Sum(blinded[:0])
	return blinded
}

// idempotency returns the Idempotency-Key; nil when there is none.
func (h *headers) idempotency() ([]byte, error) {
	key := h.idempotencyKey
	if key == nil {
		key = h.xIdempotencyKey
	}
	if key == nil {
		return nil, nil
	}
	if h.xIdempotencyKey != nil && string(h.xIdempotencyKey) != string(key) {
		return nil, fault.ErrBadRequest.Saying("Idempotency-Key and X-Idempotency-Key differ; send one.")
	}
	printable := !slices.ContainsFunc(key, func(c byte) bool { return c < ' ' || c > '~' })
	if len(key) == 0 || len(key) > 255 || !printable {
		return nil, fault.ErrBadRequest.Saying("An Idempotency-Key is 1 to 255 printable ASCII characters.")
	}
	return key, nil
}

// claimScope is where an answer is kept: by tenancy, key lineage, method, path
// and key. The path has the instance's id, so that its name and its id are one
// scope. Lengths would be needed if a part could hold a line feed; none can.
func (x *exchange) claimScope(key []byte) string {
	b := make([]byte, 0, 512)
	for _, part := range [...]string{
		x.call.Grant.Workspace, string(x.call.Grant.Environment), x.call.Grant.Lineage,
		x.row.Method, x.row.Path, x.pathInstance(), x.call.ID, x.call.DeliveryID, string(key),
	} {
		b = append(append(b, part...), '\n')
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// pathInstance is the id that stands for {instance} in the path; a key's own
// instance does not stand there.
func (x *exchange) pathInstance() string {
	if x.row.Instance == InstancePath {
		return x.call.InstanceID
	}
	return ""
}

// replay answers with what is kept under the claim's scope.
func (x *exchange) replay(ctx context.Context) (done bool, err error) {
	kept, found, err := x.server.idempotency.Claimed(ctx, x.call.Tenancy, x.claim.scope)
	if err != nil || !found {
		return false, err
	}
	if kept.RequestHash != x.claim.requestHash {
		return false, ErrIdempotencyReused
	}
	x.status, x.out = kept.Status, append(x.out[:0], kept.Body...)
	setHeader(x.http, "Idempotent-Replayed", "true")
	x.send()
	return true, nil
}

// afterFailure replays the answer of another node that acted first. Every
// other failure frees the key.
func (x *exchange) afterFailure(ctx context.Context, err error) error {
	if f := fault.As(err); f == nil || !f.Is(ErrIdempotencyInProgress) {
		return err
	}
	if done, lookup := x.replay(ctx); done || lookup != nil {
		return lookup
	}
	return err
}

// keepTimeout bounds the write of an answer that is about to be sent.
const keepTimeout = 5 * time.Second

// keep stores the answer when the handler's store has not done so, or has
// stored an earlier one. The act is done by then: a failure is logged, not
// answered.
func (x *exchange) keep(ctx context.Context) {
	sealed, body := x.claim.sealed, x.out
	if x.claim.instead != nil {
		body = x.claim.instead
	}
	if x.form != nil || x.status < http.StatusOK || x.status >= http.StatusMultipleChoices {
		return
	}
	if sealed != nil && sealed.Status == x.status && string(sealed.Body) == string(body) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	err := x.server.idempotency.Keep(ctx, x.call.Tenancy, messaging.Claim{
		Scope: x.claim.scope, RequestHash: x.claim.requestHash, Status: x.status, Body: slices.Clone(body),
	})
	if err != nil {
		x.server.logger.Error("keep an idempotent answer", "request_id", x.call.RequestID, "error", err)
	}
}
