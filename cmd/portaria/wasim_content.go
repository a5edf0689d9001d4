package main

import (
	"os"
	"strconv"
	"strings"
)

// addContent puts what the contact sends into the body of a request.
func (cmd *wasimInboundCmd) addContent(body map[string]any) error {
	if cmd.File == "" && (cmd.Kind != "" || cmd.MIME != "" || cmd.Caption != "") {
		return usageError("--kind, --mime-type and --caption: only with --file")
	}
	if cmd.Text == "" && cmd.ReplyTo != "" {
		return usageError("--reply-to: only with --text")
	}
	if cmd.Poll == "" && (len(cmd.Option) > 0 || cmd.Multiple) {
		return usageError("--option and --multiple: only with --poll")
	}
	switch {
	case cmd.File != "":
		return cmd.addFile(body)
	case cmd.Location != "":
		return cmd.addLocation(body)
	case len(cmd.Card) > 0:
		return cmd.addCards(body)
	case cmd.Poll != "":
		body["poll"] = map[string]any{"question": cmd.Poll, "options": cmd.Option, "multiple": cmd.Multiple}
	default:
		body["text"], body["reply_to"] = cmd.Text, cmd.ReplyTo
	}
	return nil
}

func (cmd *wasimInboundCmd) addLocation(body map[string]any) error {
	north, east, _ := strings.Cut(cmd.Location, ",")
	latitude, err := strconv.ParseFloat(strings.TrimSpace(north), 64)
	if err != nil {
		return usageError("--location: must be two numbers, as -23.5614,-46.6559")
	}
	longitude, err := strconv.ParseFloat(strings.TrimSpace(east), 64)
	if err != nil {
		return usageError("--location: must be two numbers, as -23.5614,-46.6559")
	}
	body["location"] = map[string]any{"latitude": latitude, "longitude": longitude}
	return nil
}

func (cmd *wasimInboundCmd) addCards(body map[string]any) error {
	var cards []string
	for _, path := range cmd.Card {
		info, err := os.Stat(path)
		if err != nil || info.Size() > wasimFileLimit {
			return usageError("--card: must be a file of at most 32 MiB")
		}
		card, err := os.ReadFile(path)
		if err != nil {
			return usageError("--card: must be a file that can be read")
		}
		cards = append(cards, strings.ToValidUTF8(string(card), "\uFFFD"))
	}
	body["cards"] = cards
	return nil
}
