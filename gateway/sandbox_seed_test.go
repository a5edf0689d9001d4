package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"portaria/auth"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// seeded is a request with a seed.
func seeded(r gatewaytest.Request, seed string) gatewaytest.Request {
	header := map[string]string{"X-Sandbox-Seed": seed}
	for name, value := range r.Header {
		header[name] = value
	}
	r.Header = header
	return r
}

// The same requests with the same seed make the same ids: a test can name them.
func TestASeedMakesIDsAgain(t *testing.T) {
	made := func(seed string) (ids []string) {
		h := open(t)
		h.instance(t, "shop")
		token := h.key(t, "*")
		for range 2 {
			answer := h.Expect(t, seeded(post("/v1/instances/shop/messages", token, hello), seed), http.StatusAccepted, "")
			ids = append(ids, data[struct{ ID string }](t, answer).ID)
		}
		answer := h.Expect(t, seeded(post("/v1/sandbox/instances/shop/inbound", token, `{`+ana+`,"text":"Oi"}`), seed), http.StatusCreated, "")
		return append(ids, data[struct{ ID string }](t, answer).ID)
	}
	one, again, other := made("a b~"), made("a b~"), made("b")
	if strings.Join(one, " ") != strings.Join(again, " ") || one[0] == one[1] || one[1] == one[2] || one[0] == other[0] {
		t.Errorf("%v\n%v\n%v", one, again, other)
	}
}

// Only requests that are acted on count: neither what is refused nor what is
// replayed moves the seed on.
func TestASeedCountsWhatIsActedOn(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token, path := h.key(t, "*"), "/v1/instances/shop/messages"
	for range 2 {
		h.Expect(t, seeded(keyed(path, token, "k", hello), "s"), http.StatusAccepted, "")
	}
	h.Expect(t, seeded(post(path, token, `{}`), "s"), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	h.Expect(t, seeded(keyed(path, token, "k", hello+" "), "s"), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	h.Expect(t, seeded(get("/v1/me", token), "s"), http.StatusOK, "")
	h.Expect(t, seeded(post("/v1/sandbox/instances/shop/drop", token, `{}`), "s"), http.StatusOK, "")
	if n := h.sandbox.drawn("s"); n != 1 {
		t.Errorf("%d requests were counted", n)
	}
}

// A seed is for test keys, and is what fits into a header.
func TestSeedsAreChecked(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token, path := h.key(t, "*"), "/v1/instances/shop/messages"
	for _, seed := range []string{"", strings.Repeat("a", 65), "é", "a\tb"} {
		h.Expect(t, seeded(post(path, token, hello), seed), http.StatusBadRequest, "BAD_REQUEST")
	}
	h.Expect(t, seeded(post(path, token, hello), strings.Repeat("a", 64)), http.StatusAccepted, "")
	_, live := h.Mint(t, auth.NewKey{Environment: messaging.Live, Scopes: []string{"*"}, AllInstances: true})
	h.Expect(t, seeded(post("/v1/instances", live, `{"name":"live"}`), "s"), http.StatusBadRequest, "BAD_REQUEST")
	h.Expect(t, seeded(get("/v1/me", live), "s"), http.StatusOK, "")
	if n := h.accepted(); n != 1 {
		t.Errorf("%d messages were accepted", n)
	}
}

// The document names the header where it has an effect.
func TestTheSeedIsDocumentedWhereItCounts(t *testing.T) {
	h := open(t)
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(fetch(t, h.URL()+"/openapi.json").body), &document); err != nil {
		t.Fatal(err)
	}
	for _, row := range h.Rows() {
		named := false
		for _, p := range document.Paths[row.Path][strings.ToLower(row.Method)].Parameters {
			named = named || p.Name == "X-Sandbox-Seed"
		}
		if want := row.Seeds != gateway.SeedsNothing; named != want || want && row.Method != http.MethodPost {
			t.Errorf("%s %s: the seed is documented: %v", row.Method, row.Path, named)
		}
	}
}
