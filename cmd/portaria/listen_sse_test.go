package main

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readFrames is a stream's events as "id name data", and what is known at its end.
func readFrames(in io.Reader) (frames []string, r *frameReader, err error) {
	r = newFrameReader(in)
	for {
		f, err := r.next()
		if err != nil {
			return frames, r, err
		}
		frames = append(frames, f.id+" "+f.name+" "+string(f.data))
	}
}

// The cases are those of the HTML standard's section on event streams, and what
// real servers and proxies make of it.
func TestEventStreamsAreReadAsTheStandardSays(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []string
		lastID       string
		retry        time.Duration
	}{
		{name: "nothing"},
		{name: "one", stream: "id: 7\nevent: a.b\ndata: {}\n\n", want: []string{"7 a.b {}"}, lastID: "7"},
		{name: "lines of data", stream: "data: YHOO\ndata: +2\ndata: 10\n\n", want: []string{" message YHOO\n+2\n10"}},
		{
			name: "comments and ids", stream: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			want: []string{"1 message first event", " message second event", " message  third event"},
		},
		{name: "empty data", stream: "data\n\ndata\ndata\n\ndata:", want: []string{" message ", " message \n"}},
		{name: "space after the colon", stream: "data:test\n\ndata: test\n\n", want: []string{" message test", " message test"}},
		{name: "carriage returns", stream: "id: 1\rdata: a\r\rdata: b\r\n\r\ndata: c\n\r\n", want: []string{"1 message a", "1 message b", "1 message c"}, lastID: "1"},
		{name: "byte order mark", stream: "\uFEFFdata: a\n\ndata: \uFEFFb\n\n", want: []string{" message a", " message \uFEFFb"}},
		{name: "no end", stream: "data: a\n\nid: 2\ndata: lost\n", want: []string{" message a"}},
		{name: "an id without data", stream: "retry: 2000\nid: evt_1\n\n", lastID: "evt_1", retry: 2 * time.Second},
		{name: "a name without data", stream: "event: x\n\ndata: a\n\n", want: []string{" message a"}},
		{name: "an id with a zero byte", stream: "id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n", want: []string{"1 message a", "1 message b"}, lastID: "1"},
		{name: "bad retries", stream: "retry: 10\nretry: -1\nretry: 1s\nretry:\nretry: 1_0\nretry: 99999999999999999999\n\n", retry: 10 * time.Millisecond},
		{name: "unknown fields", stream: "what: ever\ndata: a\nDATA: b\n data: c\n\n", want: []string{" message a"}},
		{name: "beats between", stream: "data: a\n: still here\n\n: still here\n\ndata: b\n\n", want: []string{" message a", " message b"}},
	} {
		for how, in := range map[string]io.Reader{
			"whole":         strings.NewReader(c.stream),
			"byte by byte":  iotest.OneByteReader(strings.NewReader(c.stream)),
			"halves":        iotest.HalfReader(strings.NewReader(c.stream)),
			"with the data": iotest.DataErrReader(strings.NewReader(c.stream)),
		} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				got, r, err := readFrames(in)
				if !errors.Is(err, io.EOF) {
					t.Errorf("the end = %v; want EOF", err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if r.lastID != c.lastID || r.retry != c.retry {
					t.Errorf("last id, retry = %q, %s; want %q, %s", r.lastID, r.retry, c.lastID, c.retry)
				}
			})
		}
	}
}

// An event that ends in CR CR is complete: its reader must not wait for what may
// follow, which is the next event, an hour later.
func TestAnEventIsTakenAtItsLastByte(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r", "\r\n\r\n"} {
		ours, theirs := io.Pipe()
		t.Cleanup(func() { _ = ours.Close() })
		go func() { _, _ = theirs.Write([]byte("data: a" + end)) }() // and no more
		if f, err := newFrameReader(ours).next(); err != nil || string(f.data) != "a" {
			t.Errorf("next of %q = %q, %v", end, f.data, err)
		}
	}
}

// A stream that never ends its line must not fill the memory.
func TestAnEventOfAnySizeIsNotRead(t *testing.T) {
	for name, part := range map[string]string{"one line": "x", "many lines": "\ndata: " + strings.Repeat("x", 1000)} {
		t.Run(name, func(t *testing.T) {
			endless := io.MultiReader(strings.NewReader("data: "), &endlessReader{part: part})
			if _, _, err := readFrames(endless); !errors.Is(err, errLongFrame) {
				t.Errorf("error = %v; want errLongFrame", err)
			}
		})
	}
}

// endlessReader repeats a text.
type endlessReader struct {
	part string
	at   int
}

// Read implements io.Reader.
func (e *endlessReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		copied := copy(p[n:], e.part[e.at:])
		n, e.at = n+copied, (e.at+copied)%len(e.part)
	}
	return n, nil
}

// FuzzFrames reads whatever a server may send: the same events come out however
// it is cut into pieces, and they are those of a reader that has all before it.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"", "data: a\n\n", "id: 1\r\nevent: message.sent\r\ndata: {\r\ndata: }\r\n\r\n", "\uFEFF: c\rdata:x\r\rretry: 5\n\n", "\n\r\r\n", "id:\x00\ndata\n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		want, wantID := framesAtOnce(stream)
		whole, r, _ := readFrames(strings.NewReader(stream))
		if diff := cmp.Diff(want, whole); diff != "" || r.lastID != wantID {
			t.Errorf("events of %q, last id %q (-want +got):\n%s", stream, r.lastID, diff)
		}
		pieces, p, _ := readFrames(iotest.OneByteReader(strings.NewReader(stream)))
		if diff := cmp.Diff(whole, pieces); diff != "" || r.lastID != p.lastID || r.retry != p.retry {
			t.Errorf("byte by byte %q is read otherwise:\n%s", stream, diff)
		}
	})
}

// framesAtOnce is the standard's algorithm on a whole text.
func framesAtOnce(stream string) (frames []string, lastID string) {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(stream, "\uFEFF")), "\n")
	id, name, data := "", "", ""
	for _, line := range lines[:len(lines)-1] {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			lastID = id
			if data != "" {
				if name == "" {
					name = "message"
				}
				frames = append(frames, id+" "+name+" "+strings.TrimSuffix(data, "\n"))
			}
			name, data = "", ""
		case field == "data":
			data += value + "\n"
		case field == "event":
			name = value
		case field == "id" && !strings.Contains(value, "\x00"):
			id = value
		}
	}
	return frames, lastID
}

func BenchmarkFrames(b *testing.B) {
	var stream strings.Builder
	for n := range 1000 {
		stream.WriteString("id: " + strconv.Itoa(n) + "\nevent: message.sent\ndata: " + strings.Repeat("x", 700) + "\n\n")
	}
	b.SetBytes(int64(stream.Len()))
	for b.Loop() {
		if frames, _, _ := readFrames(strings.NewReader(stream.String())); len(frames) != 1000 {
			b.Fatalf("%d events; want 1000", len(frames))
		}
	}
}
