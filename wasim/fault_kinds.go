package wasim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"portaria/internal/fault"
)

// FaultName names a thing that can go wrong. The names are the same in Go, on
// the control port and on the command line.
type FaultName string

// The faults. FaultKinds says what each does and which options it takes.
const (
	FaultDrop           FaultName = "drop"
	FaultStreamError    FaultName = "stream-error"
	FaultReplaced       FaultName = "replaced"
	FaultDeviceRemoved  FaultName = "device-removed"
	FaultLoginFailure   FaultName = "login-failure"
	FaultAckError       FaultName = "ack-error"
	FaultNoAck          FaultName = "no-ack"
	FaultLostMessage    FaultName = "lost-message"
	FaultSlowAck        FaultName = "slow-ack"
	FaultLostFrame      FaultName = "lost-frame"
	FaultDuplicateFrame FaultName = "duplicate-frame"
	FaultLookupError    FaultName = "lookup-error"
	FaultMediaError     FaultName = "media-error"
	FaultRoundTrip      FaultName = "round-trip"
	FaultHalfOpen       FaultName = "half-open"
	FaultOutage         FaultName = "outage"
)

// Moment is when a fault strikes.
type Moment string

// The moments.
const (
	AtOnce    Moment = "at once"          // the connections of the moment, once
	AtLogin   Moment = "at a login"       // each of the next Count logins
	AtMessage Moment = "at a message"     // each of the next Count messages of a client
	AtLookup  Moment = "at a lookup"      // each of the next Count questions about numbers or devices
	AtMedia   Moment = "at a file"        // each of the next Count uploads and downloads
	Standing  Moment = "until it is over" // for a time, or until ClearFaults
)

// UntilCleared as a Fault's Count makes it strike until ClearFaults.
const UntilCleared = -1

// Fault is something that goes wrong on command. Its zero options mean: every
// account, every contact, once.
type Fault struct {
	Name    FaultName
	Number  string        // only the clients of this account
	Contact string        // only messages to this number, or to this group's address
	Code    int           // which error
	Ban     int           // with a login refused by 402: what the ban is for, 101 when zero
	Expire  time.Duration // with a login refused by 402: how long the ban lasts, an hour when zero
	Count   int           // how often; zero is once, or as often as it comes with For
	Delay   time.Duration // how much later
	For     time.Duration // how long; zero is without end
}

// ErrFault says that a fault is unknown or does not fit its options.
var ErrFault = fault.New(fault.Invalid, "WASIM_FAULT_INVALID", "There is no such fault, or its options do not fit.")

// FaultKind tells what a fault does.
type FaultKind struct {
	Name    FaultName
	When    Moment
	Options []string // those of Fault's options that it takes; the first Needs of them are needed
	Needs   int
	Help    string // what the server does
	Client  string // what whatsmeow does
}

// faultKind adds to a kind what it does: to each connection of the moment, to
// a login, to a message, or to the server as a whole. None of them is set when
// the code is all there is to it.
type faultKind struct {
	FaultKind
	strike  func(c *conn, f Fault)
	login   func(f Fault) *LoginFault
	message func(f Fault) MessageFault
	whole   func(s *Server, f Fault) (met int, err error)
}

// FaultKinds returns the table of all faults.
func FaultKinds() []FaultKind {
	var kinds []FaultKind
	for _, k := range faultTable() {
		kinds = append(kinds, k.FaultKind)
	}
	return kinds
}

// faultTable is the one place that knows every fault.
func faultTable() []faultKind {
	return slices.Concat(connectionFaults(), messageFaults(), serverFaults())
}

func connectionFaults() []faultKind {
	return []faultKind{
		{
			FaultKind: FaultKind{
				FaultDrop, AtOnce,
				[]string{"number"},
				0,
				"ends the connection without a word", "Disconnected; connects again at once",
			},
			strike: func(c *conn, _ Fault) { c.drop() },
		}, {
			FaultKind: FaultKind{
				FaultStreamError, AtOnce,
				[]string{"code", "number"},
				1,
				"ends the stream with this code: 515, 503, or another",
				"515: connects again silently; 503: Disconnected, connects again; else StreamError",
			},
			strike: func(c *conn, f Fault) { c.finish(streamError(strconv.Itoa(f.Code), "")) },
		}, {
			FaultKind: FaultKind{
				FaultReplaced, AtOnce,
				[]string{"number"},
				0,
				"says that another client has taken the stream over", "StreamReplaced; stays away",
			},
			strike: func(c *conn, _ Fault) { c.finish(streamError("", "replaced")) },
		}, {
			FaultKind: FaultKind{
				FaultDeviceRemoved, AtOnce,
				[]string{"number"},
				0,
				"unlinks the devices, also those that are offline", "LoggedOut; forgets its session, at once or at its next login",
			},
			whole: (*Server).removeDevices,
		}, {
			FaultKind: FaultKind{
				FaultLoginFailure, AtLogin,
				[]string{"code", "number", "ban", "expire", "count", "for"},
				1,
				"refuses the login: 401, 403, 406, 402 (banned for a time), 405 (outdated), 500, 503, or another",
				"401, 403, 406: LoggedOut; 402: TemporaryBan; 405: ClientOutdated; 500, 503: tries again; else ConnectFailure",
			},
			login: loginFailure,
		},
	}
}

