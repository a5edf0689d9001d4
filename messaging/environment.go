package messaging

import "portaria/internal/fault"

// Environment is one of the two worlds that never mix. It is part of every
// key, query and event.
type Environment string

// The environments.
const (
	Live Environment = "live"
	Test Environment = "test"
)

// ParseEnvironment reads "live" or "test".
func ParseEnvironment(s string) (Environment, error) {
	switch e := Environment(s); e {
	case Live, Test:
		return e, nil
	default:
		return "", fault.Fields{{Field: "environment", Rule: "enum", Message: "must be live or test"}}.Err()
	}
}
