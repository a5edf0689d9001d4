package messaging

import "strings"

// Person returns what one recipient is known by however the number is written:
// some countries' mobile numbers have a digit that WhatsApp's own ids leave out
// (Brazil's ninth digit, Argentina's 9, Mexico's 1). It is for remembering who
// wants no more messages and who has had one, where it is right to take two
// spellings for one person; nothing is ever sent to it.
func Person(waID string) string {
	digits, ok := strings.CutSuffix(waID, "@"+UserServer)
	if !ok {
		return waID
	}
	switch {
	case strings.HasPrefix(digits, "55") && len(digits) == 13 && digits[4] == '9':
		digits = digits[:4] + digits[5:]
	case strings.HasPrefix(digits, "549") && len(digits) == 13:
		digits = "54" + digits[3:]
	case strings.HasPrefix(digits, "521") && len(digits) == 13:
		digits = "52" + digits[3:]
	}
	return digits
}
