package gatewaytest

import (
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"
	"time"

	"portaria/auth"
	"portaria/gateway"
	"portaria/messaging"
)

// target is what a request of the matrix is about.
type target struct{ instance, message, delivery string }

// ask returns a request for a fresh target of the environment.
func (m *matrix) ask(t *testing.T, row gateway.Row, env messaging.Environment, token string) Request {
	t.Helper()
	return m.target(t, row, env).request(row, token)
}

// target makes what a row needs to be asked about.
func (m *matrix) target(t *testing.T, row gateway.Row, env messaging.Environment) target {
	t.Helper()
	made := target{instance: m.instanceFor(t, row, env)}
	if row.Tag == "webhooks" {
		return m.webhook(t, row, env, made.instance)
	}
	if row.Tag == "bulk" && strings.Contains(row.Path, "{id}") {
		made.message = m.bulk(t, row, env, made.instance)
		return made
	}
	if row.OperationID == "deleteOptOut" {
		m.optOut(t, env, made.instance)
	}
	if strings.Contains(row.Path, "{id}") {
		made.message = m.message(t, env, made.instance)
	}
	switch row.OperationID {
	case "getRun":
		made.message = m.run(t, env, made.instance)
	case "getMedia":
		made.message = m.media(t, env, made.instance)
	case "editMessage", "revokeMessage":
		made.message = m.sent(t, env, made.instance)
	case "markMessagesRead":
		made.message = m.fixture.Inbound(t, env, made.instance)
	}
	return made
}

// request asks a row about a target.
func (target target) request(row gateway.Row, token string) Request {
	path := strings.NewReplacer("{instance}", target.instance, "{id}", target.message, "{delivery}", target.delivery).Replace(row.Path)
	if row.Instance == gateway.InstanceQuery {
		path += "?instance=" + target.instance
	}
	if row.OperationID == "deleteOptOut" {
		path += "&to=" + optedOut
	}
	r := Request{Method: row.Method, Path: path, Token: token}
	if row.BodyLimit > 0 {
		r.Body = strings.NewReplacer("NAME", freshName(), "INSTANCE", target.instance, "MESSAGE", target.message).Replace(bodyOf(row))
	}
	return r
}

// success is the usual status of a row's success.
func success(row gateway.Row) int {
	if len(row.Statuses) == 0 {
		return http.StatusOK
	}
	return row.Statuses[0]
}

// bodyOf returns a body that a row accepts; "" for a row that it does not know.
func bodyOf(row gateway.Row) string {
	switch row.OperationID {
	case "sendMessage", "sendMessageFromOwnInstance":
		return `{"to":"+5511912345678","text":"Olá"}`
	case "createInstance":
		return `{"name":"NAME"}`
	case "updateInstance":
		return `{"metadata":{"team":"support"}}`
	case "uploadMedia":
		return `{"base64":"` + pixel + `"}`
	case "setClock":
		return `{"mode":"real"}`
	case "advanceClock":
		return `{"seconds":0}`
	case "cancelMessage", "connectInstance", "disconnectInstance", "restartInstance", "logoutInstance":
		return `{}`
	case "scanCode", "dropConnection", "reconnectInstance", "removeDevice", "banInstance":
		return `{}`
	case "resetSandbox":
		return `{}`
	case "createRun":
		return `{"instance":"INSTANCE","steps":[{"advance":{"seconds":0}}]}`
	case "receiveMessage":
		return `{"from":"+5511912345678","text":"Olá"}`
	case "createPairingCode":
		return `{"phone":"+5511912345678"}`
	case "createPairingLink":
		return `{"expires_in":"1h","pin":"123456"}`
	case "createWebhook":
		return `{"url":"` + deafURL + `"}`
	case "updateWebhook":
		return `{"description":"the shop"}`
	case "rotateWebhookSecret":
		return `{"grace":"1h"}`
	case "replayWebhook":
		return `{"since":"2026-01-31T12:00:00Z"}`
	case "testWebhook", "replayDelivery":
		return `{}`
	case "createBulk":
		return slowBulk
	case "createSpreadBulk":
		return `{"instances":["INSTANCE"],` + slowBulk[1:]
	case "pauseBulk", "resumeBulk", "cancelBulk", "retryBulk":
		return `{}`
	case "createOptOut":
		return `{"to":"` + optedOut + `","instance_id":"INSTANCE"}`
	case "editMessage":
		return `{"text":"Olá, Ana"}`
	case "showTyping":
		return `{"to":"+5511912345678","state":"typing"}`
	case "markMessagesRead":
		return `{"message_ids":["MESSAGE"]}`
	case "checkNumbers":
		return `{"numbers":["+5511912345678"]}`
	default:
		if row.BodyLimit == 0 {
			return "none"
		}
		return ""
	}
}

