package sheet

import "io"

// separators are those that are known; of two that are as frequent, the first.
const separators = ",;\t|"

// separatorOf returns the separator that a file's first line has most of,
// outside of quotes; a comma when it has none. It reads no more than a row may
// have.
func separatorOf(file io.Reader) (byte, error) {
	s := newSource(io.LimitReader(file, MaxRowBytes))
	var count [256]int
	quoted, begun := false, false
	for {
		b, ok, err := s.peek()
		if err != nil {
			return 0, err
		}
		if !ok || (b == '\n' && begun && !quoted) {
			return mostOf(&count), nil
		}
		s.skip()
		switch {
		case b == '"':
			quoted = !quoted
		case !quoted:
			count[b]++
		}
		begun = begun || (b != '\n' && b != '\r' && b != ' ')
	}
}

func mostOf(count *[256]int) byte {
	most := separators[0]
	for i := range len(separators) {
		if count[separators[i]] > count[most] {
			most = separators[i]
		}
	}
	return most
}

func separatorName(b byte) string {
	if b == '\t' {
		return "tab"
	}
	return string(rune(b))
}
