package gateway_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway"
	"portaria/messaging"
)

// link makes a pairing link and returns its path.
func (h *house) link(t *testing.T, instance, body string) string {
	t.Helper()
	answer := h.Expect(t, post("/v1/instances/"+instance+"/pairing-links", h.key(t, "whatsapp:manage"), body), http.StatusCreated, "")
	address := data[struct{ URL string }](t, answer).URL
	path, ok := strings.CutPrefix(address, h.URL())
	if !ok || !strings.HasPrefix(path, gateway.PairPath) {
		t.Fatalf("the link %q does not lead here, to %s", address, h.URL())
	}
	return path
}

// step is a request of the page, without a key.
func (h *house) step(t *testing.T, method, path, session, body string) (status int, code string, got map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, h.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if session != "" {
		request.Header.Set("Pairing-Session", session)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if header := answer.Header.Get(name); header != want {
			t.Errorf("%s %s: %s is %q, want %q", method, path, name, header, want)
		}
	}
	var envelope struct {
		Data  map[string]any
		Error struct {
			Code    string
			Details map[string]any
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if envelope.Error.Code != "" {
		return answer.StatusCode, envelope.Error.Code, envelope.Error.Details
	}
	return answer.StatusCode, "", envelope.Data
}

// expect takes a step and fails the test when it ends with another code.
func (h *house) expect(t *testing.T, method, path, session, body, code string) map[string]any {
	t.Helper()
	_, got, view := h.step(t, method, path, session, body)
	if got != code {
		t.Errorf("%s %s: %q, want %q", method, path, got, code)
	}
	return view
}

// A link carries its holder from nothing to a linked phone without a key, and
// then is used up.
func TestALinkPairsAPhoneOnce(t *testing.T) {
	h := open(t)
	i := h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)

	shown := fetch(t, h.URL()+path)
	if shown.status != http.StatusOK || !strings.Contains(shown.body, "shop") || h.begun() != 0 {
		t.Fatalf("the page: %d, %d pairings begun by looking at it", shown.status, h.begun())
	}
	if view := h.expect(t, "GET", path+"/state", "", "", ""); view["status"] != "idle" {
		t.Errorf("before it begins: %v", view)
	}
	for range 2 { // a page that is loaded again takes part in the pairing that runs
		view := h.expect(t, "POST", path+"/begin", "", `{}`, "")
		if view["status"] != "qr" && view["status"] != "starting" || view["instance"] != "shop" {
			t.Errorf("begun: %v", view)
		}
	}
	if h.begun() != 1 {
		t.Errorf("%d pairings were begun", h.begun())
	}
	view := h.expect(t, "GET", path+"/state", "", "", "")
	if picture, _ := view["qr"].(string); view["status"] != "qr" || !strings.HasPrefix(picture, "data:image/svg+xml;base64,") {
		t.Errorf("with a code: %v", view)
	}
	if left, _ := view["expires_in_ms"].(float64); left <= 0 || left > 60_000 {
		t.Errorf("the code ends in %v ms", left)
	}
	h.expect(t, "POST", path+"/begin", "", `{"phone":"+55 11 91234-5678"}`, "")
	if view = h.expect(t, "GET", path+"/state", "", "", ""); view["status"] != "code" || view["code"] != "ABCD-1234" {
		t.Errorf("by code: %v", view)
	}
	h.expect(t, "POST", path+"/begin", "", `{"phone":"soon"}`, "VALIDATION_FAILED")

	h.scan(i.ID)
	if view = h.expect(t, "GET", path+"/state", "", "", ""); view["status"] != "connected" {
		t.Errorf("with a phone: %v", view)
	}
	h.expect(t, "GET", path+"/state", "", "", "PAIRING_LINK_USED")
	h.change(i.ID, func(i *messaging.Instance) { i.State, i.LinkedID = messaging.InstanceLoggedOut, "" })
	h.expect(t, "POST", path+"/begin", "", `{}`, "PAIRING_LINK_USED")
	if ended := fetch(t, h.URL()+path); ended.status != http.StatusNotFound || !strings.Contains(ended.body, "has been linked") || strings.Contains(ended.body, "shop") {
		t.Errorf("the page of a used link: %d\n%s", ended.status, ended.body)
	}
}

// The page may show an instance's name and its codes. All else is for keys.
func TestThePageTellsNothingButTheName(t *testing.T) {
	h := open(t)
	i := h.unpaired(t, "shop")
	h.change(i.ID, func(i *messaging.Instance) {
		i.Metadata, i.Phone, i.PushName = []byte(`{"client":"acme"}`), "5511999990000", "Maria"
	})
	path := h.link(t, "shop", `{}`)
	h.expect(t, "POST", path+"/begin", "", `{}`, "")
	view := h.expect(t, "GET", path+"/state", "", "", "")
	members := map[string]bool{}
	for name := range view {
		members[name] = true
	}
	if diff := cmp.Diff(map[string]bool{"instance": true, "status": true, "qr": true, "expires_in_ms": true}, members); diff != "" {
		t.Error(diff)
	}
	told := fetch(t, h.URL()+path).body + fmt.Sprint(view)
	for _, secret := range []string{i.ID, "acme", "5511999990000", "Maria", workspace} {
		if strings.Contains(told, secret) {
			t.Errorf("the page tells %q", secret)
		}
	}
}

func TestAPINGuardsThePage(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{"pin":"483920"}`)
	if locked := fetch(t, h.URL()+path); locked.status != http.StatusOK || strings.Contains(locked.body, "shop") || !strings.Contains(locked.body, `data-view="pin"`) {
		t.Errorf("the page before the PIN: %d\n%s", locked.status, locked.body)
	}
	for _, session := range []string{"", "x", strings.Repeat("0", 64)} {
		h.expect(t, "GET", path+"/state", session, "", "PAIRING_PIN_REQUIRED")
		h.expect(t, "POST", path+"/begin", session, `{}`, "PAIRING_PIN_REQUIRED")
	}
	for _, body := range []string{`{}`, `{"pin":"1"}`, `{"pin":483920}`, `{"pin":"48392o"}`} {
		h.expect(t, "POST", path+"/unlock", "", body, "VALIDATION_FAILED")
	}
	if details := h.expect(t, "POST", path+"/unlock", "", `{"pin":"000000"}`, "PAIRING_PIN_WRONG"); details["tries_left"] != 4.0 {
		t.Errorf("after a wrong PIN: %v", details)
	}
	session, _ := h.expect(t, "POST", path+"/unlock", "", `{"pin":"483920"}`, "")["session"].(string)
	if view := h.expect(t, "POST", path+"/begin", session, `{}`, ""); view["instance"] != "shop" {
		t.Errorf("behind the PIN: %v", view)
	}
	for n := range 4 {
		want := "PAIRING_PIN_WRONG"
		if n == 3 {
			want = "PAIRING_LINK_BLOCKED"
		}
		h.expect(t, "POST", path+"/unlock", "", `{"pin":"000000"}`, want)
	}
	h.expect(t, "GET", path+"/state", session, "", "PAIRING_LINK_BLOCKED")
}

// Guessing links is slow: an address that misses too often waits, even when it
// is right.
func TestGuessersOfLinksWait(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	missed := 0
	for n := range 40 {
		_, code, _ := h.step(t, "GET", fmt.Sprintf("%s%026d/state", gateway.PairPath, n), "", "")
		switch code {
		case "NOT_FOUND":
			missed++
		case "RATE_LIMITED":
		default:
			t.Fatalf("guess %d: %s", n, code)
		}
	}
	if missed < 20 || missed > 22 {
		t.Errorf("%d guesses were answered", missed)
	}
	status, code, _ := h.step(t, "GET", path+"/state", "", "")
	if status != http.StatusTooManyRequests || code != "RATE_LIMITED" {
		t.Errorf("the right link then: %d %s", status, code)
	}
	if shown := fetch(t, h.URL()+path); shown.status != http.StatusTooManyRequests || !strings.Contains(shown.header.Get("Content-Type"), "text/html") {
		t.Errorf("the page then: %d %s", shown.status, shown.header.Get("Content-Type"))
	}
}

// Each pairing is a session at the network: a page must not begin them without
// end.
func TestALinkBeginsFewPairings(t *testing.T) {
	h := open(t)
	i := h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	for range 6 {
		h.expect(t, "POST", path+"/begin", "", `{}`, "")
		h.timeOut(i.ID)
	}
	h.expect(t, "POST", path+"/begin", "", `{}`, "RATE_LIMITED")
}

func TestLinksOfDeletedInstancesAndOddPathsAreNotFound(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	h.mu.Lock()
	h.world.instances = nil
	h.mu.Unlock()
	h.expect(t, "GET", path+"/state", "", "", "INSTANCE_NOT_FOUND")
	if gone := fetch(t, h.URL()+path); gone.status != http.StatusNotFound || !strings.Contains(gone.body, "does not work") {
		t.Errorf("the page of a deleted instance: %d", gone.status)
	}
	h.expect(t, "GET", gateway.PairPath+"x/state", "", "", "NOT_FOUND")
	h.expect(t, "POST", path+"/begin", "", `{}`, "INSTANCE_NOT_FOUND")
	h.expect(t, "GET", path+"/state?x=1", "", "", "BAD_REQUEST")
}

// A stranger with a link may not fill memory or take the envelope apart.
func TestBodiesOfThePageAreBounded(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	for body, code := range map[string]string{
		`{"phone":"` + strings.Repeat("5", 2000) + `"}`: "PAYLOAD_TOO_LARGE",
		`{"phone":`:          "INVALID_JSON",
		`{"phones":"x"}`:     "VALIDATION_FAILED",
		`{"phone":{}}`:       "VALIDATION_FAILED",
		`{"phone":"\u0000"}`: "VALIDATION_FAILED",
	} {
		h.expect(t, "POST", path+"/begin", "", body, code)
	}
	if h.begun() != 0 {
		t.Error("a refused body began a pairing")
	}
}

func TestLinkRequestsAreChecked(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:manage")
	h.unpaired(t, "shop")
	for _, body := range []string{
		`{"expires_in":"25h"}`, `{"expires_in":"10s"}`, `{"expires_in":"900"}`, `{"expires_in":"0s"}`, `{"expires_in":900}`,
		`{"pin":"12345"}`, `{"pin":123456}`, `{"pin":"abcdef"}`, `{"phone":"x"}`,
	} {
		h.Expect(t, post("/v1/instances/shop/pairing-links", token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	answer := h.Expect(t, post("/v1/instances/shop/pairing-links", token, `{"expires_in":"24h","pin":"123456"}`), http.StatusCreated, "")
	got := data[struct {
		AsksPIN   bool      `json:"asks_pin"`
		ExpiresAt time.Time `json:"expires_at"`
	}](t, answer)
	if left := time.Until(got.ExpiresAt); !got.AsksPIN || left < 23*time.Hour || left > 24*time.Hour || strings.Contains(string(answer.Body), "123456") {
		t.Errorf("got %s", answer.Body)
	}
	h.instance(t, "linked")
	h.Expect(t, post("/v1/instances/linked/pairing-links", token, `{}`), http.StatusConflict, "INSTANCE_ALREADY_CONNECTED")
}

// Links point to where callers reach the server, which only its operator knows.
func TestLinksBeginWithThePublicURL(t *testing.T) {
	h := open(t, func(o *gateway.Options) { o.PublicURL = "https://gate.example.com/wa" })
	h.unpaired(t, "shop")
	answer := h.Expect(t, post("/v1/instances/shop/pairing-links", h.key(t, "*"), `{}`), http.StatusCreated, "")
	if url := data[struct{ URL string }](t, answer).URL; !strings.HasPrefix(url, "https://gate.example.com/wa/pair/") {
		t.Errorf("the link is %s", url)
	}
}

// Nothing may run on the page, nor be loaded by it, but what this server put in.
func TestThePagesPolicyAllowsItsOwnTextAlone(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	shown := fetch(t, h.URL()+h.link(t, "shop", `{}`))
	policy := shown.header.Get("Content-Security-Policy")
	for tag, directive := range map[string]string{"script": "script-src", "style": "style-src"} {
		_, rest, found := strings.Cut(shown.body, "<"+tag+">")
		text, _, closed := strings.Cut(rest, "</"+tag+">")
		sum := sha256.Sum256([]byte(text))
		if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !found || !closed || !strings.Contains(policy, want) {
			t.Errorf("%s is not allowed by %q", tag, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %q", policy)
	}
	if outside := regexp.MustCompile(`(src|href|action)="(https?:|//)|style="|\son[a-z]+="`).FindString(shown.body); outside != "" {
		t.Errorf("the page has %q", outside)
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := shown.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestThePageSpeaksTheReadersLanguage(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	for accept, want := range map[string]string{
		"": "Link your WhatsApp", "pt-BR,pt;q=0.9,en;q=0.8": "Conecte seu WhatsApp", "en-US,pt;q=0.5": "Link your WhatsApp", "de": "Link your WhatsApp",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Language", accept)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		if err := answer.Write(&body); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if !strings.Contains(body.String(), "<h1>"+want+"</h1>") {
			t.Errorf("Accept-Language %q: %q is missing", accept, want)
		}
	}
}

// Both languages say the same things, and all that the page and its script ask
// for.
func TestThePagesSentencesAreComplete(t *testing.T) {
	texts := make(map[string]map[string]string)
	for _, language := range []string{"en", "pt"} {
		encoded, err := os.ReadFile("page/pair." + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, new(map[string]string)); err != nil {
			t.Fatal(err)
		}
		into := make(map[string]string)
		_ = json.Unmarshal(encoded, &into)
		texts[language] = into
	}
	for name := range texts["en"] {
		if texts["pt"][name] == "" {
			t.Errorf("%s is not said in Portuguese", name)
		}
	}
	if len(texts["en"]) != len(texts["pt"]) {
		t.Errorf("%d sentences in English, %d in Portuguese", len(texts["en"]), len(texts["pt"]))
	}
	for file, pattern := range map[string]string{"page/pair.html": `\.Text\.([a-z_0-9]+)`, "page/pair.js": `texts\.([a-z_0-9]+)`} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			if texts["en"][found[1]] == "" {
				t.Errorf("%s asks for %s", file, found[1])
			}
		}
	}
}

// Tokens are secrets: logs show the pattern of their path.
func TestTokensStayOutOfTheLogs(t *testing.T) {
	h := open(t)
	h.unpaired(t, "shop")
	path := h.link(t, "shop", `{}`)
	h.expect(t, "POST", path+"/begin", "", `{}`, "")
	if odd := fetch(t, h.URL()+path+"/nothing"); odd.status != http.StatusNotFound {
		t.Errorf("an odd path: %d", odd.status)
	}
	token := strings.TrimPrefix(path, gateway.PairPath)
	if strings.Contains(h.logged.String(), token) {
		t.Errorf("the log tells the token:\n%s", h.logged.String())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range h.logs {
		if strings.Contains(fmt.Sprintf("%+v", row), token) {
			t.Errorf("api_logs tell the token: %+v", row)
		}
	}
}
