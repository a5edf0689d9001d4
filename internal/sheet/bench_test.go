package sheet_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"portaria/internal/sheet"
)

// BenchmarkRead reads the largest bulk that there is: 100,000 rows.
func BenchmarkRead(b *testing.B) {
	for name, row := range map[string]string{
		"plain":  "+5511%08d,Customer %d,São Paulo,R$ 10 off\n",
		"quoted": "\"+5511%08d\",\"Customer \"\"%d\"\"\",\"São Paulo, SP\",\"two\nlines\"\n",
	} {
		b.Run(name, func(b *testing.B) {
			var text strings.Builder
			text.WriteString("to,name,city,offer\n")
			for n := range 100_000 {
				fmt.Fprintf(&text, row, n, n)
			}
			file := strings.NewReader(text.String())
			b.SetBytes(file.Size())
			b.ReportAllocs()
			for b.Loop() {
				r, err := sheet.Open(file, file.Size())
				for err == nil {
					_, _, err = r.Read()
				}
				if err != io.EOF { //nolint:errorlint // it is promised unwrapped
					b.Fatal(err)
				}
			}
		})
	}
}
