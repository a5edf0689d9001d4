package gateway

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"portaria/outbox/bulk"
)

// BenchmarkJSONRows reads the largest bulk that there is: 100,000 rows.
func BenchmarkJSONRows(b *testing.B) {
	var list strings.Builder
	list.WriteByte('[')
	for i := range 100_000 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"to":"+55119%08d","variables":{"name":"Customer %d","order":"A-%07d"}}`, i, i, i)
	}
	list.WriteByte(']')
	upload := uploaded(b, rowsJSON, list.String())
	b.SetBytes(int64(list.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := (jsonRows{upload}).Each(b.Context(), func(*bulk.Row) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplitter(b *testing.B) {
	body := []byte(`{"message":{"text":"a"},"recipients":[` + strings.Repeat(`{"to":"+5511912345678","variables":{"name":"Customer 1","order":"A-1"}},`, 100_000) + `{}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		s := &splitter{rows: io.Discard, head: func([]byte) error { return nil }}
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), spoolPiece):] {
			if _, err := s.Write(rest[:min(len(rest), spoolPiece)]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
