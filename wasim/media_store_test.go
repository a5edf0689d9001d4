package wasim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestOldestMediaMakesRoom: the store never holds more than its capacity, and
// what is refused or broken leaves nothing behind.
func TestOldestMediaMakesRoom(t *testing.T) {
	m := newMediaStore(100)
	keep := func(fill byte, size int) (mediaName, error) {
		body := bytes.Repeat([]byte{fill}, size)
		name := sha256.Sum256(body)
		return name, m.keep(name, bytes.NewReader(body))
	}
	has := func(name mediaName) bool {
		file, err := m.open(name)
		if err == nil {
			file.Close()
		}
		return err == nil
	}
	first, _ := keep(1, 60)
	if _, err := keep(1, 60); err != nil || !has(first) {
		t.Errorf("the same file twice: %v", err)
	}
	second, err := keep(2, 60)
	if err != nil || has(first) || !has(second) {
		t.Errorf("the second file: %v; first %t, second %t", err, has(first), has(second))
	}
	if _, err := keep(3, 101); !errors.Is(err, errMediaFull) {
		t.Errorf("more than fits: %v", err)
	}
	if err := m.keep(first, iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an upload that breaks off: %v", err)
	}
	if err := m.keep(first, strings.NewReader("something else")); !errors.Is(err, errMediaSum) {
		t.Errorf("another content: %v", err)
	}
	if m.used != 0 {
		t.Errorf("%d bytes are counted for nothing", m.used)
	}
	dir := m.dir
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	if _, err := keep(4, 1); !errors.Is(err, errMediaClosed) {
		t.Errorf("after close: %v", err)
	}
}

// TestSealedMediaOpens, and with one bit turned it does not.
func TestSealedMediaOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		plain := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "plain")
		purpose := mediaPurpose(rapid.SampledFrom([]string{"image", "video", "ptt", "document"}).Draw(t, "kind"))
		body, err := sealMedia(key, purpose, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openMedia(key, purpose, body); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened as %x, %v, want %x", got, err, plain)
		}
		broken := slices.Clone(body)
		broken[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= 1
		if _, err := openMedia(key, purpose, broken); err == nil {
			t.Fatal("opened what was changed")
		}
	})
}

// FuzzMediaPath: whatever path and body a stranger sends, the answer is one of
// a few, and only a body that its name fits is kept.
func FuzzMediaPath(f *testing.F) {
	name := sha256.Sum256([]byte("body"))
	f.Add("POST", strings.Replace(directPath("image", name), "/v/", "/mms/", 1), []byte("body"))
	f.Add("GET", directPath("image", name), []byte{})
	f.Add("DELETE", "/mms/image/%2e%2e", []byte{})
	f.Add("GET", "/v/../../../../etc/passwd?&hash=x", []byte{})
	s := &Server{log: slog.New(slog.DiscardHandler), media: newMediaStore(1 << 20)}
	s.faults.Store(&FaultPlan{})
	f.Cleanup(func() { s.media.close() })
	mux := http.NewServeMux()
	s.mediaRoutes(mux)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		if name, ok := parseDirectPath(path); ok {
			again, ok := parseDirectPath(directPath("image", name))
			if !ok || again != name {
				t.Fatalf("%q names %x, and its own path %x", path, name, again)
			}
		}
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+mediaHost+path, bytes.NewReader(body))
		if err != nil || request.URL.Host != mediaHost {
			return
		}
		query := request.URL.Query()
		query.Set("auth", mediaAuth())
		request.URL.RawQuery = query.Encode()
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, request)
		allowed := []int{200, 204, 206, 301, 307, 400, 404, 405, 416, 507}
		if !slices.Contains(allowed, recorder.Code) {
			t.Fatalf("%s %q answered %d", method, path, recorder.Code)
		}
		if len(s.media.files) > 0 && recorder.Code == http.StatusOK && method == http.MethodPost {
			sum := sha256.Sum256(body)
			file, err := s.media.open(sum)
			if err != nil {
				t.Fatalf("kept something else: %v", err)
			}
			file.Close()
		}
	})
}
