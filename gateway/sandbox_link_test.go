package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"portaria/gateway"
	"portaria/messaging"
)

// pairing makes an instance that shows the first QR.
func (h *house) pairing(t *testing.T, name string) messaging.Instance {
	t.Helper()
	i := h.unpaired(t, name)
	tenancy := messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
	if _, err := h.Connect(t.Context(), tenancy, i.ID, ""); err != nil {
		t.Fatal(err)
	}
	return i
}

// visit opens a page as a browser does, or with another Accept.
func visit(t *testing.T, method, url string, header map[string]string) page {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got := page{status: answer.StatusCode, header: answer.Header}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	got.body = string(body)
	return got
}

// The camera of any phone opens the QR of a test instance, and so is the
// simulated phone: no key, no script, once.
func TestTheLinkOfAQRLinksThePhone(t *testing.T) {
	h := open(t)
	i := h.pairing(t, "shop")
	url := h.URL() + gateway.ScanPath + firstToken
	if seen := visit(t, http.MethodHead, url, nil); seen.status != http.StatusOK || seen.body != "" {
		t.Errorf("HEAD: %d %q", seen.status, seen.body)
	}
	tenancy := messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
	if now, _ := h.Resolve(t.Context(), tenancy, i.ID); now.State != messaging.InstancePairing {
		t.Fatalf("a HEAD has linked the phone: %s", now.State)
	}
	got := visit(t, http.MethodGet, url, nil)
	if got.status != http.StatusOK || !strings.Contains(got.body, "The phone is linked.") || !strings.Contains(got.body, "<strong>shop</strong>") {
		t.Errorf("%d\n%s", got.status, got.body)
	}
	if now, _ := h.Resolve(t.Context(), tenancy, i.ID); now.State != messaging.InstanceConnected {
		t.Errorf("the instance is %s", now.State)
	}
	again := visit(t, http.MethodGet, url, map[string]string{"Accept-Language": "pt-BR"})
	if again.status != http.StatusNotFound || !strings.Contains(again.body, "não é mais exibido") || strings.Contains(again.body, "shop") {
		t.Errorf("again: %d\n%s", again.status, again.body)
	}
}

// The page lets nothing run or load, and its address stays where it is.
func TestTheScanPageIsClosed(t *testing.T) {
	h := open(t)
	h.pairing(t, "shop")
	got := visit(t, http.MethodGet, h.URL()+gateway.ScanPath+firstToken, nil)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Robots-Tag": "noindex, nofollow",
		"X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8", "Vary": "Accept, Accept-Language",
	} {
		if header := got.header.Get(name); header != want {
			t.Errorf("%s is %q, want %q", name, header, want)
		}
	}
	policy := got.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "form-action 'none'", "frame-ancestors 'none'", "style-src 'sha256-"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "script") || strings.Contains(got.body, "<script") || strings.Contains(got.body, "http") {
		t.Errorf("the page has a script or leads elsewhere: %s\n%s", policy, got.body)
	}
}

// Programs get JSON, and the faults of the API.
func TestProgramsOpenTheLinkToo(t *testing.T) {
	h := open(t)
	h.pairing(t, "shop")
	asJSON := map[string]string{"Accept": "application/json"}
	got := visit(t, http.MethodGet, h.URL()+gateway.ScanPath+firstToken, asJSON)
	if got.status != http.StatusOK || !strings.Contains(got.body, `"data":{"instance":"shop","state":"connected"}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	got = visit(t, http.MethodGet, h.URL()+gateway.ScanPath+firstToken, asJSON)
	if got.status != http.StatusNotFound || !strings.Contains(got.body, `"code":"NOT_FOUND"`) {
		t.Errorf("again: %d %s", got.status, got.body)
	}
}

// A name can be anything in a fixture, or in a later version: it is text.
func TestTheScanPageEscapesTheName(t *testing.T) {
	h := open(t)
	i := h.pairing(t, "shop")
	h.change(i.ID, func(i *messaging.Instance) { i.Name = "<img src=x>" })
	if got := visit(t, http.MethodGet, h.URL()+gateway.ScanPath+firstToken, nil); !strings.Contains(got.body, "&lt;img src=x&gt;") {
		t.Errorf("%s", got.body)
	}
}

// Guessing tokens is slow: an address that misses too often waits, even when it
// is right.
func TestGuessersOfTokensWait(t *testing.T) {
	h := open(t)
	h.pairing(t, "shop")
	codes := map[int]int{}
	for n := range 40 {
		codes[visit(t, http.MethodGet, fmt.Sprintf("%s%s%026d", h.URL(), gateway.ScanPath, n), nil).status]++
	}
	if codes[http.StatusNotFound] == 0 || codes[http.StatusTooManyRequests] == 0 || len(codes) != 2 {
		t.Errorf("statuses %v", codes)
	}
	if got := visit(t, http.MethodGet, h.URL()+gateway.ScanPath+firstToken, nil); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "Too many tries.") {
		t.Errorf("the right one: %d\n%s", got.status, got.body)
	}
}

// What cannot be a token is not looked for.
func TestStrangeTokensAreNotFound(t *testing.T) {
	h := open(t)
	h.pairing(t, "shop")
	for _, token := range []string{"x", "%00", "FIRSTFIRSTFIRSTFIRSTFIRST%00", "..%2f..%2fv1", strings.Repeat("A", 300), "FIRSTFIRSTFIRSTFIRSTFIRS%FF"} {
		if got := visit(t, http.MethodGet, h.URL()+gateway.ScanPath+token, nil); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", token, got.status)
		}
	}
}

// To look at a link costs a question to the database: who does nothing else
// waits.
func TestLookersAtALinkWait(t *testing.T) {
	h := open(t)
	h.pairing(t, "shop")
	codes := map[int]int{}
	for range 80 {
		codes[visit(t, http.MethodHead, h.URL()+gateway.ScanPath+firstToken, nil).status]++
	}
	if codes[http.StatusOK] == 0 || codes[http.StatusTooManyRequests] == 0 || len(codes) != 2 {
		t.Errorf("statuses %v", codes)
	}
}
