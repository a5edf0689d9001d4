package instances_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"portaria/instances"
	"portaria/instances/proxy"
	"portaria/internal/fault"
	"portaria/messaging"
)

// proxied are settings with a proxy that has a password.
const proxied = `{"mark_read":true,"proxy_url":"http://acme:s3cret@127.0.0.1:3128"}`

func (w *world) patch(id, settings string) messaging.Instance {
	w.t.Helper()
	i, err := w.manager.Update(w.t.Context(), w.tenancy, id, instances.Patch{Settings: []byte(settings)})
	if err != nil {
		w.t.Fatalf("patch %s: %v", settings, err)
	}
	return i
}

// What the database holds of a proxy, in rows and in events, is worth nothing to
// who steals it.
func TestAProxyIsNeverStoredInClear(t *testing.T) {
	each(t, func(w *world) {
		made, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "made", Settings: []byte(proxied)})
		if err != nil {
			w.t.Fatal(err)
		}
		patched := w.create("patched")
		w.patch(patched.ID, proxied)
		w.report(patched, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected) // an event that holds the settings
		rows, err := w.store.AllInstances(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		events, err := w.store.Events(w.t.Context(), w.tenancy, messaging.EventFilter{}, messaging.Page{Limit: 50})
		if err != nil || len(events) < 3 {
			w.t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			rows = append(rows, *e.Instance)
		}
		for _, i := range rows {
			text, err := json.Marshal(i.Settings)
			if err != nil || strings.Contains(string(i.Settings)+string(text), "s3cret") || strings.Contains(string(i.Settings), "127.0.0.1") {
				w.t.Errorf("stored: %s, %v", i.Settings, err)
			}
		}
		for _, id := range []string{made.ID, patched.ID} {
			if u, err := w.proxies().Of(w.resolve(id)); err != nil || u.String() != "http://acme:s3cret@127.0.0.1:3128" {
				w.t.Errorf("%s: proxy %v, %v", id, u, err)
			}
		}
	})
}

func codeOf(err error) string {
	if f := fault.As(err); f != nil {
		return f.Code()
	}
	return ""
}

// PATCH merges, and null removes, as with every other setting.
func TestAPatchLeavesTheProxyAloneUnlessItNamesIt(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		before := proxy.Stored(w.patch(i.ID, proxied).Settings)
		for _, same := range []string{`{"mark_read":null}`, proxied, `{"proxy_url":"http://acme:***@127.0.0.1:3128"}`} {
			if got := proxy.Stored(w.patch(i.ID, same).Settings); got != before {
				w.t.Errorf("%s: the proxy is another one", same)
			}
		}
		if got := w.patch(i.ID, `{"proxy_url":null}`); string(got.Settings) != `{"mark_read":true}` {
			w.t.Errorf("without the proxy: %s", got.Settings)
		}
	})
}

// A proxy that is refused changes nothing, on either way in.
func TestARefusedProxyChangesNothing(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		w.patch(i.ID, proxied)
		before := string(w.resolve(i.ID).Settings)
		for settings, want := range map[string]string{
			`{"mark_read":false,"proxy_url":"http://10.0.0.1"}`: "URL_NOT_ALLOWED",
			`{"mark_read":false,"proxy_url":"ftp://8.8.8.8"}`:   "VALIDATION_FAILED",
			`{"proxy_url":"http://acme:***@8.8.8.8:3128"}`:      "VALIDATION_FAILED",
		} {
			_, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, instances.Patch{Settings: []byte(settings)})
			if code := codeOf(err); code != want {
				w.t.Errorf("patch %s: %v; want %s", settings, err, want)
			}
			_, err = w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "two", Settings: []byte(settings)})
			if code := codeOf(err); code != want {
				w.t.Errorf("create %s: %v; want %s", settings, err, want)
			}
		}
		if now := string(w.resolve(i.ID).Settings); now != before {
			w.t.Errorf("settings are %s", now)
		}
		if _, err := w.manager.Resolve(w.t.Context(), w.tenancy, "two"); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("the instance was made all the same: %v", err)
		}
	})
}

// Another proxy makes the connection anew, whichever process was told of it;
// other settings do not.
func TestALiveChannelIsOpenedAnewForAnotherProxy(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linked("one", messaging.InstanceConnecting)
		w.begin()
		opened := func() int { return len(w.phones.asks(i.ID)) }
		eventually(w.t, "a channel is opened", func() bool { return opened() == 1 })
		w.tell(i, messaging.InstanceConnected, nil)
		eventually(w.t, "it carries", func() bool { return w.carries(i.ID) })

		w.patch(i.ID, proxied)
		eventually(w.t, "a channel is opened for the proxy", func() bool { return opened() == 2 && w.phones.count(i.ID) == 1 })
		if proxy.Stored(w.phones.last().Settings) == "" {
			w.t.Error("the channel knows no proxy")
		}
		w.until(i.ID, "is connecting", func(i messaging.Instance) bool { return i.State == messaging.InstanceConnecting })
		w.tell(i, messaging.InstanceConnected, nil)
		eventually(w.t, "it carries again", func() bool { return w.carries(i.ID) })

		w.patch(i.ID, `{"reject_calls":true,"proxy_url":"http://acme:***@127.0.0.1:3128"}`)
		if !w.carries(i.ID) || opened() != 2 {
			w.t.Errorf("settings that are no proxy opened the channel anew: %d times", opened())
		}

		beside := instances.NewManager(instances.Options{Store: w.beside(), Proxies: w.proxies(), Now: w.now})
		if _, err := beside.Update(w.t.Context(), w.tenancy, i.ID, instances.Patch{Settings: []byte(`{"proxy_url":null}`)}); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "a channel is opened without the proxy", func() bool { return opened() == 3 && w.phones.count(i.ID) == 1 })
		if proxy.Stored(w.phones.last().Settings) != "" {
			w.t.Error("the channel has a proxy still")
		}
	})
}

// A lane that waits as the old pace said must hear of the new one, also from
// another process.
func TestTheLaneHearsOfSettingsThatAnyProcessChanged(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		w.load()
		w.run()
		heard := w.network.timesConnected(i.ID)
		w.patch(i.ID, `{"pace":{"per_hour":10}}`)
		if got := w.network.timesConnected(i.ID); got != heard+1 {
			w.t.Errorf("told %d times of a patch", got-heard)
		}
		beside := instances.NewManager(instances.Options{Store: w.beside(), Now: w.now})
		if _, err := beside.Update(w.t.Context(), w.tenancy, i.ID, instances.Patch{Settings: []byte(`{"pace":{"per_hour":20}}`)}); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "the lane hears of a patch by another process", func() bool { return w.network.timesConnected(i.ID) == heard+2 })
		if _, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, instances.Patch{Metadata: []byte(`{"a":1}`)}); err != nil {
			w.t.Fatal(err)
		}
		if got := w.network.timesConnected(i.ID); got != heard+2 {
			w.t.Error("the lane is woken for metadata")
		}
	})
}
