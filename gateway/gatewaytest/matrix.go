package gatewaytest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portaria/auth"
	"portaria/gateway"
	"portaria/messaging"
)

// Fixture is a running server to try the door of. Its workspace may be in use;
// the matrix makes its own instances, messages, webhooks and keys. The server
// lets webhooks lead to 127.0.0.0/8.
type Fixture interface {
	// URL returns the server's address, as http://127.0.0.1:8080.
	URL() string
	// Rows returns the server's route table.
	Rows() []gateway.Row
	// Mint makes a key in the fixture's workspace.
	Mint(t *testing.T, key auth.NewKey) (id, token string)
	// Revoke ends a key; it returns when the server knows.
	Revoke(t *testing.T, id string)
	// Foreign returns the id of an instance and of a message of another
	// workspace.
	Foreign(t *testing.T, environment messaging.Environment) (instanceID, messageID string)
	// Inbound records a message of a contact to an instance of the fixture's
	// workspace and returns its id.
	Inbound(t *testing.T, environment messaging.Environment, instanceID string) (messageID string)
}

// Matrix tries every route with every kind of principal, and expects what
// follows from the route's row. It fails for a row that it does not know how
// to ask, so a new route cannot go untested.
func Matrix(t *testing.T, fixture Fixture) {
	m := &matrix{fixture: fixture, client: NewClient(t, fixture.URL())}
	for _, row := range fixture.Rows() {
		env := messaging.Test
		t.Run(row.OperationID, func(t *testing.T) {
			if bodyOf(row) == "" {
				t.Fatalf("%s: tell gatewaytest.bodyOf a body that this route accepts", row.OperationID)
			}
			for _, p := range principals {
				t.Run(p.name, func(t *testing.T) { p.try(t, m, row, env) })
			}
		})
	}
}

type matrix struct {
	fixture Fixture
	client  *Client
	hook    string // the webhook that was made last
}

// principal is one kind of caller.
type principal struct {
	name string
	try  func(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment)
}

// principals are all kinds of callers, in the order in which the door finds
// out about them.
var principals = []principal{
	{"no key", refusedToken(func(*testing.T, *matrix) string { return "" })},
	{"malformed", refusedToken(func(*testing.T, *matrix) string { return "sk_test_short" })},
	{"bad checksum", refusedToken(func(t *testing.T, m *matrix) string { return badChecksum(m.token(t, everything())) })},
	{"unknown id", refusedToken(func(*testing.T, *matrix) string { return auth.Mint(messaging.Test).Reveal() })},
	{"wrong secret", refusedToken(func(t *testing.T, m *matrix) string { return wrongSecret(m.token(t, everything())) })},
	{"revoked", refusedToken(func(t *testing.T, m *matrix) string { return m.revoked(t) })},
	{"expired", expired},
	{"bucket empty", bucketEmpty},
	{"bucket empty comes before the lock", bucketEmptyAndLocked},
	{"locked elsewhere", lockedElsewhere},
	{"locked elsewhere comes before the scope", lockedElsewhereWithoutScope},
	{"lacks the scope", lacksScope},
	{"exactly the scope", exactScope},
	{"every scope of the resource", everyScope},
	{"locked and allowed", lockedAndAllowed},
	{"other workspace's instance", otherWorkspace},
	{"wrong environment", wrongEnvironment},
}

// everything is a test key that opens all.
func everything() auth.NewKey {
	return auth.NewKey{Environment: messaging.Test, Scopes: []string{"*"}, AllInstances: true}
}

func (m *matrix) token(t *testing.T, key auth.NewKey) string {
	t.Helper()
	key.Name = "matrix"
	_, token := m.fixture.Mint(t, key)
	return token
}

func (m *matrix) revoked(t *testing.T) string {
	t.Helper()
	key := everything()
	key.Name = "matrix"
	id, token := m.fixture.Mint(t, key)
	m.fixture.Revoke(t, id)
	return token
}

