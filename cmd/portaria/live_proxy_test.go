package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxySecret is the password of the proxies of these tests.
const proxySecret = "pr0xy-s3cret"

// connectProxy is a small HTTP proxy that asks who comes, and counts.
type connectProxy struct {
	addr    string
	tunnels atomic.Int64
	refused atomic.Int64

	mu      sync.Mutex
	down    bool
	targets map[string]bool
	open    map[net.Conn]bool
}

func newConnectProxy(t *testing.T) *connectProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &connectProxy{addr: listener.Addr().String(), targets: make(map[string]bool), open: make(map[net.Conn]bool)}
	var handling sync.WaitGroup
	handling.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handling.Go(func() {
				defer conn.Close()
				p.handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.setDown(true)
		handling.Wait()
	})
	return p
}

// url is the proxy's address for an instance's settings.
func (p *connectProxy) url() string { return "http://acme:" + proxySecret + "@" + p.addr }

// shown is what callers are answered of it.
func (p *connectProxy) shown() string { return "http://acme:***@" + p.addr }

// setDown makes the proxy hang up on everybody, or serve again.
func (p *connectProxy) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for conn := range p.open {
		conn.Close()
	}
}

func (p *connectProxy) handle(conn net.Conn) {
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return
	}
	p.open[conn] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, conn)
	}()
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	user := base64.StdEncoding.EncodeToString([]byte("acme:" + proxySecret))
	if request.Method != http.MethodConnect || request.Header.Get("Proxy-Authorization") != "Basic "+user {
		p.refused.Add(1)
		fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	far, err := net.Dial("tcp", request.Host)
	if err != nil {
		fmt.Fprint(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer far.Close()
	p.mu.Lock()
	p.targets[request.Host] = true
	p.mu.Unlock()
	p.tunnels.Add(1)
	fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, far)
		conn.Close()
	})
	_, _ = io.Copy(far, reader)
	far.Close()
	back.Wait()
}

// asked reports whether the proxy was asked for one address and no other.
func (p *connectProxy) asked(addr string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.targets) == 1 && p.targets[addr]
}

// allowingProxies restarts the server so that proxies may stand on this machine.
func (w *liveWorld) allowingProxies() {
	w.t.Helper()
	w.stop()
	w.env = append(w.env, "PORTARIA_PROXY_ALLOW_CIDRS=127.0.0.0/8")
	w.start()
}

// proxyOf is the proxy of an instance as the API shows it.
func (w *liveWorld) proxyOf(name string) string {
	w.t.Helper()
	var i struct {
		Settings struct {
			ProxyURL string `json:"proxy_url"`
		} `json:"settings"`
	}
	w.do(w.key, http.MethodGet, "/v1/instances/"+name, "", http.StatusOK, &i)
	return i.Settings.ProxyURL
}

func (w *liveWorld) patchProxy(name, value string) {
	w.t.Helper()
	w.do(w.key, http.MethodPatch, "/v1/instances/"+name, `{"settings":{"proxy_url":`+value+`}}`, http.StatusOK, nil)
}

