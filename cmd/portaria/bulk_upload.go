package main

import (
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

// bulkUpload is a form with a bulk in it.
type bulkUpload struct {
	file    *os.File
	size    int64  // -1: not known, for a file that is a pipe
	options []byte // JSON
}

// openUpload opens a file of recipients.
func openUpload(name string) (*bulkUpload, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, usageError("FILE: " + err.Error())
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = usageError("FILE: " + name + " is a folder")
	}
	if err == nil && info.Mode().IsRegular() && info.Size() > maxUpload {
		err = usageError(fmt.Sprintf("FILE: %s is larger than %d MiB, which is as much as a bulk may be: send it as several", name, maxUpload>>20))
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	upload := &bulkUpload{file: file, size: -1}
	if info.Mode().IsRegular() {
		upload.size = info.Size()
	}
	return upload, nil
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
	req, err := api.request(ctx, http.MethodPost, path, io.MultiReader(bytes.NewReader(head.Bytes()), u.file, strings.NewReader(tail)))
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
	mediaType := "text/csv"
	switch strings.ToLower(filepath.Ext(u.file.Name())) {
	case ".ndjson", ".jsonl":
		mediaType = "application/x-ndjson"
	}
	// The file's own name stays here: it is nobody else's business.
	_, err = form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="recipients"`}, "Content-Type": {mediaType},
	})
	return err
}