// loginFailure is a refused login. A ban has a code and an end, which clients
// need.
func loginFailure(f Fault) *LoginFault {
	refusal := &LoginFault{Reason: f.Code, Code: f.Ban, Expire: f.Expire}
	const banned, forSpam = 402, 101
	if f.Code == banned && refusal.Code == 0 {
		refusal.Code = forSpam
	}
	if f.Code == banned && refusal.Expire == 0 {
		refusal.Expire = time.Hour
	}
	return refusal
}

func messageFaults() []faultKind {
	kind := func(name FaultName, help, client string, message func(Fault) MessageFault, needed ...string) faultKind {
		options := append(slices.Clip(needed), "number", "contact", "count", "for")
		return faultKind{FaultKind: FaultKind{name, AtMessage, options, len(needed), help, client}, message: message}
	}
	return []faultKind{
		kind(FaultAckError, "refuses the message: 463, 479, 429, or another; nobody sees it", "SendMessage: server returned error N",
			func(f Fault) MessageFault { return MessageFault{AckError: f.Code} }, "code"),
		kind(FaultNoAck, "shows the message to the contact and does not answer", "SendMessage waits 75 s, and all others of this client with it",
			func(Fault) MessageFault { return MessageFault{NoAck: true} }),
		kind(FaultLostMessage, "loses the message and does not answer", "as no-ack",
			func(Fault) MessageFault { return MessageFault{NoAck: true, Lose: true} }),
		kind(FaultSlowAck, "takes the message and answers this much later", "SendMessage takes as long",
			func(f Fault) MessageFault { return MessageFault{AckDelay: f.Delay} }, "delay"),
		kind(FaultLostFrame, "ends the connection when a message arrives, and loses it", "sends the same frame again when connected within 5 s",
			func(Fault) MessageFault { return MessageFault{DropBefore: true} }),
		kind(FaultDuplicateFrame, "takes the message, and ends the connection before its answer has left", "sends the same frame again when connected within 5 s",
			func(Fault) MessageFault { return MessageFault{DropAfter: true} }),
	}
}

func serverFaults() []faultKind {
	return []faultKind{
		{
			FaultKind: FaultKind{
				FaultLookupError, AtLookup,
				[]string{"code", "number", "count", "for"},
				1,
				"refuses to tell who is on WhatsApp and with which devices: 429, or another", "IQError: status 429",
			},
		}, {
			FaultKind: FaultKind{
				FaultMediaError, AtMedia,
				[]string{"code", "count", "for"},
				1,
				"answers an upload or a download of anybody with this status",
				"downloads: 429 and 5xx are tried again after 1 … 5 s; uploads fail",
			},
		}, {
			FaultKind: FaultKind{
				FaultRoundTrip, Standing,
				[]string{"delay"},
				0,
				"delays every answer by this much; none ends it", "everything takes as long",
			},
			whole: func(s *Server, f Fault) (int, error) {
				s.extraDelay.Store(int64(f.Delay))
				return 0, nil
			},
		}, {
			FaultKind: FaultKind{
				FaultHalfOpen, Standing,
				[]string{"number", "for"},
				0,
				"takes connections and says nothing; those that it struck stay silent for ever",
				"KeepAliveTimeout after 30 s, connects again after 3 min; a new connection fails after 20 s",
			},
			strike: func(c *conn, _ Fault) { c.silent.Store(true) },
		}, {
			FaultKind: FaultKind{
				FaultOutage, Standing,
				[]string{"for"},
				0,
				"drops everything and refuses connections", "Disconnected; tries again after 0, 2, 4, 6 … s",
			},
			whole: func(s *Server, f Fault) (int, error) { return 0, s.goDown(f.For) },
		},
	}
}

// options are the options of a fault that were given, by name.
func (f Fault) options() map[string]bool {
	return map[string]bool{
		"number": f.Number != "", "contact": f.Contact != "", "code": f.Code != 0, "ban": f.Ban != 0,
		"expire": f.Expire != 0, "count": f.Count != 0, "delay": f.Delay != 0, "for": f.For != 0,
	}
}

// kind returns the kind of a fault, or ErrFault when its options do not fit.
func (f Fault) kind() (faultKind, error) {
	table := faultTable()
	at := slices.IndexFunc(table, func(k faultKind) bool { return k.Name == f.Name })
	if at < 0 {
		return faultKind{}, ErrFault.Saying("There is no fault with this name.")
	}
	k, given := table[at], f.options()
	for name, is := range given {
		if is && !slices.Contains(k.Options, name) {
			return k, ErrFault.Saying("The fault " + string(k.Name) + " takes only: " + strings.Join(k.Options, ", ") + ".")
		}
	}
	for _, name := range k.Options[:k.Needs] {
		if !given[name] {
			return k, ErrFault.Saying("The fault " + string(k.Name) + " needs: " + name + ".")
		}
	}
	return k, f.inRange()
}

func (f Fault) inRange() error {
	const lowest, highest = 400, 599
	switch {
	case f.Code != 0 && (f.Code < lowest || f.Code > highest):
		return ErrFault.Saying("A code is between 400 and 599.")
	case f.Delay < 0 || f.For < 0 || f.Expire < 0 || f.Ban < 0 || f.Count < UntilCleared:
		return ErrFault.Saying("An option of a fault cannot be negative.")
	case f.Number != "" && !isNumber(f.Number):
		return ErrNumber
	default:
		return nil
	}
}
