package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// limitedUpload is an upload to a server that answers so many requests with 429.
func limitedUpload(t *testing.T, text string, refusals int, after string) (upload *bulkUpload, api *apiClient, keys, bodies *[]string) {
	t.Helper()
	upload, err := openUpload(t.Context(), contactsFile(t, "a.csv", text), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upload.close)
	keys, bodies = new([]string), new([]string)
	api = &apiClient{base: "http://portaria.test", token: "sk_test_x"}
	api.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		*keys, *bodies = append(*keys, r.Header.Get("Idempotency-Key")), append(*bodies, string(body))
		answer := reply{http.StatusAccepted, answered("{}")}
		if len(*keys) <= refusals {
			answer = reply{http.StatusTooManyRequests, refusedWith("RATE_LIMITED", "")}
		}
		return &http.Response{StatusCode: answer.status, Header: http.Header{"Retry-After": {after}}, Body: io.NopCloser(strings.NewReader(answer.body))}, err
	})
	return upload, api, keys, bodies
}

// A large bulk may need all that a key has, of which another request has just
// taken one: it goes all the same, once, and not for ever.
func TestALimitedUploadIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		refusals int
		after    string
		took     time.Duration
		posts    int
		fails    bool
	}{
		{"at once", 0, "7", 0, 1, false},
		{"once", 1, "7", 7 * time.Second, 2, false},
		{"longer each time", 3, "7", 49 * time.Second, 4, false},
		{"all that is waited", 2, "40", 120 * time.Second, 3, false},
		{"for too long in all", 9, "40", 120 * time.Second, 3, true},
		{"for too long at once", 9, "121", 0, 1, true},
		{"nobody knows how long", 9, "0", 0, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said strings.Builder
				upload, api, keys, bodies := limitedUpload(t, contacts, c.refusals, c.after)
				began := time.Now()
				_, err := upload.postPatiently(t.Context(), streams{err: &said}, api, "/v1/bulk", "once")
				if took := time.Since(began); (err != nil) != c.fails || took != c.took || len(*keys) != c.posts {
					t.Errorf("%v after %s and %d posts; want %s and %d", err, took, len(*keys), c.took, c.posts)
				}
				if got := strings.Count(said.String(), "sending the file again in "); got != c.posts-1 {
					t.Errorf("it says %d times that it waits:\n%s", got, said.String())
				}
				if want := "asks to wait " + c.after + "s"; c.fails && c.after == "40" && !strings.Contains(describe(err).Message, want) {
					t.Errorf("the error says %q; want %q", describe(err).Message, want)
				}
				for i := range *keys {
					if (*keys)[i] != "once" || !strings.Contains((*bodies)[i], contacts) {
						t.Errorf("post %d has the key %q and\n%s", i, (*keys)[i], (*bodies)[i])
					}
				}
			})
		})
	}
}

func TestCtrlCEndsTheWaitForTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upload, api, keys, _ := limitedUpload(t, contacts, 9, "60")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := upload.postPatiently(ctx, streams{err: io.Discard}, api, "/v1/bulk", "once")
		if err == nil || err.Error() != "interrupted; nothing was sent" || time.Since(began) != time.Second || len(*keys) != 1 {
			t.Errorf("%v after %s and %d posts", err, time.Since(began), len(*keys))
		}
	})
}

// From end to end, with the clock of the machine.
func TestBulkSendOutlivesItsRateLimit(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--no-wait", "--dry-run"} {
		s := serveBulks(t)
		s.busy = 1
		if flag == "--dry-run" {
			s.upload = reply{http.StatusOK, answered(`{"accepted":true}`)}
		}
		exit, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", flag)
		if exit != exitDone || complaints != "portaria: the rate limit of the key is used up; sending the file again in 1s\n" {
			t.Errorf("%s: exit = %d and\n%s", flag, exit, complaints)
		}
		posts := s.uploads()
		if len(posts) != 2 || posts[0].Key != posts[1].Key || (posts[0].Key == "") != (flag == "--dry-run") {
			t.Fatalf("%s: uploaded %+v", flag, posts)
		}
		if diff := cmp.Diff(posts[0].Parts, posts[1].Parts); diff != "" || posts[1].Parts["file"] != contacts {
			t.Errorf("%s: another file came (-first +second):\n%s", flag, diff)
		}
	}
}

