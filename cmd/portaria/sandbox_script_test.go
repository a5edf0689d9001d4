package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func scriptFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// YAML has surprises (a phone number is a sum, a date a time): what stands in the
// file must be what the API reads.
func TestAScriptInYAMLIsTheJSONOfTheAPI(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{
			"a script", "name: order\nsteps:\n  - send: {to: +15005550006, text: Hi}\n  - expect:\n      event: message.read\n      within: 5s\n  - drop\n  - advance: 60\n",
			`{"name":"order","steps":[{"send":{"to":"+15005550006","text":"Hi"}},{"expect":{"event":"message.read","within":"5s"}},"drop",{"advance":60}]}`,
		},
		{"a number with a plus is text", "a: +15005550006", `{"a":"+15005550006"}`},
		{"a number is a number", "a: [15005550006, -1.5, 2e3, 0]", `{"a":[15005550006,-1.5,2e3,0]}`},
		{"what only YAML calls a number is text", "a: [0x1F, 1_000, .5, 007, .inf, 0o17]", `{"a":["0x1F","1_000",".5","007",".inf","0o17"]}`},
		{"nothing is lost of a large one", "a: 123456789012345678901234567890", `{"a":123456789012345678901234567890}`},
		{"dates are text", "a: 2026-01-31\nb: 2026-01-31T12:00:00Z", `{"a":"2026-01-31","b":"2026-01-31T12:00:00Z"}`},
		{"times of day are text", "a: 21:00", `{"a":"21:00"}`},
		{"only JSON's words are words", "a: [true, false, null, ~, yes, no, on, True]", `{"a":[true,false,null,null,"yes","no","on","True"]}`},
		{"quotes make text", `a: ["1", 'true', "null", !!str 5]`, `{"a":["1","true","null","5"]}`},
		{"a block keeps its lines", "a: |\n  Olá,\n  João 👋\n", `{"a":"Olá,\nJoão 👋\n"}`},
		{"nothing is null", "a:\nb: ''", `{"a":null,"b":""}`},
		{"anchors", "a: &x {b: 1}\nc: [*x, *x]", `{"a":{"b":1},"c":[{"b":1},{"b":1}]}`},
		{"numbers may be names", "a: {1: x}", `{"a":{"1":"x"}}`},
		{"a mark of order", "\ufeffa: b", `{"a":"b"}`},
		{"JSON is YAML", "{\"a\":\t\"\\ud83d\\ude00\\/\"}", `{"a":"😀/"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := readScript(scriptFile(t, "a.yaml", c.yaml), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(t, s.body); got != canonical(t, c.want) {
				t.Errorf("the script is\n%s, want\n%s", got, c.want)
			}
		})
	}
}

func compact(t *testing.T, body map[string]jsontext.Value) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return canonical(t, string(text))
}

// canonical sorts the members; numbers stay as they are written.
func canonical(t *testing.T, text string) string {
	t.Helper()
	v := jsontext.Value(text)
	if err := v.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return string(v)
}

// Who wrote the file looks for the line, and so does the editor that reads what
// CI prints.
func TestABrokenScriptSaysWhere(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"a quote that does not end", "a.yaml", "steps:\n  - send: {to: \"x}\n", "a.yaml:2:16: found unexpected end of stream"},
		{"a tab", "a.yaml", "steps:\n\t- drop\n", "a.yaml:2:1: found character that cannot start any token"},
		{"two colons", "a.yaml", "name: x\na: b: c\n", "a.yaml:2:5: mapping values are not allowed in this context"},
		{"a name twice", "a.yaml", "steps: []\nname: x\n  \nname: y\n", "a.yaml:4:1: the name name is there twice"},
		{"a merge", "a.yaml", "a: &a {b: 1}\nsteps:\n  - <<: *a\n", "a.yaml:3:5: merge keys (<<) have no meaning in JSON: write the members"},
		{"a list as a name", "a.yaml", "[a, b]: c\n", "a.yaml:1:1: a name must be text"},
		{"a tag", "a.yaml", "a: !!binary aGk=\n", "a.yaml:1:4: tags as !!binary have no meaning here"},
		{"an anchor that is nowhere", "a.yaml", "a: 1\nb: *x\n", "a.yaml:2:4: unknown anchor 'x' referenced"},
		{"two documents", "a.yaml", "steps: []\n---\nsteps: []\n", "a.yaml:2:1: a second document: a file is one script"},
		{"an alias in itself", "a.yaml", "a: &x [*x]\n", "a.yaml:1:4: the script has too many values, or they lie too deep"},
		{"a list", "a.yaml", "- drop\n", "a.yaml:1:1: a script is an object with steps"},
		{"a word", "a.yaml", "drop\n", "a.yaml:1:1: a script is an object with steps"},
		{"nothing", "a.yaml", "", "a.yaml: the file is empty"},
		{"a comment", "a.yaml", "# soon\n", "a.yaml: the file is empty"},
		{"not in UTF-8", "a.yaml", "a: \xff\n", "a.yaml:1:4: this is not UTF-8"},
		{"JSON with a comma", "a.json", "{\n  \"steps\": [\"drop\",]\n}", "a.json:2:19: invalid character ',' at start of value"},
		{"JSON without an end", "a.json", "{\"steps\":\n [", "a.json:2:3: unexpected EOF"},
		{"a name twice in JSON", "a.json", "{\"a\":1,\n\"a\":2}", "a.json:2:1: duplicate object member name"},
		{"JSON and more", "a.json", "{\"steps\":[]}\n {}", "a.json:2:2: a second value: a file is one script"},
		{"empty JSON", "a.json", " ", "a.json:1:2: the file is empty"},
		{"YAML in JSON", "a.json", "steps: []", "a.json:1:1: invalid character 's' at start of value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := scriptFile(t, c.file, c.text)
			_, err := readScript(path, nil)
			if err == nil {
				t.Fatal("it is read")
			}
			f := describe(err)
			if got := strings.ReplaceAll(f.Message, filepath.Dir(path)+"/", ""); got != c.want || f.Code != "SCRIPT_INVALID" || f.exit != exitUsage {
				t.Errorf("said %q (%s) with exit %d, want %q", got, f.Code, f.exit, c.want)
			}
		})
	}
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	_, err := readScript("nowhere.yaml", nil)
	if got := describe(err); got.Message != "nowhere.yaml: no such file or directory" || got.exit != exitUsage {
		t.Errorf("said %q with exit %d", got.Message, got.exit)
	}
}

// A page of aliases stands for more than any machine holds.
func TestAliasesCannotGrowWithoutEnd(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for n := 1; n < 10; n++ {
		before := "*a" + string(rune('0'+n-1))
		bomb.WriteString("a" + string(rune('0'+n)) + ": &a" + string(rune('0'+n)) + " [" + strings.TrimSuffix(strings.Repeat(before+", ", 10), ", ") + "]\n")
	}
	_, err := readScript(standardInput, strings.NewReader(bomb.String()))
	if err == nil || !strings.Contains(describe(err).Message, "too many values") {
		t.Errorf("said %v", err)
	}
}

// The server names steps[1].send.to; people look for a line.
func TestFieldsAreFoundInTheFile(t *testing.T) {
	const asYAML = "name: order\nsteps:\n  - drop\n  - send:\n      to: Olá\n      metadata: {ordem: é, um: 2}\n"
	const asJSON = "{\n  \"name\": \"order\",\n  \"steps\": [\n    \"drop\",\n    {\"send\": {\"to\": \"Olá\", \"é\": 1, \"text\":\n\"x\"}}\n  ]\n}"
	for _, c := range []struct {
		text, field string
		want        place
	}{
		{asYAML, "name", place{1, 7}},
		{asYAML, "steps[0]", place{3, 5}},
		{asYAML, "steps[1].send.to", place{5, 11}},
		{asYAML, "steps[1].send.metadata.um", place{6, 32}},
		{asYAML, "steps[1].send.text", place{5, 7}}, // missing: where it belongs
		{asYAML, "steps[7]", place{3, 3}},
		{asYAML, "unknown", place{1, 1}},
		{asJSON, "name", place{2, 11}},
		{asJSON, "steps[0]", place{4, 5}},
		{asJSON, "steps[1].send.to", place{5, 21}},
		{asJSON, "steps[1].send.text", place{6, 1}},
		{asJSON, "steps[1].send", place{5, 14}},
		{asJSON, "", place{1, 1}},
	} {
		s, err := readScript(standardInput, strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.places.find(c.field); got != c.want {
			t.Errorf("%q is found at %v, want %v", c.field, got, c.want)
		}
	}
}

// Whatever JSON says, it says the same when it is read as YAML.
func TestJSONReadAsYAMLStaysTheSame(t *testing.T) {
	text := rapid.StringMatching(`[ -~áé☎😀]{0,12}`)
	values := rapid.Custom(func(t *rapid.T) any {
		return rapid.OneOf(
			rapid.Map(text, func(s string) any { return s }),
			rapid.Map(rapid.Int64(), func(n int64) any { return n }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.MapOf(text, text), func(m map[string]string) any { return m }),
			rapid.Map(rapid.SliceOfN(text, 0, 4), func(s []string) any { return s }),
		).Draw(t, "value")
	})
	rapid.Check(t, func(t *rapid.T) {
		written, err := json.Marshal(rapid.MapOf(text, values).Draw(t, "object"), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := readYAML(written)
		if err != nil {
			t.Fatalf("%v in %s", err, written)
		}
		var got, want any
		if err := json.Unmarshal(read, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s is read as\n%s", written, read)
		}
	})
}

// FuzzReadScript reads what anybody may have in a file: it is JSON then, or a
// sentence with its place.
func FuzzReadScript(f *testing.F) {
	for _, seed := range []string{"steps:\n  - drop\n", "{\"steps\":[]}", "a: &x [*x]", "? a\n: b", "--- !!map\na: b", "a: |\n x", "\xef\xbb\xbfa: 1", "%YAML 1.2\n---\na: 1\n...\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := readScript(standardInput, strings.NewReader(string(text)))
		if err != nil {
			if got := describe(err); got.Code != "SCRIPT_INVALID" || !strings.HasPrefix(got.Message, "standard input") {
				t.Fatalf("said %s: %s", got.Code, got.Message)
			}
			return
		}
		if _, err := json.Marshal(s.body); err != nil {
			t.Fatalf("what is read cannot be sent: %v", err)
		}
	})
}
