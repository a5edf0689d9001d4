package wasim

import (
	"net/http"
	"slices"
	"strings"
)

// controlTyping lists what clients have shown of what they are about to send, the
// oldest first; from and to narrow it.
func (s *Server) controlTyping(r *http.Request, _ none) (any, error) {
	q, err := parseMessageQuery(r)
	if err != nil {
		return nil, err
	}
	shown := slices.DeleteFunc(s.Typing(), func(t Typing) bool {
		return (q.from != "" && t.From != q.from) || (q.to != "" && t.To != q.to) || (q.group != "" && t.To != q.group)
	})
	return shown[max(0, len(shown)-q.limit):], nil
}

// sentView is what has become of a message of a contact.
type sentView struct {
	ID        string `json:"id"`
	From      string `json:"from"`
	To        string `json:"to"` // a number, or the address of a group
	Delivered bool   `json:"delivered"`
	Read      bool   `json:"read"`
	Played    bool   `json:"played"`
}

// controlSent lists what has become of the messages of a contact, or of all of
// them contact by contact, the oldest first.
func (s *Server) controlSent(r *http.Request, _ none) (any, error) {
	q, err := parseMessageQuery(r)
	if err != nil {
		return nil, err
	}
	views := []sentView{}
	accounts := s.accountsOf(q.from)
	slices.SortFunc(accounts, func(a, b *account) int { return strings.Compare(a.number, b.number) })
	for _, a := range accounts {
		for _, m := range a.listSent() {
			if (q.to == "" || m.To == q.to) && (q.group == "" || m.To == q.group) {
				views = append(views, sentView{m.ID, a.number, m.To, m.Delivered, m.Read, m.Played})
			}
		}
	}
	return views[max(0, len(views)-q.limit):], nil
}

func (a *account) listSent() []Sent {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Sent, 0, len(a.sentOrder))
	for _, id := range a.sentOrder {
		list = append(list, a.sent[id].status)
	}
	return list
}