// The whole way of an instance with a proxy: pairing, messages and a restart go
// through it; without it the instance waits and says why; taken away, the
// instance goes on without. WhatsApp's stand-in is what the proxy is asked for.
func TestALiveInstanceGoesThroughItsProxy(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w, proxy := newLiveWorld(t, engine), newConnectProxy(t)
			w.allowingProxies()
			w.do(w.key, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":"shop","settings":{"pace":{"enabled":false},"proxy_url":%q}}`, proxy.url()),
				http.StatusCreated, nil)
			w.link("shop", "5511900000001")
			first := w.send("shop", `{"to":"+5511987000001","text":"by proxy"}`)
			w.waitForStatus(first.ID, "read")
			w.stop()
			w.start()
			w.waitForState("shop", "connected")
			second := w.send("shop", `{"to":"+5511987000001","text":"by proxy, again"}`)
			w.waitForStatus(second.ID, "read")
			if n := proxy.tunnels.Load(); n < 3 || !proxy.asked(w.wasim.Addr()) || proxy.refused.Load() != 0 {
				t.Errorf("%d tunnels, %d refused, to the stand-in alone: %t", n, proxy.refused.Load(), proxy.asked(w.wasim.Addr()))
			}

			proxy.setDown(true)
			if i := w.waitForState("shop", "disconnected"); i.StateReason != "proxy_unreachable" && i.StateReason != "connection_lost" || i.Desired != "connected" {
				t.Errorf("without its proxy: %+v", i)
			}
			waiting := w.send("shop", `{"to":"+5511987000001","text":"when it is back"}`)
			if !waitUntil(t, patience, func() bool { return w.waitForState("shop", "disconnected").StateReason == "proxy_unreachable" }) {
				t.Error("nobody says that the proxy is away")
			}
			proxy.setDown(false)
			w.waitForStatus(waiting.ID, "read")

			before := proxy.tunnels.Load()
			w.patchProxy("shop", "null")
			waitUntil(t, patience, func() bool { return w.proxyOf("shop") == "" })
			last := w.send("shop", `{"to":"+5511987000001","text":"without it"}`)
			w.waitForStatus(last.ID, "read")
			if n := proxy.tunnels.Load(); n != before {
				t.Errorf("%d tunnels were opened after the proxy was taken away", n-before)
			}
			w.exactlyOnce(map[string][]string{"5511987000001": {first.WAMessageID, second.WAMessageID, waiting.WAMessageID, last.WAMessageID}})
		})
	}
}

// A proxy that is set on a connected instance takes effect at once, and what is
// shown of it, sent back, does nothing.
func TestAProxyThatIsSetTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	w, proxy := newLiveWorld(t, lightEngine), newConnectProxy(t)
	w.allowingProxies()
	w.instance("shop", "5511900000001")
	w.patchProxy("shop", fmt.Sprintf("%q", proxy.url()))
	if !waitUntil(t, patience, func() bool { return proxy.tunnels.Load() > 0 }) {
		t.Fatal("the instance does not use its proxy")
	}
	w.waitForState("shop", "connected")
	if got := w.proxyOf("shop"); got != proxy.shown() {
		t.Errorf("shown: %s", got)
	}
	tunnels := proxy.tunnels.Load()
	w.patchProxy("shop", fmt.Sprintf("%q", proxy.shown()))
	m := w.send("shop", `{"to":"+5511987000001","text":"still by proxy"}`)
	w.waitForStatus(m.ID, "read")
	if n := proxy.tunnels.Load(); n != tunnels || proxy.refused.Load() != 0 {
		t.Errorf("%d more tunnels, %d refused", n-tunnels, proxy.refused.Load())
	}
	w.stop()
	w.env = w.env[:len(w.env)-1] // the operator does not allow it any more
	w.start()
	if !waitUntil(t, patience, func() bool { return w.waitForState("shop", "disconnected").StateReason == "proxy_unreachable" }) {
		t.Error("a proxy that is not allowed any more is dialled")
	}
}

// The gateway must not become a way into its own network, by a live key or a
// test key.
func TestAProxyInsideIsRefused(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	test := w.mint("--scope", "*", "--all-instances")
	w.instance("shop", "5511900000001")
	w.do(test, http.MethodPost, "/v1/instances", `{"name":"shop"}`, http.StatusCreated, nil)
	for _, key := range []string{w.key, test} {
		for url, code := range map[string]string{
			"http://127.0.0.1:3128": "URL_NOT_ALLOWED", "socks5://acme:x@10.0.0.1": "URL_NOT_ALLOWED", "http://localhost": "URL_NOT_ALLOWED",
			"https://[::ffff:192.168.0.1]": "URL_NOT_ALLOWED", "http://[64:ff9b::a00:1]": "URL_NOT_ALLOWED", "ftp://8.8.8.8": "VALIDATION_FAILED",
			"http://acme:***@8.8.8.8": "VALIDATION_FAILED", "***": "VALIDATION_FAILED",
		} {
			for path, method := range map[string]string{"/v1/instances/shop": http.MethodPatch, "/v1/instances": http.MethodPost} {
				body := fmt.Sprintf(`{"settings":{"proxy_url":%q}}`, url)
				if method == http.MethodPost {
					body = fmt.Sprintf(`{"name":"two","settings":{"proxy_url":%q}}`, url)
				}
				var refusal struct{ Code string }
				w.refused(key, method, path, body, &refusal)
				if refusal.Code != code {
					t.Errorf("%s %s: %s, want %s", method, url, refusal.Code, code)
				}
			}
		}
	}
	w.waitForState("shop", "connected")
}