func refusedToken(token func(*testing.T, *matrix) string) func(*testing.T, *matrix, gateway.Row, messaging.Environment) {
	return func(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
		t.Helper()
		m.client.Expect(t, m.ask(t, row, env, token(t, m)), http.StatusUnauthorized, "UNAUTHORIZED")
	}
}

func expired(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := everything()
	key.ExpiresIn = time.Microsecond
	m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), http.StatusUnauthorized, "KEY_EXPIRED")
}

func bucketEmpty(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := everything()
	key.RatePerMinute, key.RateBurst = 1, 1
	token := m.token(t, key)
	m.client.Expect(t, Request{Method: http.MethodGet, Path: "/v1/me", Token: token}, http.StatusOK, "")
	answer := m.client.Expect(t, m.ask(t, row, env, token), http.StatusTooManyRequests, "RATE_LIMITED")
	if after := answer.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After is %q", after)
	}
}

func bucketEmptyAndLocked(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := m.lockedTo(t, env)
	key.Scopes, key.RatePerMinute, key.RateBurst = []string{foreignScope(row)}, 1, 1
	token := m.token(t, key)
	m.client.Expect(t, Request{Method: http.MethodGet, Path: "/v1/me", Token: token}, http.StatusOK, "")
	m.client.Expect(t, m.ask(t, row, env, token), http.StatusTooManyRequests, "RATE_LIMITED")
}

// lockedTo is a key with every scope, locked to an instance of its own.
func (m *matrix) lockedTo(t *testing.T, env messaging.Environment) auth.NewKey {
	t.Helper()
	return auth.NewKey{Environment: env, Scopes: []string{"*"}, Instances: []string{m.instance(t, env)}}
}

func lockedElsewhere(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	status, code := lockedAnswer(row)
	m.client.Expect(t, m.ask(t, row, env, m.token(t, m.lockedTo(t, env))), status, code)
}

// lockedAnswer is what a key locked elsewhere gets.
func lockedAnswer(row gateway.Row) (status int, code string) {
	switch {
	case row.WorkspaceAct:
		return http.StatusForbidden, "KEY_IS_INSTANCE_LOCKED"
	case row.Instance == gateway.InstancePath, row.Instance == gateway.InstanceQuery, row.Instance == gateway.InstanceBody:
		return http.StatusForbidden, "INSTANCE_NOT_ALLOWED"
	case strings.Contains(row.Path, "{id}"):
		return http.StatusNotFound, "NOT_FOUND"
	default: // its own instance, or a list without rows
		return success(row), ""
	}
}

func lockedElsewhereWithoutScope(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := m.lockedTo(t, env)
	key.Scopes = []string{foreignScope(row)}
	status, code := lockedAnswer(row)
	foundOutLate := row.Instance == gateway.InstanceBody // what a body names is seen when the scope is known
	if (foundOutLate || code != "KEY_IS_INSTANCE_LOCKED" && code != "INSTANCE_NOT_ALLOWED") && needsScope(row) {
		status, code = http.StatusForbidden, "INSUFFICIENT_SCOPE"
	}
	m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), status, code)
}

// foreignScope is one that does not open a row, and that a live key may have too.
func foreignScope(row gateway.Row) string {
	for _, name := range everyName() {
		if !opens(name, row) && auth.Scope(name) != auth.SandboxRun {
			return name
		}
	}
	return ""
}

func needsScope(row gateway.Row) bool { return len(row.Scopes)+len(row.AnyOf) > 0 }

func lacksScope(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := everything()
	key.Scopes = slices.DeleteFunc(everyName(), func(name string) bool { return opens(name, row) })
	status, code := http.StatusForbidden, "INSUFFICIENT_SCOPE"
	if !needsScope(row) {
		status, code = success(row), ""
	}
	answer := m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), status, code)
	if needsScope(row) && !strings.Contains(string(answer.Body), `"required":["`) {
		t.Errorf("details.required is missing in %s", answer.Body)
	}
}

// everyName lists every scope by its name.
func everyName() []string {
	names := make([]string, 0, len(auth.AllScopes))
	for _, scope := range auth.AllScopes {
		names = append(names, string(scope))
	}
	return names
}

