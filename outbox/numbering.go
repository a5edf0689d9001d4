package outbox

import (
	"strconv"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// The shortest and longest number of any country, with its calling code
// (ITU-T E.164).
const (
	minPhoneDigits = 7
	maxPhoneDigits = 15
)

// numbering knows, for every calling code, which lengths a national number may
// have. It asks phonenumbers once for each code: a parse of its own for every
// message would cost more than all the rest of accepting it.
var numbering = sync.OnceValue(func() map[string]lengths {
	codes := phonenumbers.GetSupportedCallingCodes()
	out := make(map[string]lengths, len(codes))
	for code := range codes {
		out[strconv.Itoa(code)] = possibleLengths(int32(code))
	}
	return out
})

// lengths is a set of numbers of digits.
type lengths uint32

func (l lengths) has(n int) bool { return l&(1<<n) != 0 }

// possibleNumber reports whether digits can be a number of some country. No
// calling code is the beginning of another one.
func possibleNumber(digits string) bool {
	if len(digits) < minPhoneDigits || len(digits) > maxPhoneDigits {
		return false
	}
	table := numbering()
	for n := 1; n <= 3; n++ {
		if l, ok := table[digits[:n]]; ok {
			return l.has(len(digits) - n)
		}
	}
	return false
}

// possibleLengths asks the library about one number of each length; whether a
// number is possible depends on nothing else.
func possibleLengths(code int32) (l lengths) {
	national := uint64(2)
	for n := 1; n < maxPhoneDigits; n++ {
		number := &phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &national}
		if phonenumbers.IsPossibleNumberWithReason(number) == phonenumbers.IS_POSSIBLE {
			l |= 1 << n
		}
		national = national*10 + 2
	}
	return l
}
