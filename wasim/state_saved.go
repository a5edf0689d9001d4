package wasim

import (
	"time"

	"go.mau.fi/whatsmeow/types"
)

// Of what is only needed for repeats, the latest are enough.
const (
	maxSavedReceived = 2000
	maxSavedSent     = 500
)

// The saved types are the state file. Bytes are base64 in it.
type savedState struct {
	Format   int            `json:"format"`
	Exact    bool           `json:"exact"` // written when the server was closed
	IDs      uint64         `json:"ids"`
	Arrivals uint64         `json:"arrivals"`
	Accounts []savedAccount `json:"accounts"`
	Groups   []savedGroup   `json:"groups"`
	Made     uint64         `json:"groups_made"`
}

type savedAccount struct {
	Number     string          `json:"number"`
	Behaviour  savedBehaviour  `json:"behaviour,omitzero"`
	PushName   []byte          `json:"push_name,omitzero"`
	LastDevice uint16          `json:"last_device,omitzero"`
	Devices    []savedDevice   `json:"devices,omitzero"`
	Received   []savedReceived `json:"received,omitzero"`
	Held       []savedArrival  `json:"held,omitzero"`
	Sent       []savedSent     `json:"sent,omitzero"`
	Party      savedParty      `json:"party,omitzero"`
}

// savedBehaviour is a behaviour but for an answer that is code.
type savedBehaviour struct {
	Missing bool   `json:"missing,omitzero"`
	Off     bool   `json:"off,omitzero"`
	Unread  bool   `json:"unread,omitzero"`
	Plays   bool   `json:"plays,omitzero"`
	Blocks  bool   `json:"blocks,omitzero"`
	Name    string `json:"name,omitzero"`
	Answers string `json:"answers,omitzero"`
}

type savedDevice struct {
	ID           uint16     `json:"id"`
	Noise        [32]byte   `json:"noise"`
	Registration uint32     `json:"registration"`
	Identity     [32]byte   `json:"identity"`
	Signed       savedKey   `json:"signed"`
	Signature    [64]byte   `json:"signature"`
	OneTime      []savedKey `json:"one_time"`
	Asked        bool       `json:"asked,omitzero"`
	Told         bool       `json:"told,omitzero"`
	Pending      [][]byte   `json:"pending,omitzero"`
	UsesPN       []string   `json:"uses_pn,omitzero"`
}

type savedKey struct {
	ID  uint32   `json:"id"`
	Pub [32]byte `json:"pub"`
}

type savedReceived struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	Device  uint16    `json:"device"`
	Group   string    `json:"group,omitzero"`
	Message []byte    `json:"message"`
	At      time.Time `json:"at"`
	Order   uint64    `json:"order"`
	Retries int       `json:"retries,omitzero"`
	Copies  int       `json:"copies,omitzero"`
}

type savedArrival struct {
	From   string        `json:"from"`
	Device uint16        `json:"device"`
	ID     string        `json:"id"`
	To     types.JID     `json:"to"`
	Sealed []savedSealed `json:"sealed"`
	Order  uint64        `json:"order"`
	At     time.Time     `json:"at"`
}

type savedSealed struct {
	Kind  string `json:"kind"`
	Data  []byte `json:"data"`
	Count int    `json:"count,omitzero"`
}

type savedSent struct {
	ID        string    `json:"id"`
	To        string    `json:"to,omitzero"`
	Group     types.JID `json:"group,omitzero"`
	Plain     []byte    `json:"plain"`
	Kind      string    `json:"kind"`
	MediaType string    `json:"media_type,omitzero"`
	Edit      string    `json:"edit,omitzero"`
	Category  string    `json:"category,omitzero"`
	Retries   int       `json:"retries,omitzero"`
	Delivered bool      `json:"delivered,omitzero"`
	Read      bool      `json:"read,omitzero"`
	Played    bool      `json:"played,omitzero"`
}

type savedParty struct {
	Sessions   map[string][]byte `json:"sessions,omitzero"`
	SenderKeys map[string][]byte `json:"sender_keys,omitzero"`
	PreKeys    map[uint32][]byte `json:"prekeys,omitzero"`
	LastPreKey uint32            `json:"last_prekey,omitzero"`
}

type savedGroup struct {
	ID        types.JID     `json:"id"`
	Creator   string        `json:"creator"`
	Created   time.Time     `json:"created"`
	Subject   string        `json:"subject"`
	SubjectBy string        `json:"subject_by"`
	SubjectAt time.Time     `json:"subject_at"`
	Members   []savedMember `json:"members"`
}

type savedMember struct {
	Number string `json:"number"`
	Role   string `json:"role,omitzero"`
}