// refused makes a request that must be answered 422, and reads its error.
func (w *liveWorld) refused(key, method, path, body string, into any) {
	w.t.Helper()
	request, err := http.NewRequest(method, "http://"+w.address+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := w.client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var envelope struct{ Error json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil || answer.StatusCode != http.StatusUnprocessableEntity {
		w.t.Fatalf("%s %s: answered %d, %v", method, body, answer.StatusCode, err)
	}
	if err := json.Unmarshal(envelope.Error, into); err != nil {
		w.t.Fatal(err)
	}
}

// The password is nowhere but in the request that brought it: not in an answer,
// an event, the log, the command line, nor in any file of the data folder.
func TestThePasswordOfAProxyIsShownNowhere(t *testing.T) {
	t.Parallel()
	w, proxy := newLiveWorld(t, "sqlite"), newConnectProxy(t)
	w.allowingProxies()
	settings := fmt.Sprintf(`"settings":{"proxy_url":%q}`, proxy.url())
	w.do(w.key, http.MethodPost, "/v1/instances", `{"name":"shop",`+settings+`}`, http.StatusCreated, nil)
	w.link("shop", "5511900000001")
	proxy.setDown(true)
	w.waitForState("shop", "disconnected")
	for _, path := range []string{"/v1/instances", "/v1/instances/shop", "/v1/events", "/v1/logs"} {
		var all json.RawMessage
		w.do(w.key, http.MethodGet, path, "", http.StatusOK, &all)
		if bytes.Contains(all, []byte(proxySecret)) || bytes.Contains(all, []byte("sealed:")) {
			t.Errorf("%s shows it: %s", path, all)
		}
		if shows := bytes.Contains(all, []byte(proxy.shown())); shows != (path != "/v1/logs") {
			t.Errorf("%s shows the proxy: %t", path, shows)
		}
	}
	for want, env := range map[string]string{proxy.shown(): "", `"***"`: "PORTARIA_SECRET_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32))} {
		show := w.command("instances", "show", "shop", "--json")
		show.Env = append(show.Env, env)
		out, err := show.Output()
		if err != nil || !bytes.Contains(out, []byte(want)) || bytes.Contains(out, []byte(proxySecret)) || bytes.Contains(out, []byte("sealed:")) {
			t.Errorf("instances show with %q: %s, %v", env, out, err)
		}
	}
	w.stop()
	if strings.Contains(w.log.String(), proxySecret) {
		t.Error("the log has it")
	}
	w.notStored(proxySecret)
	w.notStored(proxy.addr)

	w.start()
	for range 2 { // the second answer is what was kept of the first, and as it was
		var kept json.RawMessage
		if status, err := w.try(w.key, http.MethodPost, "/v1/instances", `{"name":"two",`+settings+`}`, "make-two", &kept); err != nil ||
			status != http.StatusCreated || !bytes.Contains(kept, []byte(proxy.shown())) {
			t.Errorf("create: %d, %s, %v", status, kept, err)
		}
	}
	w.stop()
	w.notStored(proxySecret)
}

// notStored checks that no file of the data folder holds a text in clear.
func (w *liveWorld) notStored(text string) {
	w.t.Helper()
	files := 0
	err := filepath.WalkDir(w.options.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		stored, err := os.ReadFile(path)
		if bytes.Contains(stored, []byte(text)) {
			w.t.Errorf("%s has it in clear", path)
		}
		return err
	})
	if err != nil || files < 3 {
		w.t.Errorf("%d files, %v", files, err)
	}
}
