package media_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"portaria/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reaching is a library that may fetch from this machine.
func reaching(t *testing.T) *shelf {
	t.Helper()
	s := newShelf(t)
	l, err := media.New(media.Options{Store: s.store, Dir: s.dir, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	s.Library = l
	return s
}

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

// What can be reached from the server must not become readable for who can send
// messages: not by its address, not by a name or a redirect that leads there.
func TestNoURLLeadsInside(t *testing.T) {
	s := newShelf(t)
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the guard let a request through") })
	port := inside[strings.LastIndex(inside, ":"):]
	for _, u := range []string{
		inside, "http://localhost" + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port,
		"http://[64:ff9b::7f00:1]" + port, "http://[64:ff9b::a00:1]", "http://10.0.0.1", "http://192.168.1.1:8080", "http://172.16.0.1",
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]", "http://[fc00::1]", "http://100.64.0.1", "http://[::]",
		"http://[2002:7f00:1::]", "http://127.1" + port, "http://2130706433" + port, "http://0x7f.1" + port,
		"ftp://example.com/a", "file:///etc/passwd", "http://", "example.com/a.png", "http://user:secret@example.com/", "http://exa mple.com",
		"data:image/png;base64,AAAA", "http://example.com/" + strings.Repeat("a", 3000),
	} {
		_, err := s.Fetch(t.Context(), u, media.MaxBytes)
		if !errors.Is(err, media.ErrURLNotAllowed) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if left := s.files(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestARedirectIsGuardedLikeAURL(t *testing.T) {
	s := reaching(t)
	for target, want := range map[string]error{
		"http://10.0.0.1/":           media.ErrURLNotAllowed,
		"http://[::ffff:10.0.0.1]/":  media.ErrURLNotAllowed,
		"http://[::1]:1/":            media.ErrURLNotAllowed,
		"ftp://example.com/":         media.ErrURLNotAllowed,
		"http://user:pw@127.0.0.1/x": media.ErrURLNotAllowed,
	} {
		u := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
		if _, err := s.Fetch(t.Context(), u, media.MaxBytes); !errors.Is(err, want) {
			t.Errorf("to %s: %v", target, err)
		}
	}
}

// A URL may be signed: whoever it redirects to must not be told of it.
func TestARedirectDoesNotTellWhereItCameFrom(t *testing.T) {
	s := reaching(t)
	told := make(chan string, 1)
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Referer()
		fmt.Fprint(w, png)
	})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) })
	f, err := s.Fetch(t.Context(), u+"/a.png?X-Signature=secret", media.MaxBytes)
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if referer := <-told; referer != "" {
		t.Errorf("the next server was told %q", referer)
	}
}

func TestThreeRedirectsAreFollowedAndFourAreNot(t *testing.T) {
	s := reaching(t)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err == nil && n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusFound)
			return
		}
		fmt.Fprint(w, png)
	})
	if f, err := s.Fetch(t.Context(), u+"/3", media.MaxBytes); err != nil {
		t.Error(err)
	} else {
		f.Discard()
	}
	if _, err := s.Fetch(t.Context(), u+"/4", media.MaxBytes); !errors.Is(err, media.ErrUnreachable) {
		t.Error(err)
	}
}

func TestAFetchedFileHasItsServersName(t *testing.T) {
	s := reaching(t)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/named" {
			w.Header().Set("Content-Disposition", `attachment; filename="photo.png"`)
		}
		fmt.Fprint(w, png)
	})
	for path, want := range map[string]string{"/named": "photo.png", "/a/b.png?x=1": "b.png", "/": ""} {
		f, err := s.Fetch(t.Context(), u+path, media.MaxBytes)
		if err != nil {
			t.Fatal(err)
		}
		if f.Filename != want || f.MIME != "image/png" || f.Size != int64(len(png)) {
			t.Errorf("%s: %+v", path, f)
		}
		f.Discard()
	}
}

// A server that answers badly costs the request, and nothing else.
func TestAFetchThatFailsSaysWhy(t *testing.T) {
	s := reaching(t)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"not found":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, media.ErrUnreachable},
		"nothing":            {func(http.ResponseWriter, *http.Request) {}, media.ErrEmpty},
		"too large, said":    {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000") }, media.ErrTooLarge},
		"too large, not":     {endless, media.ErrTooLarge},
		"broken in the body": {cutOff, media.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Fetch(t.Context(), serve(t, c.answer), 100); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fetch(ctx, serve(t, endless), 100); !errors.Is(err, media.ErrUnreachable) {
		t.Errorf("canceled: %v", err)
	}
	if left := s.files(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for range 100 {
		fmt.Fprint(w, "0123456789")
	}
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "50")
	fmt.Fprint(w, "0123456789")
	panic(http.ErrAbortHandler)
}
