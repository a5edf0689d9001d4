package proxy_test

import (
	"bytes"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/instances/proxy"
	"portaria/internal/fault"
	"portaria/messaging"
)

const secretURL = "http://acme:s3cret@proxy.example.com:3128"

func newBook(t *testing.T, fill byte, allow ...string) *proxy.Book {
	t.Helper()
	o := proxy.Options{Key: bytes.Repeat([]byte{fill}, 32)}
	for _, cidr := range allow {
		o.Allow = append(o.Allow, netip.MustParsePrefix(cidr))
	}
	b, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func shop() messaging.Instance {
	return messaging.Instance{ID: "ins_shop", WorkspaceID: "wsp_a", Environment: messaging.Live}
}

// keep stores settings as the manager does for a new instance.
func keep(t *testing.T, b *proxy.Book, i *messaging.Instance, sent string) {
	t.Helper()
	kept, err := b.Keep(i, []byte(sent))
	if err != nil {
		t.Fatalf("keep %s: %v", sent, err)
	}
	i.Settings = kept
}

func sent(u string) string { return `{"mark_read":true,"proxy_url":"` + u + `"}` }

// What is stored tells nothing of the proxy; what is shown, all but the password;
// the driver gets the whole.
func TestAProxyIsStoredSealedAndShownWithoutItsPassword(t *testing.T) {
	b := newBook(t, 1)
	for text, shown := range map[string]string{
		secretURL:                         "http://acme:***@proxy.example.com:3128",
		"https://acme:p%40ss@[2606::1]":   "https://acme:***@[2606::1]",
		"socks5://a%2Fb:c@proxy:1080/":    "socks5://a%2Fb:***@proxy:1080",
		"http://token@proxy.example.com":  "http://token@proxy.example.com",
		"HTTP://proxy.example.com":        "http://proxy.example.com",
		"http://acme:@proxy.example.com/": "http://acme:***@proxy.example.com",
	} {
		i := shop()
		keep(t, b, &i, sent(text))
		if stored := string(i.Settings); strings.Contains(stored, "proxy.example") || strings.Contains(stored, "acme") || strings.Contains(stored, "://") {
			t.Errorf("%s is stored as %s", text, stored)
		}
		if got, want := string(b.Shown(i)), sent(shown); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
		u, err := b.Of(i)
		if err != nil || !strings.EqualFold(u.String(), strings.TrimSuffix(text, "/")) {
			t.Errorf("%s is dialled as %v, %v", text, u, err)
		}
	}
}

// A program that reads the settings and sends them back must not destroy the
// password; one that hides it behind another host must not get it there.
func TestWhatIsShownStandsForWhatIsStored(t *testing.T) {
	b := newBook(t, 1)
	i := shop()
	keep(t, b, &i, sent(secretURL))
	before := string(i.Settings)
	for _, same := range []string{
		string(b.Shown(i)), sent("http://acme:***@proxy.example.com:3128/"), sent("http://acme:%2A%2A%2A@proxy.example.com:3128"), sent(secretURL),
	} {
		kept, err := b.Keep(&i, []byte(same))
		if err != nil || string(kept) != before {
			t.Errorf("%s: kept %s, %v; want what was stored", same, kept, err)
		}
	}
	for _, other := range []string{
		"http://acme:***@evil.example.com:3128", "http://acme:***@proxy.example.com:3129", "https://acme:***@proxy.example.com:3128",
		"http://admin:***@proxy.example.com:3128", "***",
	} {
		if _, err := b.Keep(&i, []byte(sent(other))); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("%s: %v", other, err)
		}
	}
	kept, err := b.Keep(&i, []byte(sent("http://acme:other@proxy.example.com:3128")))
	if err != nil || string(kept) == before {
		t.Errorf("another password: %s, %v", kept, err)
	}
	fresh := shop()
	if _, err := b.Keep(&fresh, []byte(sent("http://acme:***@proxy.example.com:3128"))); !errors.Is(err, fault.ErrValidation) {
		t.Errorf("a hidden password of nothing: %v", err)
	}
	for _, silent := range []string{`{"mark_read":true}`, `{"proxy_url":null}`, `{}`, ``} {
		if kept, err := b.Keep(&i, []byte(silent)); err != nil || string(kept) != silent {
			t.Errorf("%s: kept %s, %v", silent, kept, err)
		}
	}
}

