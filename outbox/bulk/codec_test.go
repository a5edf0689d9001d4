package bulk

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Chunks outlive versions: the encoder that is written by hand must say exactly
// what the decoder, and every one to come, reads.
func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := make([]StoredRow, rapid.IntRange(1, 5).Draw(rt, "rows"))
		wantValues := make([][]string, len(want))
		file, err := newChunkFile(t.TempDir())
		if err != nil {
			rt.Fatal(err)
		}
		defer file.close()
		names := rapid.SliceOfNDistinct(rapid.String(), 0, 4, rapid.ID[string]).Draw(rt, "names")
		for i := range want {
			for range names {
				wantValues[i] = append(wantValues[i], rapid.String().Draw(rt, "value"))
			}
			variables, fit := appendVariables(nil, names, wantValues[i])
			if !fit {
				rt.Fatalf("%q do not fit", wantValues[i])
			}
			want[i] = StoredRow{
				Number: int64(i + 7), Input: rapid.String().Draw(rt, "input"), WAID: rapid.String().Draw(rt, "wa id"),
				Reason: rapid.String().Draw(rt, "reason"), Why: rapid.String().Draw(rt, "why"),
				Variables: variables,
			}
			if err := file.add(want[i].Number, want[i].append(nil)); err != nil {
				rt.Fatal(err)
			}
		}
		c := Chunk{First: 7, Rows: len(want), Data: append(file.open, ']')}
		got, err := c.Decode()
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Error(diff)
		}
		for i := range got {
			values, err := got[i].values(names)
			if err != nil || !cmp.Equal(append([]string{}, wantValues[i]...), append([]string{}, values...)) {
				rt.Errorf("values = %q, %v, want %q", values, err, wantValues[i])
			}
		}
		if generic, err := json.Marshal(want); err != nil || string(generic) != string(c.Data) {
			rt.Errorf("written %s, want %s, %v", c.Data, generic, err)
		}
	})
}

// Chunks from before empty variables were left out have them.
func TestAnEmptyVariableOfAnOlderChunkIsRead(t *testing.T) {
	rows, err := (&Chunk{First: 1, Rows: 1, Data: []byte(`[{"n":1,"i":"x","w":"y","v":{"a":"","b":"z"}}]`)}).Decode()
	if err != nil || len(rows) != 1 {
		t.Fatalf("Decode = %+v, %v", rows, err)
	}
	values, err := rows[0].values([]string{"b", "a", "c"})
	if diff := cmp.Diff([]string{"z", "", ""}, values); diff != "" || err != nil {
		t.Errorf("values: %v\n%s", err, diff)
	}
}

// What is escaped may be six times as long as it was.
func TestVariablesAreBoundedAsTheyAreStored(t *testing.T) {
	for _, c := range []struct {
		value string
		fit   bool
	}{
		{strings.Repeat("x", maxVariables-len(`{"n":""}`)), true},
		{strings.Repeat("x", maxVariables-len(`{"n":""}`)+1), false},
		{strings.Repeat("\x00", maxVariables/6), false},
		{strings.Repeat("x", 25<<20), false},
	} {
		before := []byte("before")
		out, fit := appendVariables(before, []string{"none", "n"}, []string{"", c.value})
		if fit != c.fit || fit && len(out) != len(before)+maxVariables || !fit && string(out) != "before" {
			t.Errorf("%d bytes: %d are written, fit %t, want %t", len(c.value), len(out), fit, c.fit)
		}
		if cap(out) > 8*maxVariables {
			t.Errorf("%d bytes: %d are held", len(c.value), cap(out))
		}
	}
}
