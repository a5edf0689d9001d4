package sandbox_test

import (
	"testing"

	"portaria/messaging"
)

// What follows when another phone is linked can be rehearsed: a code is typed on
// the phone that it was asked for.
func TestACodeLinksThePhoneThatItWasAskedFor(t *testing.T) {
	r := newRehearsal(t)
	born := r.create(false)
	for _, c := range []struct {
		asked, linked string
		relinked      bool
	}{
		{"", born.Phone, false},
		{"5511912345678", "5511912345678", true},
	} {
		r.after(r.manager.Logout)
		r.connect(c.asked)
		if err := r.scan(); err != nil {
			t.Fatal(err)
		}
		stored, err := r.store.FindInstance(t.Context(), born.WorkspaceID, messaging.Test, born.ID)
		if err != nil || stored.Phone != c.linked {
			t.Errorf("asked for %q: %+v, %v", c.asked, stored, err)
		}
		if c.relinked {
			if phone := <-r.relinked; phone != c.linked {
				t.Errorf("asked for %q: told that %s is linked instead", c.asked, phone)
			}
		}
	}
}
