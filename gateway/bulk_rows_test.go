package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/outbox/bulk"
)

// uploaded puts rows on the disk.
func uploaded(t testing.TB, format rowFormat, text string) *rowsUpload {
	t.Helper()
	file, err := newSpool("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := io.WriteString(file, text); err != nil {
		t.Fatal(err)
	}
	return &rowsUpload{file: file, format: format}
}

// told reads all rows and says each in a line.
func told(rows bulk.Rows) (lines []string, err error) {
	err = rows.Each(context.Background(), func(r *bulk.Row) error {
		line := fmt.Sprintf("%d %d %q", r.Number, r.Line, r.To)
		for i, name := range r.Names {
			line += fmt.Sprintf(" %s=%q", name, r.Values[i])
		}
		if f := r.Fault; f != nil {
			line += fmt.Sprintf(" ! %d %d %s %s", f.Row, f.Line, f.Column, f.Code)
		}
		lines = append(lines, line)
		return nil
	})
	return lines, err
}

// codeOf is the code of a fault, with its first field.
func codeOf(err error) string {
	f := fault.As(err)
	if f == nil {
		return fmt.Sprint(err)
	}
	code := f.Code()
	if fields, _ := f.Details()["fields"].([]fault.Field); len(fields) > 0 {
		code += " " + fields[0].Field + ":" + fields[0].Rule
	}
	for _, name := range []string{"row", "line", "offset"} {
		if at, ok := f.Details()[name]; ok {
			code += fmt.Sprintf(" %s=%v", name, at)
		}
	}
	return code
}

func TestJSONRowsAreReadOneByOne(t *testing.T) {
	for name, c := range map[string]struct {
		list string
		want []string
		code string
	}{
		"none": {`[ ]`, nil, ""},
		"plain": {
			`[{"to":"+55 11","variables":{"name":"Ana","n":1.50,"ok":true,"no":null,"empty":""}}, {"to":"2"}]`,
			[]string{`1 0 "+55 11" name="Ana" n="1.50" ok="true" empty=""`, `2 0 "2"`},
			"",
		},
		"escapes": {
			`[{"variables":{"n\u0061me":"a\"\\\n\u00e9\ud83d\ude00","a\\b":"1"},"t\u006f":"1\t"},{"to":"2","variables":{"name":"x","a\b":"2"}}]`,
			[]string{`1 0 "1\t" name="a\"\\\né😀" a\b="1"`, `2 0 "2" name="x" a` + "\b" + `="2"`},
			"",
		},
		"strange rows": {
			`[5,"x",[{}],{},{"to":5},{"to":"1","variables":[]},{"to":"1","variables":{"a":{"b":"}"},"c":[1,"]"]}},{"to":"1","age":{"to":2}},{"to":"1","variables":null},null]`,
			[]string{
				`1 0 "" ! 1 0  INVALID_ROW`, `2 0 "" ! 2 0  INVALID_ROW`, `3 0 "" ! 3 0  INVALID_ROW`, `4 0 "" ! 4 0 to INVALID_RECIPIENT`,
				`5 0 "" ! 5 0 to INVALID_ROW`, `6 0 "1" ! 6 0 variables INVALID_ROW`, `7 0 "1" ! 7 0 variables.a INVALID_ROW`,
				`8 0 "1" ! 8 0 age INVALID_ROW`, `9 0 "1"`, `10 0 "" ! 10 0  INVALID_ROW`,
			},
			"",
		},
		"broken row":       {`[{"to":"1"},{"to":}]`, []string{`1 0 "1"`}, "INVALID_JSON row=2 offset=118"},
		"broken between":   {`[{"to":"1"} {"to":"2"}]`, []string{`1 0 "1"`}, "INVALID_JSON row=2 offset=112"},
		"ends early":       {`[{"to":"1"},`, []string{`1 0 "1"`}, "INVALID_JSON row=2 offset=112"},
		"a name twice":     {`[{"to":"1","to":"2"}]`, nil, "INVALID_JSON row=1 offset=111"},
		"no UTF-8":         {"[{\"to\":\"\xff\"}]", nil, "INVALID_JSON row=1 offset=108"},
		"a row of a 2 MiB": {`[{"to":"1"},{"to":"` + strings.Repeat("1", 2<<20) + `"}]`, []string{`1 0 "1"`}, "VALIDATION_FAILED recipients[1]:max_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			upload := uploaded(t, rowsJSON, c.list)
			upload.split.from, upload.split.taken = 100, 100+int64(len(c.list))
			got, err := told(jsonRows{upload})
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if code := codeOf(err); err != nil && code != c.code || err == nil && c.code != "" {
				t.Errorf("ended with %s, want %s", code, c.code)
			}
		})
	}
}