// opens reports whether one scope alone is among those that a row asks for, or
// includes one of them.
func opens(name string, row gateway.Row) bool {
	set, err := auth.ParseScopes([]string{name}, messaging.Test)
	return err == nil && slices.ContainsFunc(slices.Concat(row.Scopes, row.AnyOf), set.Has)
}

func exactScope(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	sets := [][]string{names(row.Scopes)}
	if len(row.AnyOf) > 0 {
		sets = nil
		for _, one := range row.AnyOf {
			sets = append(sets, append(names(row.Scopes), string(one)))
		}
	}
	for _, scopes := range sets {
		if len(scopes) == 0 {
			scopes = []string{foreignScope(row)} // any key may
		}
		key := everything()
		key.Scopes = scopes
		status, code := success(row), ""
		if strings.Contains(row.Path, "{id}") && row.Sees == gateway.SeesOwnSends && !slices.Contains(scopes, "messages:read") {
			status, code = http.StatusNotFound, "NOT_FOUND" // another lineage's message
		}
		m.expectOpen(t, row, env, key, status, code)
	}
}

func names(scopes []auth.Scope) []string {
	var list []string
	for _, scope := range scopes {
		list = append(list, string(scope))
	}
	return list
}

func everyScope(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	m.expectOpen(t, row, env, everything(), success(row), "")
}

// expectOpen asks with an unlocked key, for which a row that takes its instance
// from the key has no answer.
func (m *matrix) expectOpen(t *testing.T, row gateway.Row, env messaging.Environment, key auth.NewKey, status int, code string) {
	t.Helper()
	if row.Instance == gateway.InstanceKey {
		m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), http.StatusBadRequest, "INSTANCE_REQUIRED")
		key.AllInstances, key.Instances = false, []string{m.instance(t, env)}
	}
	m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), status, code)
}

func lockedAndAllowed(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	target := m.target(t, row, env)
	key := auth.NewKey{Environment: env, Scopes: []string{"*"}, Instances: []string{target.instance}}
	status, code := success(row), ""
	if row.WorkspaceAct {
		status, code = http.StatusForbidden, "KEY_IS_INSTANCE_LOCKED"
	}
	m.client.Expect(t, target.request(row, m.token(t, key)), status, code)
}

func otherWorkspace(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	instance, message := m.fixture.Foreign(t, env)
	foreign := target{instance: instance, message: message, delivery: messaging.NewID(messaging.DeliveryPrefix, time.Now())}
	status, code := absent(row)
	if row.Instance == gateway.InstanceKey {
		status, code = http.StatusBadRequest, "INSTANCE_REQUIRED"
	}
	m.client.Expect(t, foreign.request(row, m.token(t, everything())), status, code)
}

// absent is what a key that is not locked gets for objects that do not exist
// in its world.
func absent(row gateway.Row) (status int, code string) {
	switch {
	case row.Instance == gateway.InstancePath, row.Instance == gateway.InstanceQuery, row.Instance == gateway.InstanceBody:
		return http.StatusNotFound, "INSTANCE_NOT_FOUND"
	case strings.Contains(row.Path, "{id}"):
		return http.StatusNotFound, "NOT_FOUND"
	default:
		return success(row), ""
	}
}

func wrongEnvironment(t *testing.T, m *matrix, row gateway.Row, env messaging.Environment) {
	key := everything()
	key.Environment = messaging.Live
	status, code := absent(row)
	switch {
	case row.Environments != nil:
		status, code = http.StatusForbidden, "WRONG_ENVIRONMENT"
	case row.Instance == gateway.InstanceKey:
		status, code = http.StatusBadRequest, "INSTANCE_REQUIRED"
	}
	m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), status, code)
	if row.Environments == nil {
		return
	}
	// A live key cannot have the row's scope; it is told of the environment.
	key.Scopes = []string{foreignScope(row)}
	m.client.Expect(t, m.ask(t, row, env, m.token(t, key)), http.StatusForbidden, "WRONG_ENVIRONMENT")
}
