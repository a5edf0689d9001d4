package whatsapp

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestWhatIsKnownIsWhatIsInTheDatabase is a model: readers and writers of a few
// rows take their steps in any order, and transactions end well or are rolled
// back. Whatever is known must be what was committed last. A session that is
// known wrongly would encrypt with keys that were used already.
func TestWhatIsKnownIsWhatIsInTheDatabase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &tableModel{rows: make(map[string]int)}
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"read":   m.beginRead,
			"note":   m.endRead,
			"write":  m.beginWrite,
			"commit": func(t *rapid.T) { m.endWrite(t, true) },
			"fail":   func(t *rapid.T) { m.endWrite(t, false) },
		})
	})
}

// tableModel is a table and who is busy with it.
type tableModel struct {
	known  known[int]
	rows   map[string]int // committed
	reads  []modelRead
	writes []modelWrite
	serial int
}

type modelRead struct {
	since uint64
	key   string
	value int
}

type modelWrite struct {
	key   string
	value int
}

func anyKey(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "row") }

func (m *tableModel) check(t *rapid.T) {
	for _, key := range []string{"a", "b", "c"} {
		if v, ok := m.known.get(key); ok && v != m.rows[key] {
			t.Fatalf("%s is known as %d and stored as %d", key, v, m.rows[key])
		}
	}
}

// beginRead reads a row; what was read is noted later.
func (m *tableModel) beginRead(t *rapid.T) {
	key := anyKey(t)
	m.reads = append(m.reads, modelRead{m.known.now(), key, m.rows[key]})
}

func (m *tableModel) endRead(t *rapid.T) {
	if len(m.reads) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.reads)-1).Draw(t, "reader")
	r := m.reads[i]
	m.reads = append(m.reads[:i:i], m.reads[i+1:]...)
	m.known.put(r.since, r.key, r.value)
}

func (m *tableModel) beginWrite(t *rapid.T) {
	m.serial++
	w := modelWrite{anyKey(t), m.serial}
	m.writes = append(m.writes, w)
	m.known.begin()
	m.known.drop(w.key)
}

func (m *tableModel) endWrite(t *rapid.T, well bool) {
	if len(m.writes) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.writes)-1).Draw(t, "writer")
	w := m.writes[i]
	m.writes = append(m.writes[:i:i], m.writes[i+1:]...)
	if well {
		m.rows[w.key] = w.value
	}
	if since := m.known.end(); well {
		m.known.put(since, w.key, w.value)
	}
}

// TestWhatIsKnownIsBounded: an instance writes to more people than it has room
// for.
func TestWhatIsKnownIsBounded(t *testing.T) {
	var k known[int]
	for i := range 3 * maxKnown {
		k.put(k.now(), fmt.Sprint(i), i)
	}
	if len(k.values) != maxKnown {
		t.Errorf("%d rows are known, want %d", len(k.values), maxKnown)
	}
	if last := fmt.Sprint(3*maxKnown - 1); k.values[last] == 0 {
		t.Error("the row that was read last is not known")
	}
}