// A row that is copied to another instance carries no proxy there.
func TestASealedProxyOpensForItsInstanceAlone(t *testing.T) {
	b := newBook(t, 1)
	i := shop()
	keep(t, b, &i, sent(secretURL))
	for name, change := range map[string]func(*messaging.Instance){
		"instance":    func(i *messaging.Instance) { i.ID = "ins_other" },
		"workspace":   func(i *messaging.Instance) { i.WorkspaceID = "wsp_b" },
		"environment": func(i *messaging.Instance) { i.Environment = messaging.Test },
	} {
		other := i
		change(&other)
		if u, err := b.Of(other); !errors.Is(err, proxy.ErrUnreadable) || u != nil {
			t.Errorf("another %s: %v, %v", name, u, err)
		}
	}
}

// With another secret key nothing breaks and nothing is told: the proxy is shown
// as ***, is not dialled, is kept by who sends *** back, and can be set anew.
func TestAnotherSecretKeyIsAClearFault(t *testing.T) {
	i := shop()
	keep(t, newBook(t, 1), &i, sent(secretURL))
	for name, b := range map[string]*proxy.Book{"another key": newBook(t, 2), "no key": new(proxy.Book)} {
		if got, want := string(b.Shown(i)), sent("***"); got != want {
			t.Errorf("%s: shown %s, want %s", name, got, want)
		}
		if u, err := b.Of(i); !errors.Is(err, proxy.ErrUnreadable) || u != nil {
			t.Errorf("%s: dialled %v, %v", name, u, err)
		}
		if kept, err := b.Keep(&i, []byte(sent("***"))); err != nil || string(kept) != string(i.Settings) {
			t.Errorf("%s: kept %s, %v", name, kept, err)
		}
	}
	keep(t, newBook(t, 2), &i, sent(secretURL))
	if u, err := newBook(t, 2).Of(i); err != nil || u.String() != secretURL {
		t.Errorf("set anew: %v, %v", u, err)
	}
	if err := new(proxy.Book).Admit(t.Context(), messaging.Live, []byte(sent(secretURL))); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("without a key a proxy is taken: %v", err)
	}
}

// Only a plain URL of a proxy has the right form. The same is told at the door
// and in the room.
func TestTheFormOfAProxyIsStrict(t *testing.T) {
	b := newBook(t, 1)
	for _, url := range []string{
		"", " ", "proxy.example.com:3128", "ftp://proxy.example.com", "socks4://proxy.example.com", "socks5h://proxy.example.com",
		"http://", "http:proxy.example.com", "//proxy.example.com", "http://proxy.example.com:0", "http://proxy.example.com:65536",
		"http://proxy.example.com:", "http://proxy.example.com:x", "http://proxy.example.com/path", "http://proxy.example.com?a", "http://proxy.example.com/#",
		"http://pro xy", "http://próxy.example.com", "http://a,b", "http://[fe80::1%25eth0]", "http://:secret@proxy.example.com",
		"http://a%3Ab:c@proxy.example.com", "http://" + strings.Repeat("a", 256) + "@proxy.example.com", "http://a:" + strings.Repeat("b", 256) + "@proxy",
		"http://" + strings.Repeat("a", 254), "http://proxy.example.com\\r\\nHost: x", "sealed:1:00000000:AAAA",
		"http://" + strings.Repeat("a.", 600) + "com",
	} {
		var fields fault.Fields
		proxy.Check(&fields, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(url))
		if len(fields) != 1 || fields[0].Field != "settings.proxy_url" {
			t.Errorf("%q: fields %v", url, fields)
		}
		err := b.Admit(t.Context(), messaging.Test, []byte(sent(url)))
		if !errors.Is(err, fault.ErrValidation) || len(url) > 5 && strings.Contains(err.Error(), url) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, settings := range []string{`{"proxy_url":7}`, `{"proxy_url":{}}`, `[]`, `{`, `{"proxy_url":"a","proxy_url":"b"}`} {
		if err := b.Admit(t.Context(), messaging.Test, []byte(settings)); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("%s: %v", settings, err)
		}
		i := shop()
		if kept, err := b.Keep(&i, []byte(settings)); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("%s: kept %s, %v", settings, kept, err)
		}
	}
}

