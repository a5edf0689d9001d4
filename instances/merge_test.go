package instances

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/internal/fault"
)

// The examples of RFC 7396, appendix A, that are between objects, and what
// callers keep in metadata.
func TestMergeFollowsTheStandard(t *testing.T) {
	for _, c := range []struct{ old, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":"b"}`, `{"a":{"c":1}}`, `{"a":{"c":1}}`},
		{``, `{"a":1}`, `{"a":1}`},
		{`{"order":12345678901234567890,"big":1e400}`, `{"a":0.10}`, `{"a":0.10,"big":1e400,"order":12345678901234567890}`},
	} {
		got, err := merge("metadata", []byte(c.old), []byte(c.patch), maxMetadataBytes)
		if err != nil || string(got) != c.want {
			t.Errorf("merge(%s, %s) = %s, %v; want %s", c.old, c.patch, got, err, c.want)
		}
	}
}

func TestNilPatchesNothing(t *testing.T) {
	old := []byte(`{"b": 1}`)
	if got, err := merge("metadata", old, nil, maxMetadataBytes); err != nil || string(got) != string(old) {
		t.Errorf("merge = %s, %v", got, err)
	}
}

// Members that a patch does not name are kept, those that it names are as it
// says, and to send a patch twice is to send it once.
func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, patch := objects(3).Draw(t, "old"), objects(3).Draw(t, "patch")
		once, err := merge("metadata", encode(t, old), encode(t, patch), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := merge("metadata", once, encode(t, patch), 1<<20)
		if err != nil || string(twice) != string(once) {
			t.Fatalf("twice: %s, %v; once: %s", twice, err, once)
		}
		var got map[string]any
		if err := json.Unmarshal(once, &got); err != nil {
			t.Fatal(err)
		}
		for name, value := range old {
			if _, patched := patch[name]; !patched && !cmp.Equal(value, got[name]) {
				t.Fatalf("%q was %v and is %v", name, value, got[name])
			}
		}
		for name, value := range patch {
			is, there := got[name]
			switch value.(type) {
			case nil:
				if there {
					t.Fatalf("%q was taken away and is %v", name, is)
				}
			case map[string]any:
				if _, object := is.(map[string]any); !object {
					t.Fatalf("%q is %v, want an object", name, is)
				}
			default:
				if !cmp.Equal(value, is) {
					t.Fatalf("%q is %v, want %v", name, is, value)
				}
			}
		}
	})
}

func objects(depth int) *rapid.Generator[map[string]any] {
	values := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Float64Range(-1e6, 1e6).AsAny(), rapid.String().AsAny(),
		rapid.Just[any]([]any{nil, "x"}),
	}
	if depth > 0 {
		values = append(values, rapid.Deferred(func() *rapid.Generator[any] { return objects(depth - 1).AsAny() }))
	}
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.OneOf(values...), 0, 4)
}

func encode(t *rapid.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Strangers send patches: whatever comes, it is refused as not valid or gives
// an object within the limit.
func FuzzMerge(f *testing.F) {
	for _, c := range [][2]string{{`{"a":1}`, `{"a":null}`}, {`{}`, `{"a":{"b":[]}}`}, {`{}`, `null`}, {``, `{"a":1,"a":2}`}, {`{}`, "{\"\xff\":1}"}} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, old, patch []byte) {
		var fields fault.Fields
		checkObject(&fields, "metadata", old, maxMetadataBytes)
		if fields.Err() != nil || len(patch) == 0 {
			return // nothing like it is stored, or nothing is asked
		}
		got, err := merge("metadata", old, patch, maxMetadataBytes)
		if err != nil {
			if !errors.Is(err, fault.ErrValidation) {
				t.Fatalf("merge(%q, %q): %v", old, patch, err)
			}
			return
		}
		if v := jsontext.Value(got); v.Kind() != '{' || !v.IsValid() || len(got) > maxMetadataBytes {
			t.Fatalf("merge(%q, %q) = %q", old, patch, got)
		}
	})
}