// A row of JSON has as many variables as a file may have columns.
func TestARowHasOnlySoManyVariables(t *testing.T) {
	for n, want := range map[int]bool{maxVariables: true, maxVariables + 1: false} {
		var variables strings.Builder
		for i := range n {
			fmt.Fprintf(&variables, `,"v%d":"x"`, i)
		}
		err := jsonRows{uploaded(t, rowsJSON, `[{"to":"1","variables":{`+variables.String()[1:]+`}}]`)}.Each(t.Context(), func(r *bulk.Row) error {
			if fits := r.Fault == nil && len(r.Names) == n; fits != want {
				t.Errorf("%d variables: fault %v", n, r.Fault)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestLinesOfJSONAreReadOneByOne(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []string
		code string
	}{
		"nothing":       {"", nil, ""},
		"plain":         {"\xef\xbb\xbf{\"to\":\"1\"}\r\n\n  {\"to\":\"2\",\"variables\":{\"a\":\"b\"}}  \n[]", []string{`1 1 "1"`, `2 3 "2" a="b"`, `3 4 "" ! 3 4  INVALID_ROW`}, ""},
		"broken":        {"{\"to\":\"1\"}\n\n{\"to\":\n", []string{`1 1 "1"`}, "INVALID_JSON row=2 line=3"},
		"a CSV":         {"to,name\n1,Ana\n", nil, "INVALID_JSON row=1 line=1"},
		"two on a line": {`{"to":"1"}{"to":"2"}`, nil, "INVALID_JSON row=1 line=1"},
		"2 MiB":         {"{\"to\":\"1\"}\n" + strings.Repeat("x", 2<<20), []string{`1 1 "1"`}, "VALIDATION_FAILED file:max_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := told(lineRows{uploaded(t, rowsNDJSON, c.file)})
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if code := codeOf(err); err != nil && code != c.code || err == nil && c.code != "" {
				t.Errorf("ended with %s, want %s", code, c.code)
			}
		})
	}
}

func TestColumnsBecomeVariables(t *testing.T) {
	const file = "\xef\xbb\xbfphone;Nome;to;city\r\n+55 11;Ana;9;\"São \"\"Paulo\"\"\"\r\n\r\n2;;8;x\r\n"
	for name, c := range map[string]struct {
		file    string
		mapping columnMap
		want    []string
		code    string
	}{
		"as they are": {file, nil, []string{`1 2 "9" phone="+55 11" Nome="Ana" city="São \"Paulo\""`, `2 4 "8" phone="2" Nome="" city="x"`}, ""},
		"mapped": {
			file,
			columnMap{"to": "phone", "name": " Nome ", "city": "to"},
			[]string{`1 2 "+55 11" city="9" name="Ana"`, `2 4 "2" city="8" name=""`},
			"",
		},
		"mapped without to":    {file, columnMap{"name": "Nome"}, []string{`1 2 "9" name="Ana" phone="+55 11" city="São \"Paulo\""`, `2 4 "8" name="" phone="2" city="x"`}, ""},
		"to a strange column":  {file, columnMap{"to": "fone"}, nil, "VALIDATION_FAILED mapping.to:not_found"},
		"no column to":         {"fone,name\n1,a\n", nil, nil, "VALIDATION_FAILED file:required"},
		"nothing":              {"", nil, nil, "VALIDATION_FAILED file:empty_file"},
		"Latin-1":              {"to,name\n1,Jo\xe3o\n", nil, nil, "VALIDATION_FAILED file:not_utf8 row=1 line=2"},
		"twice the same":       {"to,a,a\n", nil, nil, "VALIDATION_FAILED file:duplicate_header row=0 line=1"},
		"a quote that is open": {"to\n1\n\"2\n", nil, []string{`1 2 "1"`}, "VALIDATION_FAILED file:open_quote row=2 line=3"},
		"200,000 columns":      {"to" + strings.Repeat(",a", 200_000), nil, nil, "VALIDATION_FAILED file:too_many_columns row=0 line=1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := told(sheetRows{file: uploaded(t, rowsCSV, c.file).file, mapping: c.mapping})
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if code := codeOf(err); err != nil && code != c.code || err == nil && c.code != "" {
				t.Errorf("ended with %s, want %s", code, c.code)
			}
		})
	}
}

// What is wrong with a variable is told under the header that its owner knows.
func TestARowOfAFileKnowsItsColumns(t *testing.T) {
	rows := sheetRows{file: uploaded(t, rowsCSV, "fone,Nome\n1,a\n").file, mapping: columnMap{"to": "fone", "name": "Nome"}}
	err := rows.Each(t.Context(), func(r *bulk.Row) error {
		if to, name, none := r.Column("to"), r.Column("name"), r.Column("city"); to != "fone" || name != "Nome" || none != "" {
			t.Errorf("the columns are %q, %q and %q", to, name, none)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	rows.mapping = columnMap{"to": "phone"}
	_, err = told(rows)
	if diff := cmp.Diff(fault.As(err).Details()["columns"], []string{"fone", "Nome"}); diff != "" {
		t.Errorf("the columns that are there (-got +want):\n%s", diff)
	}
}

// Reading ends with the caller's error, and soon after nobody waits any more.
func TestReadingRowsCanBeEnded(t *testing.T) {
	enough := errors.New("enough")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	const n = 3 * yieldRows
	for name, rows := range map[string]bulk.Rows{
		"JSON":   jsonRows{uploaded(t, rowsJSON, "["+strings.Repeat(`{"to":"1"},`, n)+"{}]")},
		"NDJSON": lineRows{uploaded(t, rowsNDJSON, strings.Repeat("{\"to\":\"1\"}\n", n))},
		"CSV":    sheetRows{file: uploaded(t, rowsCSV, "to\n"+strings.Repeat("1\n", n)).file},
	} {
		seen := 0
		err := rows.Each(t.Context(), func(*bulk.Row) error { seen++; return enough })
		if !errors.Is(err, enough) || seen != 1 {
			t.Errorf("%s: %v after %d rows", name, err, seen)
		}
		seen = 0
		err = rows.Each(gone, func(*bulk.Row) error { seen++; return nil })
		if !errors.Is(err, context.Canceled) || seen > yieldRows {
			t.Errorf("%s: %v after %d rows", name, err, seen)
		}
	}
}

// Rows are what a library for JSON reads, and nothing that is sent ends the
// process.
func FuzzJSONRows(f *testing.F) {
	for _, seed := range []string{
		`[{"to":"+55 11","variables":{"name":"Ana","n":1e3,"ok":true,"no":null}}]`, `[{"to":"\u0031","variables":{"a\\b":"\n"}},{"to":1}]`,
		`[{},[],"x",5,null,true]`, `[{"variables":{"a":{"b":["}"]}},"to":"1","x":{"to":"2"}}]`, `[{"to":"1"}`, `[`, `[{"to":"1"},]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		upload := uploaded(t, rowsJSON, string(list))
		var n int64
		err := jsonRows{upload}.Each(t.Context(), func(r *bulk.Row) error {
			if n++; r.Number != n {
				t.Fatalf("row %d has number %d", n, r.Number)
			}
			return nil
		})
		var want []jsontext.Value
		if valid := json.Unmarshal(list, &want) == nil; valid && err != nil && len(list) < maxRowBytes {
			t.Fatalf("%q: %v", list, err)
		}
		if err != nil || want == nil {
			return
		}
		if int(n) != len(want) {
			t.Fatalf("%q: %d rows of %d", list, n, len(want))
		}
		sameRows(t, upload, want)
	})
}

// sameRows compares rows with what the library makes of them.
func sameRows(t *testing.T, upload *rowsUpload, want []jsontext.Value) {
	t.Helper()
	err := jsonRows{upload}.Each(t.Context(), func(r *bulk.Row) error {
		var typed struct {
			To        *string        `json:"to"`
			Variables map[string]any `json:"variables"`
		}
		raw := want[r.Number-1]
		fits := json.Unmarshal(raw, &typed, strict) == nil && typed.To != nil
		for _, v := range typed.Variables {
			switch v.(type) {
			case map[string]any, []any:
				fits = false
			}
		}
		if fits != (r.Fault == nil) && len(typed.Variables) <= maxVariables {
			t.Fatalf("%s: fault %v", raw, r.Fault)
		}
		if r.Fault != nil {
			return nil
		}
		if r.To != *typed.To {
			t.Fatalf("%s is to %q", raw, r.To)
		}
		for i, name := range r.Names {
			if text, ok := typed.Variables[name].(string); ok && text != r.Values[i] || typed.Variables[name] == nil {
				t.Fatalf("%s: %q is %q", raw, name, r.Values[i])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
