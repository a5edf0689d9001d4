package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

const (
	// bulkLimit is the largest bulk, and the largest file of one.
	bulkLimit = 25 << 20
	// bulkFormLimit is the largest form: the largest file and what stands beside it.
	bulkFormLimit = bulkLimit + jsonLimit
	// bulkDeadline is what a handler may take to check and store the rows of a bulk.
	bulkDeadline = 2 * time.Minute
	// spoolDisk is how much of the disk uploads have together, and spoolShare how
	// much of it those of one key lineage.
	spoolDisk  = 1 << 30
	spoolShare = spoolDisk / 4
	// spoolPiece is how much of an upload is in memory at a time.
	spoolPiece = 64 << 10
)

var (
	errBulkTooLarge = ErrPayloadTooLarge.Saying("The upload is larger than 25 MiB: send it as several bulks.")
	errLongHead     = ErrPayloadTooLarge.Saying("What stands beside the recipients is larger than 1 MiB; only a message's file in base64 may be.")
	errNoBulkType   = ErrUnsupportedMedia.Saying("A bulk comes as JSON, or as multipart/form-data with the parts message and file.")
	errManyUploads  = fault.ErrUnavailable.Saying("Too many uploads are on their way; try again.").After(time.Second)
)

// rowsUpload is what came of a bulk's rows: a file on the disk.
type rowsUpload struct {
	file   *spool
	format rowFormat
	split  splitter  // of a JSON body: where the rows stood in it
	form   bool      // it came as a form …
	given  bool      // … that had its file
	sum    hash.Hash // of all that came; nil: nobody asks for it
}

// rowFormat is how rows are written.
type rowFormat uint8

// The formats.
const (
	rowsJSON   rowFormat = iota // a JSON list
	rowsNDJSON                  // an object on each line
	rowsCSV
)

// takeSpooled takes the body of a row that spools it: the rows go to the disk
// as they arrive, and the rest becomes x.body.
func (x *exchange) takeSpooled(length int64) error {
	most, form := x.row.BodyLimit, x.isForm()
	if form {
		most = x.row.FormLimit
	} else if jsonMediaType(x.headers.contentType) != nil {
		return errNoBulkType
	}
	if length > most {
		return errBulkTooLarge
	}
	if length < 0 {
		length = most
	}
	if err := x.openSpool(length); err != nil {
		return err
	}
	if err := x.http.Conn().SetReadDeadline(time.Now().Add(patience(length))); err != nil {
		return errBrokenBody.Because(err)
	}
	x.slow = true
	stream := &cut{r: x.http.RequestBodyStream(), left: most}
	take := x.takeBulkJSON
	if form {
		take = x.takeBulkForm
	}
	if err := take(stream); err != nil {
		return spoolFault(err)
	}
	announced := int64(x.http.Request.Header.ContentLength())
	if announced >= 0 && most-stream.left != announced { // fasthttp ends a truncated body like a whole one
		return errBrokenBody
	}
	x.bodyTaken = true
	if form {
		return nil
	}
	return x.checkHead()
}

// openSpool makes room on the disk for an upload of at most so many bytes.
func (x *exchange) openSpool(length int64) error {
	if !x.server.spools.take(x.call.Grant.Lineage, length) {
		return errManyUploads
	}
	x.spooled = length
	file, err := newSpool(x.server.spoolDir)
	if err != nil {
		return err
	}
	x.rows = &rowsUpload{file: file}
	if key, err := x.headers.idempotency(); err == nil && key != nil {
		x.rows.sum = sha256.New()
	}
	return nil
}

// closeSpool forgets the upload.
func (x *exchange) closeSpool() {
	if x.rows != nil {
		_ = x.rows.file.Close() // it was only read from here on
	}
	if x.spooled > 0 {
		x.server.spools.give(x.call.Grant.Lineage, x.spooled)
	}
}

