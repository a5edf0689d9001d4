package wasim_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"portaria/wasim"
)

// anew closes a server and starts another one at the same address, from the
// same file, which other may change in between.
func anew(t testing.TB, s *wasim.Server, file string, between func()) *wasim.Server {
	t.Helper()
	address := s.Addr()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if between != nil {
		between()
	}
	return start(t, wasim.Options{Addr: address, StateFile: file})
}

// TestStateOutlivesTheProcess: whoever was linked logs in again, gets what has
// waited, and talks on in the same sessions.
func TestStateOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s := start(t, wasim.Options{StateFile: file})
	c := paired(t, s, own)
	s.Contact(friend).Named("Ana").Answers("thanks")
	for _, words := range []string{"one", "two"} { // the answer to the first makes the session known to both
		c.mustText(friend, words)
		await[*events.Message](c)
	}
	wantTexts(t, s.Received, "one", "two")
	c.Disconnect()
	eventually(t, "the server sees the client leave", func() bool { return !s.Phone(own).Connected() })
	waiting, err := s.Contact(friend).SendText(t.Context(), own, "for later")
	if err != nil {
		t.Fatal(err)
	}

	s = anew(t, s, file, nil)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	await[*events.Connected](c)
	if got := await[*events.Message](c); got.Info.ID != waiting || got.Message.GetConversation() != "for later" {
		t.Errorf("waited: %s %q", got.Info.ID, got.Message.GetConversation())
	}
	c.mustText(friend, "three")
	if got := await[*events.Message](c); got.Message.GetConversation() != "thanks" || got.Info.PushName != "Ana" {
		t.Errorf("%s answered %q", got.Info.PushName, got.Message.GetConversation())
	}
	for _, r := range wantTexts(t, s.Received, "one", "two", "three") {
		if r.Retries != 0 {
			t.Errorf("%q had to be asked for again", r.Text())
		}
	}
	eventually(t, "what has waited is known to be delivered", func() bool {
		sent, ok := s.Contact(friend).Sent(waiting)
		return ok && sent.Delivered && sent.To == own
	})
}

// TestStateAfterACrashHeals: the file is older than what the client knows, and
// yet nothing is lost and nobody is linked again.
func TestStateAfterACrashHeals(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	s := start(t, wasim.Options{StateFile: file})
	c := paired(t, s, own)
	crashed, err := os.ReadFile(file) // written when the client was linked
	if err != nil {
		t.Fatal(err)
	}
	s.Contact(friend).Answers("thanks")
	for range 3 {
		c.mustText(friend, "lost with the crash")
		await[*events.Message](c)
	}
	s = anew(t, s, file, func() {
		if err := os.WriteFile(file, crashed, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	await[*events.Connected](c)
	contact := s.Contact(friend)
	c.mustText(friend, "healed")
	if got := wantTexts(t, contact.Received, "healed"); got[0].Retries != 1 {
		t.Errorf("%d retries, want 1", got[0].Retries)
	}
	for _, words := range []string{"hello", "again"} {
		if _, err := contact.SendText(t.Context(), own, words); err != nil {
			t.Fatal(err)
		}
		if got := await[*events.Message](c).Message.GetConversation(); got != words {
			t.Errorf("the client got %q, want %q", got, words)
		}
	}
}

// TestStateHoldsGroupsAndWhatPhonesHaveNotSeen.
func TestStateHoldsGroupsAndWhatPhonesHaveNotSeen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	s := start(t, wasim.Options{StateFile: file})
	c := paired(t, s, own)
	group := s.NewGroup("Team", own, friend)
	say := func(words string) {
		t.Helper()
		to, err := types.ParseJID(group.ID())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.SendMessage(t.Context(), to, &waE2E.Message{Conversation: proto.String(words)}); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	wantTexts(t, s.Contact(friend).Received, "before")
	s.Contact(friend).Delivers(false)
	say("held")
	s = anew(t, s, file, nil)
	await[*events.Connected](c)
	kept, ok := s.Group(group.ID())
	if !ok {
		t.Fatal("the group is forgotten")
	}
	if diff := cmp.Diff(group.Members(), kept.Members()); diff != "" || kept.Subject() != "Team" {
		t.Errorf("members of %q (-want +got):\n%s", kept.Subject(), diff)
	}
	s.Contact(friend).Delivers(true)
	say("after")
	for _, r := range wantTexts(t, s.Contact(friend).Received, "before", "held", "after") {
		if r.Retries != 0 || r.Group != group.ID() {
			t.Errorf("%q in %s after %d retries", r.Text(), r.Group, r.Retries)
		}
	}
	if s.NewGroup("Other", own).ID() == group.ID() {
		t.Error("two groups have one address")
	}
}

// TestStateFileIsPrivateAndSmall: keys are in it, and there are many.
func TestStateFileIsPrivateAndSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s := start(t, wasim.Options{StateFile: file})
	c := paired(t, s, own)
	identity := base64.StdEncoding.EncodeToString(c.Store.IdentityKey.Pub[:])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), identity) {
		t.Error("the client's identity is not in the file as base64")
	}
	const keys, perKey = keysAtOnce, 80
	if len(text) > keys*perKey+4096 {
		t.Errorf("%d bytes for a client with %d keys", len(text), keys)
	}
	left, err := filepath.Glob(file + ".*")
	if err != nil || len(left) != 0 {
		t.Errorf("drafts are left: %v, %v", left, err)
	}
}

// TestDamagedStateIsLeftAlone: it may be somebody's only one.
func TestDamagedStateIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":        "{",
		"other format":   `{"format":2}`,
		"no number":      `{"format":1,"accounts":[{"number":"x"}]}`,
		"no stanza":      `{"format":1,"accounts":[{"number":"5511900000001","devices":[{"id":1,"pending":["AAEC"]}]}]}`,
		"no session":     `{"format":1,"exact":true,"accounts":[{"number":"5511900000001","party":{"sessions":{"x":"AAEC"}}}]}`,
		"nobody's group": `{"format":1,"groups":[{"id":"1@g.us","members":[{"number":"x"}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := wasim.Start(wasim.Options{StateFile: file}); !errors.Is(err, wasim.ErrState) {
				t.Errorf("started with %v", err)
				if err == nil {
					_ = s.Close()
				}
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != text {
				t.Errorf("the file holds %q afterwards (%v)", got, err)
			}
		})
	}
}
