package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxUpload is the largest file that a bulk may come in (API.md, section 2). One
// that is larger is refused here, because an answer that comes in the middle of
// an upload may be lost.
const maxUpload = 25 << 20

// standardInput is the name of a file that another program writes.
const standardInput = "-"

// bulkUpload is a form with a bulk in it.
type bulkUpload struct {
	file        *os.File // can be read again; nil: a pipe
	start, size int64    // of the file, in bytes; a pipe's size is -1
	pipe        *bufio.Reader
	mediaType   string
	options     []byte // JSON
	close       func()
}

// openUpload opens a file of recipients, or in for standardInput. A pipe is read
// until ctx ends.
func openUpload(ctx context.Context, name string, in io.Reader) (*bulkUpload, error) {
	u := &bulkUpload{size: -1, mediaType: mediaTypeOf(name), close: func() {}}
	if name != standardInput {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError("FILE: " + err.Error())
		}
		in, u.close = file, func() { _ = file.Close() }
	}
	err := u.measure(name, in)
	if err == nil && u.file == nil {
		u.stream(ctx, in)
	}
	if err == nil && name == standardInput && u.hasObjects() {
		u.mediaType = ndjsonType
	}
	if err == nil && ctx.Err() != nil {
		err = toldError("interrupted; nothing was sent")
	}
	if err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// measure finds out how long a file is, if it has a length.
func (u *bulkUpload) measure(name string, in io.Reader) error {
	file, ok := in.(*os.File)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return usageError("FILE: " + err.Error())
	case info.IsDir():
		return usageError("FILE: " + name + " is a folder")
	case !info.Mode().IsRegular():
		return nil
	}
	// A shell may have handed over a file of which something has been read.
	if u.start, err = file.Seek(0, io.SeekCurrent); err != nil {
		return usageError("FILE: " + err.Error())
	}
	u.file, u.size = file, max(info.Size()-u.start, 0)
	if u.size > maxUpload {
		return usageError(fmt.Sprintf("FILE: %s is larger than %d MiB, which is as much as a bulk may be: send it as several", name, maxUpload>>20))
	}
	return nil
}

// stream reads a pipe beside the command: a read that waits for another program
// cannot be broken off, and Ctrl-C must not wait for it.
func (u *bulkUpload) stream(ctx context.Context, in io.Reader) {
	out, into := io.Pipe()
	go func() {
		_, err := io.Copy(into, in)
		into.CloseWithError(err)
	}()
	forget := context.AfterFunc(ctx, func() { into.CloseWithError(ctx.Err()) })
	closeFile := u.close
	u.pipe = bufio.NewReader(out)
	u.close = func() {
		forget()
		_ = out.Close()
		closeFile()
	}
}

// rows reads the file, or what is left of a pipe.
func (u *bulkUpload) rows() io.Reader {
	if u.file == nil {
		return u.pipe
	}
	return io.NewSectionReader(u.file, u.start, u.size) // an earlier upload may still be reading its own
}

// The types of a file of recipients.
const (
	csvType    = "text/csv"
	ndjsonType = "application/x-ndjson"
)

func mediaTypeOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".ndjson", ".jsonl":
		return ndjsonType
	default:
		return csvType
	}
}

// hasObjects looks for what begins an object, where no name tells the form. No
// guess can do harm: CSV is not valid JSON, nor are objects valid CSV.
func (u *bulkUpload) hasObjects() bool {
	const enough = 64
	var head []byte
	if u.file == nil {
		head, _ = u.pipe.Peek(enough) // what is wrong is met again when it is read
	} else {
		head, _ = io.ReadAll(io.LimitReader(u.rows(), enough))
	}
	return strings.HasPrefix(strings.TrimLeft(string(head), "\ufeff \t\r\n"), "{")
}

// post streams the form: of the file only what is on its way is in memory.
// Errors: those of apiClient.post.
func (u *bulkUpload) post(ctx context.Context, api *apiClient, path, idempotencyKey string) (jsontext.Value, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if err := u.begin(form); err != nil {
		return nil, err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	req, err := api.request(ctx, http.MethodPost, path, io.MultiReader(bytes.NewReader(head.Bytes()), u.rows(), strings.NewReader(tail)))
	if err != nil {
		return nil, err
	}
	if req.ContentLength = -1; u.size >= 0 {
		req.ContentLength = int64(head.Len()) + u.size + int64(len(tail))
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return api.do(req)
}

// begin writes the form as far as the file's first byte.
func (u *bulkUpload) begin(form *multipart.Writer) error {
	options, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="message"`}, "Content-Type": {"application/json"},
	})
	if err != nil {
		return err
	}
	if _, err := options.Write(u.options); err != nil {
		return err
	}
	// The file's own name stays here: it is nobody else's business.
	_, err = form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="recipients"`}, "Content-Type": {u.mediaType},
	})
	return err
}
