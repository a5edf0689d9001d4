package sheet

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	toUTF8 = "save it as UTF-8: in Excel with File → Save As → “CSV UTF-8 (Comma delimited)”, in LibreOffice with “Character set: Unicode (UTF-8)”"

	sentenceUTF16    = "The file is UTF-16, which is not read; " + toUTF8 + "."
	sentenceLatin1   = "This is not UTF-8. It looks like Latin-1 (ISO 8859-1, Windows-1252), as older spreadsheets save; " + toUTF8 + ", or convert it with iconv -f WINDOWS-1252 -t UTF-8."
	sentenceNotUTF8  = "This is not UTF-8; " + toUTF8 + "."
	sentenceWorkbook = "The file is a workbook or an archive, not CSV: open it and save the sheet as “CSV UTF-8 (Comma delimited)”."
	sentenceEmpty    = "The file is empty: it needs a row of headers, with a column for the recipient, and a row for each recipient."
)

const utf8BOM = "\xef\xbb\xbf"

// headBytes is how much of a file is looked at to tell what it is.
const headBytes = 4 << 10

// contents tells by a file's first bytes what it is not, and returns where its
// text begins: behind a byte order mark.
func contents(r io.ReaderAt) (begin int64, err error) {
	head := make([]byte, headBytes)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return 0, &Error{Code: CodeNotCSV, Message: sentenceWorkbook}
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), alternates(head):
		return 0, &Error{Code: CodeUTF16, Message: sentenceUTF16}
	case bytes.HasPrefix(head, []byte(utf8BOM)):
		return int64(len(utf8BOM)), nil
	}
	return 0, nil
}

// alternates reports whether every other byte of a text's beginning is NUL, as
// it is in UTF-16 without a mark: the headers of most files are ASCII.
func alternates(head []byte) bool {
	const enough = 8
	if len(head) < enough {
		return false
	}
	var zeros [2]int
	for i, b := range head[:enough] {
		if b == 0 {
			zeros[i%2]++
		}
	}
	return zeros[0]+zeros[1] == enough/2 && (zeros[0] == 0 || zeros[1] == 0)
}

// wrongText names what is wrong with a cell's bytes; empty: nothing.
func wrongText(cell []byte) (code, message string) {
	switch {
	case bytes.IndexByte(cell, 0) >= 0:
		return CodeNUL, "A NUL byte, which no text has: the file is damaged, or it is not CSV."
	case utf8.Valid(cell):
		return "", ""
	case looksLatin1(cell):
		return CodeNotUTF8, sentenceLatin1
	default:
		return CodeNotUTF8, sentenceNotUTF8
	}
}

// looksLatin1 reports whether a text that is not UTF-8 can be Windows-1252, of
// which Latin-1 is a part: it has no byte that Windows-1252 does not have, and
// nothing that would be a letter in UTF-8.
func looksLatin1(text []byte) bool {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if size > 1 {
			return false
		}
		if r == utf8.RuneError && bytes.IndexByte([]byte("\x81\x8d\x8f\x90\x9d"), text[i]) >= 0 {
			return false
		}
		i += size
	}
	return true
}
