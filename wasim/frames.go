package wasim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"
)

// What a stranger may send. whatsmeow's own limit for a frame is 16 MiB; the
// largest that a client has reason to send is a message to a big group, with a
// copy for every device, well below a quarter of that.
const (
	maxHelloFrame = 64 << 10
	maxFrame      = 4 << 20
	frameHeader   = 3
	writeTimeout  = 15 * time.Second
)

var (
	errFrameTooLarge = errors.New("frame larger than allowed")
	errBadOpening    = errors.New("stream does not begin like a WhatsApp client's")
)

// frameReader cuts a byte stream into frames: three bytes of length, big
// endian, and as many bytes.
type frameReader struct{ stream *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader { return &frameReader{bufio.NewReaderSize(r, 4096)} }

// opening reads the four bytes that begin the stream once and returns them:
// they are part of the handshake's transcript. Official clients may put
// routing information before them, which is passed over.
func (f *frameReader) opening() ([]byte, error) {
	const routing, magic = 0xED, 6
	head := make([]byte, 4)
	if _, err := io.ReadFull(f.stream, head); err != nil {
		return nil, fmt.Errorf("read the opening: %w", err)
	}
	if head[0] == routing {
		// ED 00 01, three bytes of length (the first is already in head), a blob.
		rest := make([]byte, 2)
		if _, err := io.ReadFull(f.stream, rest); err != nil {
			return nil, fmt.Errorf("read the routing header: %w", err)
		}
		size := int(head[3])<<16 | int(rest[0])<<8 | int(rest[1])
		if size > maxHelloFrame {
			return nil, errFrameTooLarge
		}
		if _, err := f.stream.Discard(size); err != nil {
			return nil, fmt.Errorf("read the routing information: %w", err)
		}
		if _, err := io.ReadFull(f.stream, head); err != nil {
			return nil, fmt.Errorf("read the opening: %w", err)
		}
	}
	if head[0] != 'W' || head[1] != 'A' || head[2] != magic {
		return nil, errBadOpening
	}
	return head, nil
}

// next reads one frame of at most limit bytes. The memory for it grows with
// what really arrives, not with what the header promises.
func (f *frameReader) next(limit int) ([]byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(f.stream, head[:]); err != nil {
		return nil, err
	}
	size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if size > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errFrameTooLarge, size, limit)
	}
	if size <= maxHelloFrame {
		frame := make([]byte, size)
		_, err := io.ReadFull(f.stream, frame)
		return frame, err
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, f.stream, int64(size)); err != nil {
		return nil, err
	}
	return frame.Bytes(), nil
}

// frameOf puts the length before a frame's body.
func frameOf(body []byte) []byte {
	n := len(body)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// socket is the websocket under a connection.
type socket struct {
	ctx     context.Context
	ws      *websocket.Conn
	current io.Reader
}

// Read makes one stream of the client's binary messages, whose borders mean
// nothing.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.current == nil {
			kind, r, err := s.ws.Reader(s.ctx)
			if err != nil {
				return 0, err
			}
			if kind != websocket.MessageBinary {
				return 0, fmt.Errorf("websocket message of kind %s", kind)
			}
			s.current = r
		}
		n, err := s.current.Read(p)
		if errors.Is(err, io.EOF) {
			s.current, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

// write sends one frame as one websocket message: whatsmeow corrupts a frame
// that is split over messages.
func (s *socket) write(body []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
	defer cancel()
	return s.ws.Write(ctx, websocket.MessageBinary, frameOf(body))
}