// freshName is the name of a new instance.
func freshName() string {
	return "m-" + strings.TrimPrefix(messaging.NewID(messaging.InstancePrefix, time.Now()), string(messaging.InstancePrefix))
}

// operator is a key that may do anything in an environment.
func (m *matrix) operator(t *testing.T, env messaging.Environment) string {
	t.Helper()
	return m.token(t, auth.NewKey{
		Environment: env, Scopes: []string{"*"}, AllInstances: true, RatePerMinute: auth.MaxRatePerMinute, RateBurst: auth.MaxRateBurst,
	})
}

// instance makes an instance.
func (m *matrix) instance(t *testing.T, env messaging.Environment) string {
	t.Helper()
	return m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/instances", Token: m.operator(t, env), Body: `{"name":"` + freshName() + `"}`,
	}, http.StatusCreated)
}

// instanceFor makes an instance that a row succeeds on: those about pairing want
// one without a phone, the QR and the scan one that is being paired, and a
// reconnection one whose connection is lost.
func (m *matrix) instanceFor(t *testing.T, row gateway.Row, env messaging.Environment) string {
	t.Helper()
	switch row.OperationID {
	case "createPairingCode", "createPairingLink":
		return m.unpaired(t, env)
	case "getPairingQR", "scanCode":
		id := m.unpaired(t, env)
		m.client.Expect(t, Request{
			Method: http.MethodPost, Path: "/v1/instances/" + id + "/connect", Token: m.operator(t, env),
		}, http.StatusAccepted, "")
		return id
	case "reconnectInstance":
		id := m.instance(t, env)
		m.client.Expect(t, Request{
			Method: http.MethodPost, Path: "/v1/sandbox/instances/" + id + "/drop", Token: m.operator(t, env),
		}, http.StatusOK, "")
		return id
	default:
		return m.instance(t, env)
	}
}

// unpaired makes an instance without a phone.
func (m *matrix) unpaired(t *testing.T, env messaging.Environment) string {
	t.Helper()
	return m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/instances", Token: m.operator(t, env),
		Body: `{"name":"` + freshName() + `","sandbox":{"paired":false}}`,
	}, http.StatusCreated)
}

// message makes a message that waits for a year, so that it can be canceled.
func (m *matrix) message(t *testing.T, env messaging.Environment, instance string) string {
	t.Helper()
	later := time.Now().Add(300 * 24 * time.Hour).UTC().Format(time.RFC3339)
	return m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/instances/" + instance + "/messages", Token: m.operator(t, env),
		Body: `{"to":"+5511912345678","text":"Olá","send_at":"` + later + `"}`,
	}, http.StatusAccepted)
}

// sent makes a message that the network has, to somebody for whom none waits; a
// fixture without a network may answer that it waits.
func (m *matrix) sent(t *testing.T, env messaging.Environment, instance string) string {
	t.Helper()
	answer := m.client.Do(t, Request{
		Method: http.MethodPost, Path: "/v1/instances/" + instance + "/messages?wait=sent&timeout=30s", Token: m.operator(t, env),
		Body: `{"to":"+12025550147","text":"Olá"}`,
	})
	var made struct{ Data struct{ ID string } }
	if err := json.Unmarshal(answer.Body, &made); err != nil || made.Data.ID == "" {
		t.Fatalf("send: %d, %s", answer.Status, answer.Body)
	}
	return made.Data.ID
}

// run plays a script that does nothing on an instance.
func (m *matrix) run(t *testing.T, env messaging.Environment, instance string) string {
	t.Helper()
	return m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/sandbox/runs", Token: m.operator(t, env),
		Body: `{"instance":"` + instance + `","steps":[{"advance":0}]}`,
	}, http.StatusCreated)
}

