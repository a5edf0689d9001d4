package bulk

import (
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
			want[i] = StoredRow{
				Number: int64(i + 7), Input: rapid.String().Draw(rt, "input"), WAID: rapid.String().Draw(rt, "wa id"),
				Reason: rapid.String().Draw(rt, "reason"), Why: rapid.String().Draw(rt, "why"),
				Variables: appendVariables(nil, names, wantValues[i]),
			}
			if err := file.add(&want[i]); err != nil {
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
