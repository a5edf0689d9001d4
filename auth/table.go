package auth

import "hash/maphash"

// table finds entries by their public id. It is an open hash table that never
// changes once it is filled, so readers need no lock; a map would take three
// times its 11 to 22 bytes a key.
type table struct {
	seed  maphash.Seed
	slots []*entry // a power of two of them, at most three quarters taken
	count int
}

// newTable returns a table of the entries. Of two with one id, the first counts.
func newTable(lists ...[]*entry) *table {
	total := 0
	for _, list := range lists {
		total += len(list)
	}
	size := 8
	for size*3/4 < total {
		size *= 2
	}
	t := &table{seed: maphash.MakeSeed(), slots: make([]*entry, size)}
	for _, list := range lists {
		for _, e := range list {
			if slot := t.slot(publicID(e.grant.KeyID)); *slot == nil {
				*slot = e
				t.count++
			}
		}
	}
	return t
}

// slot returns where the entry of a public id is, or would be.
func (t *table) slot(id string) **entry {
	for i := maphash.String(t.seed, id); ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if *slot == nil || publicID((*slot).grant.KeyID) == id {
			return slot
		}
	}
}

// find returns the entry of a public id, or nil.
func (t *table) find(id string) *entry { return *t.slot(id) }

// all returns every entry.
func (t *table) all() []*entry {
	entries := make([]*entry, 0, t.count)
	for _, e := range t.slots {
		if e != nil {
			entries = append(entries, e)
		}
	}
	return entries
}
