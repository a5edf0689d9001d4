package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"portaria/internal/fault"
)

const (
	// bodyDeadline is how long a body may take to arrive; a long one has more
	// (multipart.go).
	bodyDeadline = 30 * time.Second
	// firstRead is the buffer for bodies that do not say how long they are.
	firstRead = 4 << 10
	// arrivesAtOnce is a length that the read deadline of the headers covers:
	// it fits into the buffer that they came in.
	arrivesAtOnce = 8 << 10
	// bodyMemory is how much memory bodies longer than jsonLimit have together,
	// and bodyShare how much of it those of one key lineage.
	bodyMemory = 256 << 20
	bodyShare  = bodyMemory / 2
)

// The ways in which a body is refused for what its headers say.
var (
	errEncoded = ErrUnsupportedMedia.Saying("Bodies are taken as they are: send no Content-Encoding.")
	errForm    = ErrUnsupportedMedia.Saying("The body was sent as a form, which is what curl does with -d alone: " +
		"add -H 'Content-Type: application/json'.")
	errSlowBody   = fault.ErrBadRequest.Saying("The body did not arrive in time.")
	errManyBodies = fault.ErrUnavailable.Saying("Too many long bodies are on their way; try again, or send files as forms.").After(time.Second)
	errBrokenBody = fault.ErrBadRequest.Saying("The body ended before its announced length, or its chunks are broken.")
)

// takeBody reads the request's body, when the row has one. It is the one place
// that does, and runs only after the key is known: the stream is read raw (so
// nothing is unpacked) and cut at the row's limit.
func (x *exchange) takeBody() error {
	if x.row.BodyLimit == 0 || !hasBody(x.http) {
		x.bodyTaken = !hasBody(x.http)
		return nil
	}
	if x.headers.encoding != nil {
		return errEncoded
	}
	length := int64(x.http.Request.Header.ContentLength()) // -1 when chunked
	if x.row.Spools {
		return x.takeSpooled(length)
	}
	if x.isForm() {
		return x.takeForm(length)
	}
	if length > x.row.BodyLimit {
		return ErrPayloadTooLarge
	}
	if length < 0 || length > arrivesAtOnce {
		expected := length
		if expected < 0 {
			expected = x.row.BodyLimit
		}
		if err := x.http.Conn().SetReadDeadline(time.Now().Add(patience(expected))); err != nil {
			return errBrokenBody.Because(err)
		}
		x.slow = expected > jsonLimit
	}
	if err := x.readBody(length); err != nil {
		return bodyFault(err)
	}
	if length >= 0 && int64(len(x.body)) != length { // fasthttp ends a truncated body like a whole one
		return errBrokenBody
	}
	x.bodyTaken = true
	if weighsTooMuch(x.body) {
		return ErrPayloadTooLarge
	}
	if len(bytes.TrimSpace(x.body)) == 0 {
		x.body = x.body[:0]
		return nil
	}
	return jsonMediaType(x.headers.contentType)
}

// readBody reads the body into its buffer. One that may be long, for the file
// that it holds, is read on only when there is memory set aside for all of it.
func (x *exchange) readBody(length int64) (err error) {
	stream := x.http.RequestBodyStream()
	x.body, err = readAll(x.body[:0], stream, length, min(x.row.BodyLimit, jsonLimit))
	if !errors.Is(err, ErrPayloadTooLarge) || x.row.BodyLimit <= jsonLimit || !bytes.Contains(x.body, []byte(`"base64"`)) {
		return err
	}
	most := x.row.BodyLimit
	if length >= 0 {
		most = length
	}
	if !x.server.bodies.take(x.call.Grant.Lineage, most) {
		return errManyBodies
	}
	x.setAside = most
	x.body = slices.Grow(x.body, int(most)+1-len(x.body)) // at once: a buffer that doubles costs three times as much
	x.body, err = readAll(x.body, stream, 0, most)
	return err
}

// hasBody reports whether the request announces a body that is not empty.
func hasBody(c *fasthttp.RequestCtx) bool {
	return c.RequestBodyStream() != nil && c.Request.Header.ContentLength() != 0
}

// readAll appends a stream of at most limit bytes to buf. length is what was
// announced; negative when unknown.
func readAll(buf []byte, stream io.Reader, length, limit int64) ([]byte, error) {
	if length < 0 {
		length = firstRead
	}
	// One byte more than announced, so that the end shows without growing.
	buf = slices.Grow(buf, int(min(length, arrivesAtOnce))+1)
	for {
		n, err := stream.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, ErrPayloadTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, len(buf))
		}
	}
}

// bodyFault says why a body could not be read.
func bodyFault(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, ErrPayloadTooLarge), errors.Is(err, errManyBodies):
		return err
	case errors.As(err, &network) && network.Timeout():
		return errSlowBody
	default:
		return errBrokenBody
	}
}

// jsonMediaType refuses what says that it is not JSON. A body without
// Content-Type is believed to be JSON: the decoder will tell.
func jsonMediaType(contentType []byte) error {
	media, _, _ := bytes.Cut(contentType, []byte(";"))
	media = bytes.TrimSpace(media)
	switch {
	case len(media) == 0, bytes.EqualFold(media, []byte("application/json")):
		return nil
	case bytes.EqualFold(media, []byte("application/x-www-form-urlencoded")):
		return errForm
	default:
		return ErrUnsupportedMedia
	}
}
