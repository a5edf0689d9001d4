package archtest

// module is the name that every import of our own begins with.
const module = "portaria"

// apart is the floor of rooms that stand beside the house: they may use the
// ground floor, and only the top floor and tests may use them.
const apart = 0

// top is the floor where everything is wired together.
const top = 5

// floors says on which floor each room stands (docs/ARCHITECTURE.md). A room
// is a folder with all folders in it; the longest name that fits counts. A
// package in no room fails the test: give a new room its floor here.
var floors = map[string]int{
	"cmd/portaria":   top,
	"internal/bench": top,

	"gateway": 4,
	"store":   4,

	"auth":      3,
	"outbox":    3,
	"instances": 3,
	"sandbox":   3,
	"events":    3,
	"media":     3,

	"messaging": 2,

	"internal/fault":  1,
	"internal/guard":  1,
	"internal/qrcode": 1,
	"internal/queue":  1,
	"internal/seal":   1,
	"internal/sheet":  1,
	"migrations":      1,

	"docs/snippets":     apart,
	"examples":          apart,
	"wasim":             apart,
	"internal/archtest": apart,
	"internal/testbin":  apart,
	"internal/testpg":   apart,
}

// toolbox is the room, apart, that the other rooms apart may use: what brings
// programs to the tests.
const toolbox = "internal/testbin"

// fence keeps some imports inside some folders.
type fence struct {
	what    string
	imports []string // a path and all below it
	folders []string
}

var fences = []fence{
	{
		what:    "Fiber",
		imports: []string{"github.com/gofiber", "github.com/valyala/fasthttp"},
		folders: []string{"gateway", "internal/bench"}, // bench: the raw server that ours is measured against
	},
	{
		what:    "SQL",
		imports: []string{"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq", "modernc.org/sqlite", "github.com/pressly/goose"},
		// whatsapp: whatsmeow's own tables, behind its store; bench: the bare inserts that ours are measured against
		folders: []string{"store", "migrations", "internal/testpg", "instances/whatsapp", "internal/bench"},
	},
	{
		what:    "whatsmeow",
		imports: []string{"go.mau.fi/whatsmeow"},
		folders: []string{"instances/whatsapp", "wasim", "internal/bench"}, // bench: the bare client that ours is measured against
	},
}

// nounsRoom is the room of the vocabulary: the standard library without I/O,
// and nounsMayUse, is all that it knows.
const (
	nounsRoom   = "messaging"
	nounsMayUse = "internal/fault"
)

var inputOutput = []string{"database/sql", "net", "os", "syscall"}

// tenancyMakers are the rooms that may build a Tenancy. Everywhere else one is
// handed on, so that request data can never become a right.
var tenancyMakers = []string{"auth", "cmd/portaria", "store"}
