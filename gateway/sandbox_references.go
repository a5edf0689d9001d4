package gateway

import (
	"strconv"
	"strings"

	"portaria/internal/fault"
	"portaria/sandbox/runs"
)

// stepReference begins what stands for the message that an earlier step of the
// same script made, as in step:1: its id is drawn when the step is played.
const stepReference = "step:"

// reference is where a step names a message.
type reference struct {
	field string
	id    *string
}

// references lists where a step may name messages.
func (s *stepInput) references() (list []reference) {
	add := func(field string, id *string) { list = append(list, reference{field, id}) }
	if m := s.Send; m != nil {
		add("send.reply_to", &m.ReplyTo)
		if m.Reaction != nil {
			add("send.reaction.message_id", &m.Reaction.MessageID)
		}
	}
	if m := s.Inbound; m != nil {
		add("inbound.reply_to", &m.ReplyTo)
		add("inbound.message_id", &m.MessageID)
		if m.Reaction != nil {
			add("inbound.reaction.message_id", &m.Reaction.MessageID)
		}
	}
	return list
}

// referredStep returns the number of the step that a reference stands for; 0
// when it stands for none.
func referredStep(id string) int {
	text, ok := strings.CutPrefix(id, stepReference)
	number, err := strconv.Atoi(text)
	if !ok || err != nil || number < 1 || strconv.Itoa(number) != text {
		return 0
	}
	return number
}

// checkReferences refuses references to steps that make no message, or make it
// too late.
func (c *createRun) checkReferences(fields *fault.Fields) {
	for i := range c.Steps {
		for _, r := range c.Steps[i].references() {
			if !strings.HasPrefix(*r.id, stepReference) {
				continue
			}
			number := referredStep(*r.id)
			if number == 0 || number > i || !c.Steps[number-1].makesMessage() {
				fields.Add("steps["+strconv.Itoa(i)+"]."+r.field, "not_found", "is no step before this one that makes a message; the first step is step:1")
			}
		}
	}
}

// makesMessage reports whether a step's message can be referred to.
func (s *stepInput) makesMessage() bool {
	switch kinds := s.kinds(); {
	case len(kinds) != 1:
		return false
	case kinds[0] == runs.Inbound:
		return s.Inbound.Type != contactCalls
	default:
		return kinds[0] == runs.Send
	}
}
