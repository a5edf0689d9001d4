package channeltest

import (
	"fmt"
	"slices"
)

// pixel is a PNG of one pixel.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// ordered is how many messages go to one contact in a row.
const ordered = 20

// sending are the stories of messages that the network takes.
func sending() []story {
	return []story{{
		name: "TextThatIsRead",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Reads), "hello")
		},
		want: []string{"1: queued sent delivered read"},
	}, {
		name: "ManyTextsToOneContactKeepTheirOrder",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Reads)
			for i := range ordered {
				s.text(to, fmt.Sprint("message ", i))
			}
		},
		want: manyRead(),
	}, {
		name: "ImageWithACaption",
		play: func(s *stage) {
			s.ready()
			s.send(s.world.Contact(s.t, Reads), `"type":"image"`, `"image":{"base64":"`+pixel+`","filename":"pixel.png"}`, `"caption":"a pixel"`)
		},
		want: []string{"1: queued sent delivered read"},
	}, {
		name: "PlaceCardsAndPoll",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Reads)
			s.send(to, `"location":{"latitude":-23.5614,"longitude":-46.6559,"name":"MASP","address":"Av. Paulista, 1578"}`)
			s.send(to, `"contacts":[{"name":{"first_name":"Ana","last_name":"Souza"},"phones":[{"phone":"+55 11 91234-5678","wa_id":"5511912345678","type":"CELL"}]},`+
				`{"name":{"formatted_name":"Beto"},"emails":[{"email":"beto@example.com"}],"organization":"Loja"}]`)
			s.send(to, `"type":"poll"`, `"poll":{"question":"When?","options":["Today","Tomorrow"],"multiple":true}`)
		},
		want: []string{"1: queued sent delivered read", "2: queued sent delivered read", "3: queued sent delivered read"},
	}}
}

// unread are the stories of contacts who do not read, and of one who answers.
func unread() []story {
	return []story{{
		name: "DeliveredAndNeverRead",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, NeverReads), "hello")
			s.see("1: queued sent delivered")
			s.andLater()
		},
		want: []string{"1: queued sent delivered", "2: queued sent delivered read"},
	}, {
		name: "TakenForAPhoneThatIsOff",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, IsOff), "hello")
			s.andLater()
		},
		want: []string{"1: queued sent", "2: queued sent delivered read"},
	}, {
		name: "TakenForSomebodyWhoBlocksUs",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, Blocks), "hello")
			s.andLater()
		},
		want: []string{"1: queued sent", "2: queued sent delivered read"},
	}, {
		name: "AcknowledgedLate",
		play: func(s *stage) {
			s.ready()
			s.text(s.world.Contact(s.t, IsSlow), "hello")
			s.seeAfter(ackComes, "1: queued sent")
		},
		want: []string{"1: queued sent delivered read"},
	}, {
		name: "AnsweredAndAnsweredBack",
		play: func(s *stage) {
			s.ready()
			to := s.world.Contact(s.t, Answers)
			s.text(to, "hello")
			s.see("1: queued sent delivered read")
			answer := s.inbound(1)
			s.text(to, "you said", fmt.Sprintf(`"reply_to":%q`, answer))
			s.see("2: queued sent delivered read")
			s.send(to, fmt.Sprintf(`"reaction":{"message_id":%q,"emoji":"👍"}`, answer))
		},
		want: []string{
			"1: queued sent delivered read", "2: queued sent delivered read", "3: queued sent delivered read",
			"in 1: received", "in 2: received", "in 3: received",
		},
	}}
}

// andLater sends a message to somebody else and waits until it is read: what
// happens to earlier ones has happened by then.
func (s *stage) andLater() {
	s.t.Helper()
	s.text(s.world.Contact(s.t, Reads), "later")
	s.see(fmt.Sprintf("%d: queued sent delivered read", len(s.sent)))
}

func manyRead() []string {
	lines := slices.Repeat([]string{"queued sent delivered read"}, ordered)
	for i := range lines {
		lines[i] = fmt.Sprintf("%d: %s", i+1, lines[i])
	}
	return lines
}
