package gateway

import (
	"context"
	"strconv"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// maxNumbers is how many numbers one request may ask about.
const maxNumbers = 50

// checkNumbers is the body of a question about numbers.
type checkNumbers struct {
	Numbers []string `json:"numbers" required:"true" minItems:"1" maxItems:"50" nullable:"false" description:"Numbers in international form, or WhatsApp ids of people."`

	addresses []messaging.Address
}

// validate implements validator.
func (c *checkNumbers) validate(_ *Call, fields *fault.Fields) error {
	switch {
	case len(c.Numbers) == 0:
		fields.Add("numbers", "required", "must name at least one number")
		return nil
	case len(c.Numbers) > maxNumbers:
		fields.Add("numbers", "max", "must name at most 50 numbers")
		return nil
	}
	for i, number := range c.Numbers {
		address, err := outbox.ParseRecipient(number)
		if err != nil || address.Phone() == "" {
			fields.Add("numbers["+strconv.Itoa(i)+"]", "format", "must be a phone number in international form, as +5511912345678")
			continue
		}
		c.addresses = append(c.addresses, address)
	}
	return nil
}

// numbersView is what the network says of numbers, in the order of the request.
type numbersView struct {
	Numbers []numberView `json:"numbers" nullable:"false"`
}

// numberView is what the network says of a number.
type numberView struct {
	Input  string   `json:"input"`
	Exists bool     `json:"exists" description:"Whether a message to it can arrive."`
	WAID   nullable `json:"wa_id" description:"The number as WhatsApp writes it, which may lack or add a digit of the input."`
	LID    nullable `json:"lid" description:"The id by which WhatsApp knows the person beside the number."`
}

// checkNumbers asks the network about numbers.
func (s *Server) checkNumbers(ctx context.Context, call *Call, req checkNumbers) (numbersView, error) {
	found, err := s.numbers.Check(ctx, call.Tenancy, call.InstanceID, req.addresses)
	if err != nil {
		return numbersView{}, err
	}
	view := numbersView{Numbers: make([]numberView, len(found))}
	for i, n := range found {
		view.Numbers[i] = numberView{Input: n.Input, Exists: n.Exists, WAID: nullable(n.WAID), LID: nullable(n.LID)}
	}
	return view, nil
}
