package channeltest

import (
	"testing"
	"time"
)

// Network is a kind of channel, on a gateway that runs.
type Network interface {
	// Name names the channel in the output of tests.
	Name() string
	// Open returns a place for one story: a workspace of the gateway and a part
	// of the network that no other story uses.
	Open(t *testing.T) World
}

// World is where one story is played.
type World interface {
	// URL returns the gateway's address, as http://127.0.0.1:8080.
	URL() string
	// Key returns a key of the world's workspace, in the channel's environment,
	// that opens everything and is not limited.
	Key() string
	// Unpaired returns the JSON members that a new instance needs to begin
	// without a phone, with a comma before them; none when all begin so.
	Unpaired() string

	// Phone returns the number of a phone that no instance is linked to.
	Phone() string
	// Scan has a phone take the code that an instance shows: the text of a QR, or
	// one to be typed.
	Scan(t *testing.T, instanceID, phone, code string)
	// Contact returns the number of somebody with a habit.
	Contact(t *testing.T, h Habit) string
	// Carried returns the WhatsApp ids of what the network has brought to a
	// contact, in its order.
	Carried(t *testing.T, number string) []string
	// Pass lets the time pass that a story has no patience for: a world whose
	// network waits for so long moves its clock. One whose network was made quick
	// does nothing.
	Pass(t *testing.T, d time.Duration)
}

// Habit is what becomes of messages to a contact.
type Habit string

// The habits.
const (
	Reads      Habit = "reads"       // they are delivered and read
	Answers    Habit = "answers"     // they are read and answered with the same text
	NeverReads Habit = "never reads" // they are delivered
	IsOff      Habit = "is off"      // the network takes them
	Blocks     Habit = "blocks"      // the network takes them
	IsAbsent   Habit = "is absent"   // the number is not on WhatsApp
	Stutters   Habit = "stutters"    // the first two tries meet a temporary fault
	Drops      Habit = "drops"       // the first try costs the connection, which comes back
	IsSlow     Habit = "is slow"     // the network takes its time to acknowledge them
	Throttles  Habit = "throttles"   // the network refuses them, for there are too many
	Locks      Habit = "locks"       // the first try meets a lock on writing to strangers, which ends
	LogsOut    Habit = "logs out"    // the first try finds the instance unlinked on its phone
)

// Times of the networks that a story does not wait for.
const (
	lockEnds    = time.Hour
	pairingEnds = 160 * time.Second
	ackComes    = 30 * time.Second
	triedAgain  = 10 * time.Second
)