// slowBulk is a bulk that runs for longer than any test: its second recipient is
// a day behind the first.
const slowBulk = `{"message":{"text":"Olá {{name|cliente}}"},"pace":{"min_gap_ms":86400000},` +
	`"recipients":[{"to":"+5511912345678","variables":{"name":"Ana"}},{"to":"+5511912345679"}]}`

// bulk makes a bulk that is running, or paused for a row that lets it go on.
func (m *matrix) bulk(t *testing.T, row gateway.Row, env messaging.Environment, instance string) string {
	t.Helper()
	token := m.operator(t, env)
	id := m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/instances/" + instance + "/bulk", Token: token, Body: slowBulk,
	}, http.StatusAccepted)
	if row.OperationID == "resumeBulk" {
		m.client.Expect(t, Request{Method: http.MethodPost, Path: "/v1/bulk/" + id + "/pause", Token: token}, http.StatusOK, "")
	}
	return id
}

// optedOut is a contact who does not want bulks.
const optedOut = "5511912345678"

// optOut notes that contact for an instance.
func (m *matrix) optOut(t *testing.T, env messaging.Environment, instance string) {
	t.Helper()
	m.client.Expect(t, Request{
		Method: http.MethodPost, Path: "/v1/opt-outs", Token: m.operator(t, env), Body: `{"to":"` + optedOut + `","instance_id":"` + instance + `"}`,
	}, http.StatusCreated, "")
}

// pixel is a picture in base64.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="

// media makes a file that belongs to an instance: one that was sent from it.
func (m *matrix) media(t *testing.T, env messaging.Environment, instance string) string {
	t.Helper()
	answer := m.client.Expect(t, Request{
		Method: http.MethodPost, Path: "/v1/instances/" + instance + "/messages", Token: m.operator(t, env),
		Body: `{"to":"+5511912345678","image":{"base64":"` + pixel + `"}}`,
	}, http.StatusAccepted, "")
	var made struct {
		Data struct {
			Content struct {
				MediaID string `json:"media_id"`
			}
		}
	}
	if err := json.Unmarshal(answer.Body, &made); err != nil {
		t.Fatal(err)
	}
	return made.Data.Content.MediaID
}

// deafURL is an endpoint where nobody listens.
const deafURL = "https://127.0.0.1:9/portaria"

// webhook makes an endpoint that hears of an instance alone, with a delivery if
// the row is about one. A world has only so many endpoints: the one before goes.
func (m *matrix) webhook(t *testing.T, row gateway.Row, env messaging.Environment, instance string) target {
	t.Helper()
	token, made := m.operator(t, env), target{instance: instance}
	if m.hook != "" {
		m.client.Do(t, Request{Method: http.MethodDelete, Path: "/v1/webhooks/" + m.hook, Token: token})
	}
	made.message = m.create(t, Request{
		Method: http.MethodPost, Path: "/v1/webhooks", Token: token,
		Body: `{"url":"` + deafURL + `","instances":["` + instance + `"],"retry_policy":{"max_attempts":1}}`,
	}, http.StatusCreated)
	m.hook = made.message
	if strings.Contains(row.Path, "{delivery}") {
		made.delivery = m.create(t, Request{Method: http.MethodPost, Path: "/v1/webhooks/" + m.hook + "/test", Token: token}, http.StatusOK)
	}
	return made
}

func (m *matrix) create(t *testing.T, r Request, status int) (id string) {
	t.Helper()
	var made struct{ Data struct{ ID string } }
	if err := json.Unmarshal(m.client.Expect(t, r, status, "").Body, &made); err != nil {
		t.Fatal(err)
	}
	return made.Data.ID
}

// The parts of a token that lie behind its public id.
const (
	secretAt   = 20
	checksumAt = 52
)

// badChecksum returns a token whose checksum is not that of its text.
func badChecksum(token string) string {
	return token[:checksumAt] + checksum("something else")
}

// wrongSecret returns a token with the same id, another secret and the checksum
// that goes with it.
func wrongSecret(token string) string {
	text := token[:secretAt] + strings.Repeat("0", checksumAt-secretAt)
	return text + checksum(text)
}

// checksum is CRC-32 in base62, as the end of a token.
func checksum(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := []byte("000000")
	for i, sum := len(out)-1, crc32.ChecksumIEEE([]byte(text)); sum > 0; i, sum = i-1, sum/62 {
		out[i] = digits[sum%62]
	}
	return string(out)
}
