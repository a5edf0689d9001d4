package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"portaria/auth"
	"portaria/instances"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// unpaired makes a test instance that waits for a phone.
func (d *realDoor) unpaired(t *testing.T, name string) (messaging.Tenancy, messaging.Instance) {
	t.Helper()
	tenancy := messaging.NewTenancy(d.workspace, messaging.Test, messaging.AllInstances())
	i, err := d.app.manager.Create(t.Context(), tenancy, instances.Draft{Name: name, Unpaired: true})
	if err != nil {
		t.Fatal(err)
	}
	return tenancy, i
}

// scan is the phone: it takes the code that the instance shows. The code is shown
// a moment before the state.
func (d *realDoor) scan(t *testing.T, tenancy messaging.Tenancy, id string) {
	t.Helper()
	var refused error
	if !waitUntil(t, patience, func() bool {
		i, err := d.app.manager.Resolve(t.Context(), tenancy, id)
		if err != nil {
			t.Fatal(err)
		}
		test, ok := i.Test()
		if !ok {
			t.Fatalf("%s is no test instance", id)
		}
		refused = d.app.sandbox.Scan(t.Context(), test, "")
		return refused == nil
	}) {
		t.Fatalf("scan: %v", refused)
	}
}

// callAPI makes a request and returns the code of its error, and its data.
func callAPI(t *testing.T, method, url, token, body string) (code string, data map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var envelope struct {
		Data  map[string]any
		Error struct{ Code string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return envelope.Error.Code, envelope.Data
}

// The whole way of a pairing link, from the key that makes it to the phone, on
// the real gateway.
func TestAPairingLinkLinksOnePhone(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		tenancy, i := d.unpaired(t, "shop")
		_, token := d.Mint(t, auth.NewKey{Name: "k", Environment: messaging.Test, Scopes: []string{"whatsapp:manage"}, AllInstances: true})
		_, made := callAPI(t, http.MethodPost, d.url+"/v1/instances/shop/pairing-links", token, `{}`)
		link, _ := made["url"].(string)
		if !strings.HasPrefix(link, d.url+"/pair/") {
			t.Fatalf("the link is %q", link)
		}
		if code, _ := callAPI(t, http.MethodPost, link+"/begin", "", `{}`); code != "" {
			t.Fatalf("begin: %s", code)
		}
		waitUntil(t, patience, func() bool {
			_, view := callAPI(t, http.MethodGet, link+"/state", "", "")
			return view["status"] == "qr"
		})
		if code, _ := callAPI(t, http.MethodPost, link+"/begin", "", `{"phone":"+5511912345678"}`); code != "" {
			t.Fatalf("begin by code: %s", code)
		}
		waitUntil(t, patience, func() bool {
			_, view := callAPI(t, http.MethodGet, link+"/state", "", "")
			return view["status"] == "code" && view["qr"] == nil
		})
		d.scan(t, tenancy, i.ID)
		if code, _ := callAPI(t, http.MethodGet, link+"/state", "", ""); code != "PAIRING_LINK_USED" {
			t.Errorf("the link of a phone that is linked: %q", code)
		}
		waitUntil(t, patience, func() bool {
			_, shown := callAPI(t, http.MethodGet, d.url+"/v1/instances/shop", token, "")
			return shown["state"] == "connected" && shown["phone"] == "5511912345678"
		})
		if code, _ := callAPI(t, http.MethodPost, d.url+"/v1/instances/shop/pairing-links", token, `{}`); code != "INSTANCE_ALREADY_CONNECTED" {
			t.Errorf("a link for a connected instance: %q", code)
		}
	})
}

// `instances pair` shows the codes of the server beside it, and comes back when
// the phone is linked.
func TestPairFollowsTheServerUntilThePhoneIsLinked(t *testing.T) {
	t.Parallel()
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		for phone, shows := range map[string]string{"": "█▀", "5511912345678": "-"} {
			d := newRealDoorIn(t, s, "w"+phone)
			tenancy, i := d.unpaired(t, "shop")
			if _, err := d.app.manager.Connect(t.Context(), tenancy, i.ID, phone); err != nil {
				t.Fatal(err)
			}
			shown := new(lockedBuffer)
			p := pairing{store: s, instance: i, phone: phone, screen: newScreen(streams{out: shown, err: io.Discard}, false)}
			followed := make(chan error, 1)
			go func() { followed <- p.follow(context.WithoutCancel(t.Context())) }()
			waitUntil(t, patience, func() bool { return strings.Contains(shown.String(), shows) })
			d.scan(t, tenancy, i.ID)
			if err := <-followed; err != nil || p.instance.State != messaging.InstanceConnected {
				t.Errorf("phone %q: %v, %s", phone, err, p.instance.State)
			}
		}
	})
}

// Who asks in vain must be told what to do, and not wait for ever.
func TestPairEndsWhenThePairingDoes(t *testing.T) {
	s := storetest.Open(t, storetest.Options(t, storetest.Light))
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.NewInstance(tenancy, "shop")
	i.State, i.StateReason, i.Desired = messaging.InstanceCreated, messaging.ReasonPairingTimeout, messaging.DesiredConnected
	if err := s.InsertInstance(t.Context(), i, nil); err != nil {
		t.Fatal(err)
	}
	p := pairing{store: s, instance: i, screen: newScreen(streams{out: io.Discard, err: io.Discard}, false)}
	err := p.follow(t.Context())
	if !errors.Is(err, errPairingEnded) || !strings.Contains(err.Error(), "Nobody scanned") {
		t.Errorf("got %v", err)
	}
}

// A terminal shows one code at a time; a file keeps them all.
func TestScreensShowEachCodeOnce(t *testing.T) {
	for terminal, want := range map[bool]string{false: "one\ntwo\n", true: "one\n\x1b[1A\x1b[Jtwo\n"} {
		var out strings.Builder
		s := screen{out: &out, terminal: terminal}
		for _, text := range []string{"one\n", "one\n", "two\n"} {
			if err := s.show(text); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != want {
			t.Errorf("terminal %v: %q, want %q", terminal, out.String(), want)
		}
	}
}
