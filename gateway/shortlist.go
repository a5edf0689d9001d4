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
func (l *shortList[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) (err error) {
	*l, _, err = readList[T](decoder, maxRead)
	return err
}

// readList reads the first entries of a list, at most so many, and passes over the
// rest. null is no list: nil.
func readList[T any](decoder *jsontext.Decoder, most int) (list []T, tooLong bool, err error) {
	switch decoder.PeekKind() { //nolint:exhaustive // all others are no list
	case 'n':
		return nil, false, decoder.SkipValue()
	case '[':
	default:
		return nil, false, errNotList
	}
	if _, err := decoder.ReadToken(); err != nil {
		return nil, false, err
	}
	list = []T{}
	for decoder.PeekKind() != ']' {
		if len(list) == most {
			tooLong = true
			if err := decoder.SkipValue(); err != nil {
				return list, tooLong, err
			}
			continue
		}
		var one T
		if err := json.UnmarshalDecode(decoder, &one); err != nil {
			return list, tooLong, err
		}
		list = append(list, one)
	}
	_, err = decoder.ReadToken()
	return list, tooLong, err
}
