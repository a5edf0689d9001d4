package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"time"

	"portaria/internal/fault"
	"portaria/media"
)

const (
	// formLimit is the largest form: the largest file and what stands beside it.
	formLimit = media.MaxBytes + jsonLimit
	// slowestLine is how fast a long body has to come, in bytes a second.
	slowestLine = 128 << 10
)

// The parts of a form.
const (
	messagePart = "message" // JSON, as the body would be
	filePart    = "file"
)

// upload is a file that came as a part of the request. It is on the disk: forms
// are never held in memory.
type upload struct {
	spooled  *media.Spooled
	name     string
	declared string
}

// isForm reports whether the request comes as a form on a row that takes one.
func (x *exchange) isForm() bool {
	name, _, _ := bytes.Cut(x.headers.contentType, []byte(";"))
	return x.row.FormLimit > 0 && bytes.EqualFold(bytes.TrimSpace(name), []byte("multipart/form-data"))
}

// patience is how long a body of so many bytes may take to arrive.
func patience(length int64) time.Duration {
	return bodyDeadline + time.Duration(length/slowestLine)*time.Second
}

// takeForm reads a form: its message into the body's place, its file onto the
// disk.
func (x *exchange) takeForm(length int64) error {
	if length < 0 {
		length = x.row.FormLimit
	}
	if length > x.row.FormLimit {
		return ErrPayloadTooLarge
	}
	if err := x.http.Conn().SetReadDeadline(time.Now().Add(patience(length))); err != nil {
		return errBrokenBody.Because(err)
	}
	_, parameters, err := mime.ParseMediaType(string(x.headers.contentType))
	if err != nil || parameters["boundary"] == "" {
		return errNoBoundary
	}
	stream := &cut{r: x.http.RequestBodyStream(), left: x.row.FormLimit}
	if err := x.takeParts(multipart.NewReader(stream, parameters["boundary"])); err != nil {
		return formFault(err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil { // what stands behind the last boundary
		return bodyFault(err)
	}
	x.bodyTaken, x.slow = true, true
	return nil
}

// takeParts reads the parts in the order in which they come.
func (x *exchange) takeParts(form *multipart.Reader) error {
	var wrong fault.Fields
	var hasMessage bool
	for parts := 0; ; parts++ {
		part, err := form.NextRawPart()
		switch {
		case errors.Is(err, io.EOF) && parts > 0:
			return nil
		case errors.Is(err, io.EOF):
			return errBrokenBody
		case err != nil:
			return err
		}
		switch name := part.FormName(); {
		case name == messagePart && !hasMessage:
			hasMessage = true
			x.body, err = readAll(x.body[:0], part, -1, jsonLimit)
		case name == filePart && x.upload == nil:
			err = x.takeFile(part)
		case name == messagePart, name == filePart:
			wrong.Add(name, "repeated", "appears more than once")
		default:
			wrong.Add(printable(trimmedTo(name, 64)), "unknown", "is not a part of this form; they are message and file")
		}
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			return wrong.Err() // the rest is not worth its while
		}
	}
}

func (x *exchange) takeFile(part *multipart.Part) error {
	spooled, err := x.server.media.Spool(part, media.MaxBytes)
	if err != nil {
		return unfitPart(err)
	}
	x.upload = &upload{spooled: spooled, name: part.FileName(), declared: part.Header.Get("Content-Type")}
	if !media.ValidType(x.upload.declared) {
		x.upload.declared = ""
	}
	return nil
}

// unfitPart tells an empty file from a form that is broken.
func unfitPart(err error) error {
	if errors.Is(err, media.ErrEmpty) {
		return fault.Fields{{Field: filePart, Rule: "required", Message: "is an empty file"}}.Err()
	}
	return err
}

// errNoBoundary is the fault of a form that cannot be taken apart.
var errNoBoundary = fault.ErrBadRequest.Saying("The Content-Type of a form needs its boundary.")

// formFault says why a form could not be read.
func formFault(err error) error {
	if f := fault.As(err); f != nil {
		return f
	}
	return bodyFault(err)
}

// requestHash tells bodies apart. The boundary of a form is another one each
// time it is sent; what counts is what it holds.
func (x *exchange) requestHash() [sha256.Size]byte {
	if x.rows != nil {
		return x.rows.requestSum(x.body)
	}
	if x.upload == nil {
		return sha256.Sum256(x.body)
	}
	b := append(bytes.Clone(x.body), "\n"+x.upload.spooled.SHA256+"\n"+x.upload.name+"\n"+x.upload.declared...)
	return sha256.Sum256(b)
}

// cut ends a stream that is longer than it may be with a fault.
type cut struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (c *cut) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, ErrPayloadTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, ErrPayloadTooLarge
	}
	return n, err
}
