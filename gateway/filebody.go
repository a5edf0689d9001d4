package gateway

import "io"

// anyForm is the media type of answers that are files.
const anyForm = "*/*"

// fileBody is an answer that is read from a file.
type fileBody struct {
	io.ReadCloser

	size        int64
	disposition string
}

// sendFile writes an answer that is a file. It is somebody else's file: a
// browser must not show it, guess what it is or run anything in it.
func (x *exchange) sendFile() {
	f := x.form.file
	setHeader(x.http, "Content-Disposition", f.disposition)
	setHeader(x.http, "Content-Security-Policy", "default-src 'none'; sandbox")
	x.http.Response.SetBodyStream(f, int(f.size))
}
