package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery, by the Standard Webhooks specification.
const (
	HeaderID        = "webhook-id"        // the event's id, the same on every try
	HeaderTimestamp = "webhook-timestamp" // of the try, in seconds of Unix time
	HeaderSignature = "webhook-signature" // one or more of v1,<base64>, parted by spaces
)

// Tolerance is how far a delivery's timestamp may lie from the receiver's time,
// in both directions.
const Tolerance = 5 * time.Minute

// signatureVersion stands before every signature with a shared secret.
const signatureVersion = "v1,"

// The errors of Verify.
var (
	ErrNotSigned      = errors.New("the headers webhook-id, webhook-timestamp and webhook-signature are missing or cannot be read")
	ErrNotNow         = errors.New("the webhook-timestamp is more than five minutes away")
	ErrWrongSignature = errors.New("no webhook-signature was made of this body with this secret")
)

// Sign returns the signature of one try: v1, and the HMAC-SHA256 of
// id.timestamp.body in base64. When a receiver knows two secrets, the header
// holds the signatures of both with a space between.
func Sign(s Secret, id string, timestamp time.Time, body []byte) string {
	return string(appendSignature(nil, s, id, strconv.FormatInt(timestamp.Unix(), 10), body))
}

// appendSignature appends to a header's value, behind what is there already.
func appendSignature(to []byte, s Secret, id, timestamp string, body []byte) []byte {
	if len(to) > 0 {
		to = append(to, ' ')
	}
	to = append(to, signatureVersion...)
	var sum [sha256.Size]byte
	return base64.StdEncoding.AppendEncode(to, s.mac(sum[:0], id, timestamp, body))
}

func (s Secret) mac(to []byte, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(s.key))
	head := make([]byte, 0, 64)
	head = append(head, id...)
	head = append(head, '.')
	head = append(head, timestamp...)
	head = append(head, '.')
	mac.Write(head)
	mac.Write(body)
	return mac.Sum(to)
}

// Verify reports whether a request with these headers and this body, exactly as
// it came, was signed with one of the secrets, within Tolerance of now. The
// signatures are compared in constant time.
// Errors: ErrNotSigned, ErrNotNow, ErrWrongSignature.
func Verify(header http.Header, body []byte, now time.Time, secrets ...Secret) error {
	id, timestamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	// A dot would let a part of the id pass for the timestamp.
	if id == "" || strings.Contains(id, ".") || err != nil || signatures == "" {
		return ErrNotSigned
	}
	if off := now.Unix() - seconds; off > int64(Tolerance.Seconds()) || off < -int64(Tolerance.Seconds()) {
		return ErrNotNow
	}
	for _, s := range secrets {
		if s.key == "" { // the zero value: anyone could sign with it
			continue
		}
		want := s.mac(nil, id, timestamp, body)
		for signature := range strings.SplitSeq(signatures, " ") {
			encoded, ok := strings.CutPrefix(signature, signatureVersion)
			if !ok {
				continue
			}
			if got, err := base64.StdEncoding.DecodeString(encoded); err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return ErrWrongSignature
}
