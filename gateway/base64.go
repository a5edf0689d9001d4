package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
)

// fileOf reads the file that a JSON string holds in base64. raw is a valid
// string with its quotes; it is read piece by piece and stays as it is.
func fileOf(raw []byte) io.Reader {
	text := raw[1 : len(raw)-1]
	if bytes.HasPrefix(text, []byte("data:")) {
		_, text, _ = bytes.Cut(text, []byte("base64,"))
	}
	return base64.NewDecoder(base64.RawStdEncoding, &plainBase64{text: text})
}

// errPadded is the fault of text behind padding.
var errPadded = errors.New("base64 goes on behind its padding")

// plainBase64 reads base64 as it stands in a JSON string and makes one form of
// all: the standard alphabet without padding, line feeds and escapes. Many JSON
// writers escape more than they must: + as \u002B, = as \u003D, / as \/.
type plainBase64 struct {
	text   []byte
	padded bool
}

// Read implements io.Reader.
func (p *plainBase64) Read(dst []byte) (n int, err error) {
	for n < len(dst) && len(p.text) > 0 {
		switch c := p.next(); c {
		case '\r', '\n':
			continue
		case '=':
			p.padded = true
			continue
		case '-':
			dst[n] = '+'
		case '_':
			dst[n] = '/'
		default:
			dst[n] = c
		}
		if p.padded {
			return n, errPadded
		}
		n++
	}
	if n == 0 && len(dst) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// next takes one character, or a byte that is never base64.
func (p *plainBase64) next() byte {
	c := p.text[0]
	if c != '\\' {
		p.text = p.text[1:]
		return c
	}
	const never = '!'
	escape, length, is := p.text[1], 2, byte(never)
	switch escape {
	case '/':
		is = '/'
	case 'n':
		is = '\n'
	case 'r':
		is = '\r'
	case 'u':
		length = 6
		if code, err := strconv.ParseUint(string(p.text[2:length]), 16, 16); err == nil && code < 0x80 {
			is = byte(code)
		}
	}
	p.text = p.text[length:]
	return is
}