// However a member's name is written, it is the same member: none gets past the
// seal.
func TestAnEscapedNameIsSealedToo(t *testing.T) {
	b := newBook(t, 1, "127.0.0.0/8")
	escaped := []byte(`{"proxy\u005furl":"http://acme:s3cret@10.0.0.1"}`)
	if err := b.Admit(t.Context(), messaging.Live, escaped); !errors.Is(err, proxy.ErrNotAllowed) {
		t.Errorf("admitted: %v", err)
	}
	i := shop()
	keep(t, b, &i, string(escaped))
	if strings.Contains(string(i.Settings), "s3cret") || strings.Contains(string(b.Shown(i)), "s3cret") || proxy.Stored(i.Settings) == "" {
		t.Errorf("stored %s, shown %s", i.Settings, b.Shown(i))
	}
}

// A proxy is a way into the network that the server stands in.
func TestNoProxyStandsInside(t *testing.T) {
	inside := []string{
		"http://127.0.0.1:3128", "socks5://10.0.0.1", "https://192.168.1.1", "http://169.254.169.254", "http://[::1]", "http://[fe80::1]",
		"http://[::ffff:10.0.0.1]", "http://[64:ff9b::a00:1]", "http://localhost:3128", "http://2130706433", "http://0x7f.1", "http://127.1",
	}
	b := newBook(t, 1)
	for _, env := range []messaging.Environment{messaging.Live, messaging.Test} {
		for _, url := range inside {
			if err := b.Admit(t.Context(), env, []byte(sent(url))); !errors.Is(err, proxy.ErrNotAllowed) {
				t.Errorf("%s, %s: %v", env, url, err)
			}
		}
		if err := b.Admit(t.Context(), env, []byte(sent("http://acme:s3cret@8.8.8.8:3128"))); err != nil {
			t.Errorf("%s, a public address: %v", env, err)
		}
		if err := newBook(t, 1, "127.0.0.0/8").Admit(t.Context(), env, []byte(sent(inside[0]))); err != nil {
			t.Errorf("%s, an address that is allowed: %v", env, err)
		}
	}
	for _, silent := range []string{`{"proxy_url":null}`, `{}`, ``} {
		if err := b.Admit(t.Context(), messaging.Live, []byte(silent)); err != nil {
			t.Errorf("%q: %v", silent, err)
		}
	}
}

// A name may lead elsewhere by the time it is dialled.
func TestTheDialOfAProxyIsGuarded(t *testing.T) {
	began := time.Now()
	conn, err := newBook(t, 1).Dial(t.Context(), "tcp", "localhost:1")
	if err == nil {
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "prohibited") || time.Since(began) > 5*time.Second {
		t.Errorf("dial: %v", err)
	}
}

// Whatever is taken, its password is shown nowhere and opens whole.
func FuzzKeep(f *testing.F) {
	b, err := proxy.New(proxy.Options{Key: make([]byte, 32)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"proxy_url":"http://acme:s3cret-s3cret@proxy.example.com:3128"}`)
	f.Add(`{"proxy\u005furl":"socks5://[::1]:1080"}`)
	f.Add(`{"proxy_url":"***"}`)
	f.Fuzz(func(t *testing.T, settings string) {
		i := shop()
		kept, err := b.Keep(&i, []byte(settings))
		if err != nil || proxy.Stored(kept) == "" {
			return
		}
		i.Settings = kept
		u, err := b.Of(i)
		if err != nil {
			t.Fatalf("%s was kept as %s: %v", settings, kept, err)
		}
		if !strings.HasPrefix(proxy.Stored(kept), "sealed:") {
			t.Errorf("stored in clear: %s", kept)
		}
		var shown struct {
			URL string `json:"proxy_url"`
		}
		if err := json.Unmarshal(b.Shown(i), &shown); err != nil {
			t.Fatal(err)
		}
		seen, err := url.Parse(shown.URL)
		if err != nil || seen.Host != u.Host || seen.User.Username() != u.User.Username() {
			t.Errorf("%s is shown as %s, %v", u, shown.URL, err)
		}
		if password, has := seen.User.Password(); has && password != "***" {
			t.Errorf("%s is shown as %s", u, shown.URL)
		}
	})
}