// spoolFault says why an upload could not be taken.
func spoolFault(err error) error {
	f := fault.As(err)
	switch {
	case f == ErrPayloadTooLarge: // the very one, which ends the stream; others say more
		return errBulkTooLarge
	case f != nil:
		return f
	default:
		return bodyFault(err)
	}
}

// takeBulkJSON takes a JSON body apart.
func (x *exchange) takeBulkJSON(stream io.Reader) error {
	x.body = x.body[:0]
	most := int64(jsonLimit)
	disk := bufio.NewWriterSize(x.rows.file, spoolPiece)
	x.rows.split = splitter{rows: disk, head: func(p []byte) error {
		if int64(len(x.body)+len(p)) > most {
			var err error
			if most, err = x.longHead(p); err != nil {
				return err
			}
		}
		x.body = append(x.body, p...)
		return nil
	}}
	to := io.Writer(&x.rows.split)
	if x.rows.sum != nil {
		to = io.MultiWriter(to, x.rows.sum)
	}
	if _, err := io.CopyBuffer(to, onlyReader{stream}, make([]byte, spoolPiece)); err != nil {
		return err
	}
	return disk.Flush()
}

// checkHead looks at what stands beside the rows of a JSON body before anything
// is made of it.
func (x *exchange) checkHead() error {
	if weighsTooMuch(x.body) {
		return errLongHead
	}
	if len(bytes.TrimSpace(x.body)) == 0 {
		x.body = x.body[:0]
		return nil
	}
	return x.checkSyntax()
}

// longHead makes room for a head that is longer than others, when it is so for
// its file. It returns how long it may become.
func (x *exchange) longHead(next []byte) (most int64, err error) {
	if x.setAside > 0 || !bytes.Contains(append(x.body[:len(x.body):len(x.body)], next...), []byte(`"base64"`)) {
		return 0, errLongHead
	}
	most = min(x.spooled, mediaLimit)
	if !x.server.bodies.take(x.call.Grant.Lineage, most) {
		return 0, errManyBodies
	}
	x.setAside = most
	x.body = slices.Grow(x.body, int(most)-len(x.body)) // at once: a buffer that doubles costs three times as much
	return most, nil
}

// checkSyntax says where a body whose head is not JSON is broken. What is wrong
// with its rows is found when they are read.
func (x *exchange) checkSyntax() error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(x.body)) // a buffer is not copied
	err := decoder.SkipValue()
	if err == nil {
		if _, err = decoder.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	at := decoder.InputOffset()
	if broken, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = broken.ByteOffset
	}
	return brokenAt(x.rows.split.inBody(at))
}

// onlyReader hides what else a reader can do, so that io.Copy uses our buffer.
type onlyReader struct{ io.Reader }

// requestSum tells uploads apart, as requestHash does. The boundary of a form is
// another one each time; what counts is what it holds.
func (r *rowsUpload) requestSum(body []byte) (sum [sha256.Size]byte) {
	if r.sum == nil {
		return sum
	}
	if r.format == rowsJSON {
		r.sum.Sum(sum[:0])
		return sum
	}
	return sha256.Sum256(r.sum.Sum(append(bytes.Clone(body), '\n', byte(r.format))))
}

// takeBulkForm takes a form: its file onto the disk, and the other parts, made
// one JSON object, into x.body.
func (x *exchange) takeBulkForm(stream io.Reader) error {
	_, parameters, err := mime.ParseMediaType(string(x.headers.contentType))
	if err != nil || parameters["boundary"] == "" {
		return errNoBoundary
	}
	parts := bulkParts{upload: x.rows}
	if err := parts.take(multipart.NewReader(stream, parameters["boundary"])); err != nil {
		return err
	}
	x.rows.form, x.rows.given = true, parts.hasFile
	if _, err := io.Copy(io.Discard, stream); err != nil { // what stands behind the last boundary
		return err
	}
	x.body, err = parts.assemble(x.body[:0])
	return err
}
