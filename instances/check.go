package instances

import (
	"context"

	"portaria/internal/fault"
	"portaria/messaging"
)

// NumberChecker is a channel that can ask its network for numbers.
type NumberChecker interface {
	// CheckNumbers answers for each number, in their order, whether the network
	// knows it.
	CheckNumbers(ctx context.Context, numbers []messaging.Address) ([]messaging.NumberCheck, error)
}

// Check asks an instance's network whether it knows numbers. Faults:
// ErrNotFound, ErrNotConnected, and those of the channel.
func (m *Manager) Check(ctx context.Context, t messaging.Tenancy, id string, numbers []messaging.Address) ([]messaging.NumberCheck, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return nil, err
	}
	channel, ok := m.Channel(i.ID)
	if !ok {
		return nil, ErrNotConnected
	}
	checker, ok := channel.(NumberChecker)
	if !ok {
		return nil, fault.ErrUnavailable.Saying("The network of this instance cannot be asked for numbers.")
	}
	return checker.CheckNumbers(ctx, numbers)
}
