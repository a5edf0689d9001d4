package gateway

import (
	"io"
	"net"
	"time"
)

// anyForm is the media type of answers that are files.
const anyForm = "*/*"

// fileBody is an answer that is read from a file.
type fileBody struct {
	io.ReadCloser

	size        int64
	disposition string
}

// downloadStall is how long a reader of a file may take nothing.
const downloadStall = 30 * time.Second

// sendFile writes an answer that is a file. It is somebody else's file: a
// browser must not show it, guess what it is or run anything in it.
func (x *exchange) sendFile() {
	f := x.form.file
	setHeader(x.http, "Content-Disposition", f.disposition)
	setHeader(x.http, "Content-Security-Policy", "default-src 'none'; sandbox")
	x.http.Response.SetBodyStream(&watched{fileBody: f, conn: x.http.Conn()}, int(f.size))
}

// watched gives the connection new time with every part that was taken, and its
// patience back at the end.
type watched struct {
	*fileBody

	conn net.Conn
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(downloadStall)); err != nil {
		return 0, err
	}
	return w.fileBody.Read(p)
}

// Close implements io.Closer.
func (w *watched) Close() error {
	_ = w.conn.SetWriteDeadline(time.Time{}) // what is left fits into a buffer
	return w.fileBody.Close()
}
