package bulk

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"portaria/messaging"
)

// OptOutCursor returns the cursor of a page of opt-outs that ends with one. It is
// opaque to callers: nobody's number stands in it to be read.
func OptOutCursor(o *messaging.OptOut) string {
	text := strconv.FormatInt(o.CreatedAt.UnixMicro(), 10) + " " + messaging.Person(o.To.WAID) + " " + o.InstanceID
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// OptOutPlace is what a cursor stands for: the opt-out with which the page before
// ended.
type OptOutPlace struct {
	CreatedAt  time.Time
	Person     string
	InstanceID string
}

// ParseOptOutCursor reads what OptOutCursor wrote; false when it did not.
func ParseOptOutCursor(cursor string) (p OptOutPlace, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return p, false
	}
	parts := strings.Split(string(text), " ")
	if len(parts) != 3 {
		return p, false
	}
	us, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return p, false
	}
	return OptOutPlace{CreatedAt: time.UnixMicro(us).UTC(), Person: parts[1], InstanceID: parts[2]}, true
}
