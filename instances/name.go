package instances

import (
	"regexp"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// namePattern is the shape of an instance's name (API.md section 5).
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// CheckName notes what is wrong with the name of a new instance. Names that
// look like ids would be taken for ids.
func CheckName(fields *fault.Fields, name string) {
	switch {
	case name == "":
		fields.Add("name", "required", "is required")
	case !namePattern.MatchString(name) || strings.HasPrefix(name, string(messaging.InstancePrefix)):
		fields.Add("name", "pattern", "must be 1 to 64 of a-z 0-9 - _, begin with a letter or digit, and not with ins_")
	}
}
