package gateway

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxRead is how many entries of a short list are read: more than any such list
// may have, and few enough that a body of a megabyte does not become a hundred
// in memory.
const maxRead = 32

// shortList is a list of objects or texts that may have a dozen or two. Where it
// is too long, only its beginning is read: what is refused is its length.
type shortList[T any] []T

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *shortList[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	kind := decoder.PeekKind()
	if kind == 'n' {
		*l = nil
		return decoder.SkipValue()
	}
	if kind != '[' {
		return errNotList
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	*l = shortList[T]{}
	for decoder.PeekKind() != ']' {
		if len(*l) == maxRead {
			if err := decoder.SkipValue(); err != nil {
				return err
			}
			continue
		}
		var one T
		if err := json.UnmarshalDecode(decoder, &one); err != nil {
			return err
		}
		*l = append(*l, one)
	}
	_, err := decoder.ReadToken()
	return err
}
