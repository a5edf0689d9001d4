package gateway

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// parted is what a splitter makes of a body that arrives in pieces of a size.
func parted(t interface{ Fatal(args ...any) }, body []byte, piece int) (head, rows []byte, s *splitter) {
	var list bytes.Buffer
	s = &splitter{rows: &list, head: func(p []byte) error {
		head = append(head, p...)
		return nil
	}}
	for len(body) > 0 {
		n := min(piece, len(body))
		if _, err := s.Write(body[:n]); err != nil {
			t.Fatal(err)
		}
		body = body[n:]
	}
	return head, list.Bytes(), s
}

func TestRowsArePartedFromWhatStandsBesideThem(t *testing.T) {
	for _, c := range []struct{ body, head, rows string }{
		{`{"recipients":[{"to":"1"}],"name":"a"}`, `{"recipients":[],"name":"a"}`, `[{"to":"1"}]`},
		{`{"a":{"recipients":[1]}, "recipients" : [ [2] , "]" ] }`, `{"a":{"recipients":[1]}, "recipients" : [] }`, `[ [2] , "]" ]`},
		{`{"\u0072ecipients":["\\\"]"]}`, `{"\u0072ecipients":[]}`, `["\\\"]"]`},
		{`{"name":"recipients","recipients":{"a":[1]}}`, `{"name":"recipients","recipients":{"a":[1]}}`, ``},
		{`{"recipients":5,"a":[1]}`, `{"recipients":5,"a":[1]}`, ``},
		{`{"recipients":"x","a":[1]}`, `{"recipients":"x","a":[1]}`, ``},
		{`{"recipients":[1],"recipients":[2]}`, `{"recipients":[],"recipients":[2]}`, `[1]`},
		{`[{"recipients":[1]}]`, `[{"recipients":[1]}]`, ``},
		{`{"recipients":[{"to":"1"}`, `{"recipients":[]`, `[{"to":"1"}`},
		{`{"recipients":[]]}`, `{"recipients":[]]}`, `[]`},
		{``, ``, ``},
	} {
		for _, piece := range []int{1, 2, 7, 1 << 10} {
			head, rows, _ := parted(t, []byte(c.body), piece)
			if string(head) != c.head || string(rows) != c.rows {
				t.Errorf("%s in pieces of %d: head %s, rows %s", c.body, piece, head, rows)
			}
		}
	}
}

// What is said about a place in the head must be right for the body that was
// sent.
func TestPlacesInTheHeadArePlacesInTheBody(t *testing.T) {
	body := `{"a":1,"recipients":[{"to":"1"},{"to":"2"}],"b":2}`
	head, _, s := parted(t, []byte(body), 5)
	for _, mark := range []string{`"a"`, `"b"`} {
		if got, want := s.inBody(int64(strings.Index(string(head), mark))), strings.Index(body, mark); got != int64(want) {
			t.Errorf("%s stands at %d, not %d", mark, got, want)
		}
	}
	if got := s.inBody(int64(len(head))); got != int64(len(body)) {
		t.Errorf("the end is %d, not %d", got, len(body))
	}
}

// The parts are JSON exactly when the body is, however it arrives, and nothing
// gets lost between them.
func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{
		`{"recipients":[{"to":"1"}],"name":"a"}`, `{"recipi\u0065nts":[[],{}],"a":"\"["}`, `{"recipients":[}]`, `{"recipients":[1]]}`,
		`["recipients",[1]]`, `{"recipients":[1],"recipients":[]}`, `{"recipients":["\`, `{"a":{"recipients":[1]},"recipients":null}`,
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, body []byte, piece int) {
		head, rows, s := parted(t, body, max(piece, 1))
		whole, list, _ := parted(t, body, len(body)+1)
		if !bytes.Equal(head, whole) || !bytes.Equal(rows, list) {
			t.Fatalf("%q depends on how it arrives", body)
		}
		if !s.found {
			if !bytes.Equal(head, body) || len(rows) > 0 {
				t.Fatalf("%q became %q without a list", body, head)
			}
			return
		}
		joined := string(head[:s.from]) + string(rows) + string(head[s.from+2:])
		if joined != string(body) {
			t.Fatalf("%q was parted into %q and %q", body, head, rows)
		}
		parts := jsontext.Value(head).IsValid() && jsontext.Value(rows).IsValid()
		if parts != jsontext.Value(body).IsValid() && len(rows) < 1000 { // the depth of nesting is counted in each
			t.Fatalf("%q is JSON: %v, its parts: %v", body, !parts, parts)
		}
	})
}

func TestAnyBodyArrivesInAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := []string{`"name":"x"`, `"recipients":[{"to":"+55","variables":{"a":"]\"}"}}, {"to":"1"}]`, `"message":{"text":"[{"}`, `"a":[[1],{"recipients":[2]}]`}
		order := rapid.Permutation(members).Draw(t, "order")
		body := []byte("{" + strings.Join(order, rapid.SampledFrom([]string{",", " ,\n"}).Draw(t, "comma")) + "}")
		head, rows, _ := parted(t, body, rapid.IntRange(1, len(body)).Draw(t, "piece"))
		if string(rows) != `[{"to":"+55","variables":{"a":"]\"}"}}, {"to":"1"}]` || !jsontext.Value(head).IsValid() {
			t.Fatalf("%s: head %s, rows %s", body, head, rows)
		}
	})
}
