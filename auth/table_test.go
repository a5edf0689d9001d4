package auth

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The table is what decides which key a token belongs to: it must find every
// entry under its own id, nothing under another, and the newer of two.
func TestTableFindsWhatAMapWould(t *testing.T) {
	id := rapid.StringMatching(`key_[0-9A-Za-z]{12}`)
	rapid.Check(t, func(t *rapid.T) {
		want := make(map[string]*entry)
		add := func(ids []string) (list []*entry) {
			for _, id := range ids {
				e := &entry{grant: Grant{KeyID: id}}
				list = append(list, e)
				if want[id] == nil {
					want[id] = e
				}
			}
			return list
		}
		newer := rapid.SliceOfN(id, 0, 100).Draw(t, "newer")
		older := rapid.SliceOfN(id, 0, 100).Draw(t, "older")
		if len(newer) > 0 {
			older = append(older, newer[0])
		}
		got := newTable(add(newer), add(older))
		if got.count != len(want) || len(got.all()) != len(want) {
			t.Fatalf("%d entries, want %d", got.count, len(want))
		}
		for id, e := range want {
			if got.find(publicID(id)) != e || !slices.Contains(got.all(), e) {
				t.Fatalf("%s is not found", id)
			}
		}
		for _, absent := range []string{"", "000", rapid.StringN(0, 20, -1).Draw(t, "absent")} {
			if e := got.find(absent); e != nil && want["key_"+absent] != e {
				t.Fatalf("%q found %s", absent, e.grant.KeyID)
			}
		}
	})
}