// Every request is taken off what a large bulk needs.
func TestAKeyIsLookedAtOnlyForItsInstance(t *testing.T) {
	for flags, want := range map[string]int{"": 1, "--instance shop": 0, "--instance shop --instance desk": 0} {
		s := serveBulks(t)
		args := append([]string{"bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--no-wait"}, strings.Fields(flags)...)
		if exit, _, complaints := s.run(t.Context(), args...); exit != exitDone || s.keysSoFar() != want {
			t.Errorf("%q: exit = %d after %d requests for the key; want %d\n%s", flags, exit, s.keysSoFar(), want, complaints)
		}
	}
}

// What has been read of a pipe is gone.
func TestALimitedPipeIsNotSentAgain(t *testing.T) {
	s := serveBulks(t)
	s.busy, s.stdin = 1, strings.NewReader(contacts)
	exit, _, complaints := s.run(t.Context(), "bulk", "send", "-", "--template", "Hi", "--no-wait")
	want := "portaria: the rate limit of the key is used up, and a pipe cannot be read again: repeat the command later, or give it a file\n" +
		"portaria: No. The server asks to wait 1s. (RATE_LIMITED)\n"
	if exit != exitFailed || complaints != want || len(s.uploads()) != 1 {
		t.Errorf("exit = %d after %d posts and\n%s", exit, len(s.uploads()), complaints)
	}
}

// A pipe has no name that would tell its form.
func TestStandardInputCanBeSent(t *testing.T) {
	t.Parallel()
	const objects = `{"to":"+5511912340001"}` + "\n"
	for text, want := range map[string]string{
		contacts: csvType, "\ufeff\n" + contacts: csvType, "": csvType, objects: ndjsonType, "\ufeff \r\n" + objects: ndjsonType,
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(contactsFile(t, "a", text))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			s := serveBulks(t)
			s.busy = 1
			for _, s.stdin = range []io.Reader{file, strings.NewReader(text)} {
				exit, _, complaints := s.run(t.Context(), "bulk", "send", "-", "--template", "Hi", "--no-wait")
				got := s.uploads()[len(s.uploads())-1]
				if exit != exitDone || got.Parts["file"] != text || got.Types["file"] != want {
					t.Errorf("exit = %d with %+v and\n%s; want %s", exit, got, complaints, want)
				}
			}
			if first := s.uploads()[0]; first.Length < 0 || len(s.uploads()) != 3 {
				t.Errorf("the length of a file that was redirected is %d, after %d uploads", first.Length, len(s.uploads()))
			}
		})
	}
}

// Who has forgotten to write anything must be able to leave.
func TestCtrlCEndsTheReadingOfAPipe(t *testing.T) {
	for _, written := range []string{"", contacts + contacts} { // before the upload, and during it
		begun := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		t.Cleanup(server.Close)
		in, out := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, _ = io.WriteString(out, written); written != "" {
				<-begun
			}
			cancel()
		}()
		s := &bulkServer{Server: server, stdin: in}
		exit, _, complaints := s.run(ctx, "bulk", "send", "-", "--template", "Hi", "--instance", "shop")
		if exit != exitFailed || !strings.Contains(complaints, "interrupted") {
			t.Errorf("exit = %d and\n%s", exit, complaints)
		}
		_ = out.Close()
	}
}

// Where nobody listens nothing can have been accepted.
func TestABulkForNobodyIsNotUncertain(t *testing.T) {
	s := serveBulks(t)
	s.Close()
	exit, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--instance", "shop")
	if exit != exitFailed || !strings.Contains(complaints, "Nobody listens at "+s.URL) || strings.Contains(complaints, "not known") {
		t.Errorf("exit = %d and\n%s", exit, complaints)
	}
}

// A key that is refused at once is told of, though the answer got lost behind a
// large file.
func TestARefusedKeyIsToldAfterALostUpload(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		write(w, reply{http.StatusUnauthorized, refusedWith("UNAUTHORIZED", "")})
	}))
	t.Cleanup(server.Close)
	s := &bulkServer{Server: server}
	exit, _, complaints := s.run(t.Context(), "bulk", "send", contactsFile(t, "a.csv", contacts), "--template", "Hi", "--instance", "shop")
	if exit != exitFailed || complaints != "portaria: No. (UNAUTHORIZED)\n" {
		t.Errorf("exit = %d and\n%s", exit, complaints)
	}
}
