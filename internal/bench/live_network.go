package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/wasim"
)

const (
	// contactsEach is how many contacts a phone writes to in turn. The first
	// message to one is dearer, and is sent before anything is measured.
	contactsEach = 16
	// ahead is how many messages of an instance may be on their way: enough that
	// it never waits for a caller, and no backlog that costs a database memory.
	ahead = 64
	// farAway is the round trip of the second measurement.
	farAway = 80 * time.Millisecond
	// linkLimit bounds how long phones may take to be linked, or to come back,
	// and messages to arrive.
	linkLimit = 2 * time.Minute
)

// network is a simulated WhatsApp in this process. Both sides of a comparison
// are other processes, send to it alike, and are counted here: a message counts
// when its contact has decrypted it.
type network struct {
	sim     *wasim.Server
	ca      string // a file
	phones  int
	arrived []atomic.Int64  // by phone
	room    []chan struct{} // by phone; one token for each message on its way
}

// newNetwork starts a network with some phones and their contacts.
func (b *bench) newNetwork(phones int) (*network, error) {
	sim, err := wasim.Start(wasim.Options{})
	if err != nil {
		return nil, err
	}
	n := &network{sim: sim, ca: filepath.Join(b.dir, "ca.pem"), phones: phones, arrived: make([]atomic.Int64, phones)}
	if err := os.WriteFile(n.ca, wasim.CAPEM(), 0o600); err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	for i := range phones {
		n.room = append(n.room, make(chan struct{}, ahead))
		for k := range contactsEach {
			sim.Contact(contactNumber(k*phones + i)).AnswerWith(func(wasim.Received) string {
				n.note(i)
				return ""
			})
		}
	}
	return n, nil
}

// note counts a message of a phone, and lets its feeder send another.
func (n *network) note(phone int) {
	n.arrived[phone].Add(1)
	select {
	case <-n.room[phone]:
	default: // whoever sent it waits for no token
	}
}

// contactNumber is the n-th recipient of a load (setRecipient); it belongs to
// the phone n modulo the number of phones.
func contactNumber(n int) string {
	return fmt.Sprintf("%s%08d", firstRecipient[1:len(firstRecipient)-8], n)
}

// phoneNumber is the number of the i-th phone, of another city.
func phoneNumber(i int) string { return fmt.Sprintf("55219%08d", i) }

// environment makes a gateway take this network for WhatsApp.
func (n *network) environment() []string {
	key := wasim.RootKey()
	return []string{
		"PORTARIA_WHATSAPP_ADDR=" + n.sim.Addr(),
		"PORTARIA_WHATSAPP_CA=" + n.ca,
		"PORTARIA_WHATSAPP_ROOT_KEY=" + hex.EncodeToString(key[:]),
	}
}

// scan links the phones from the first on to the clients that show these codes,
// all at once.
func (n *network) scan(ctx context.Context, first int, codes []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, code := range codes {
		group.Go(func() error {
			if err := n.sim.Phone(phoneNumber(first+i)).ScanQR(ctx, code); err != nil {
				return fmt.Errorf("scan of phone %d: %w", first+i, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// connected waits until every phone's client is logged in.
func (n *network) connected(ctx context.Context) error {
	return eventually(ctx, "the clients are connected", func() (bool, error) {
		for i := range n.phones {
			if !n.sim.Phone(phoneNumber(i)).Connected() {
				return false, nil
			}
		}
		return true, nil
	})
}

// returned restarts the network and measures the time until every client is
// back.
func (n *network) returned(ctx context.Context) (time.Duration, error) {
	if err := n.sim.Restart(); err != nil {
		return 0, err
	}
	began := time.Now()
	err := n.connected(ctx)
	return time.Since(began), err
}

// total is how many messages have arrived.
func (n *network) total() (sum int64) {
	for i := range n.arrived {
		sum += n.arrived[i].Load()
	}
	return sum
}

// flow measures the messages that arrive while the window is open, and what
// they cost the senders' processes.
func (n *network) flow(ctx context.Context, m meter, w window) (perSecond, cpuMicros float64, err error) {
	if err := sleepUntil(ctx, w.from); err != nil {
		return 0, 0, err
	}
	before := n.total()
	spent, err := m.during(ctx, w)
	if err != nil {
		return 0, 0, err
	}
	messages := float64(n.total() - before)
	if messages == 0 {
		return 0, 0, errors.New("not one message arrived while it was measured")
	}
	return messages / w.until.Sub(w.from).Seconds(), float64(spent) / float64(time.Microsecond) / messages, nil
}

// nearAndFar measures a flow without a delay in the network, and with one.
func (b *bench) nearAndFar(ctx context.Context, n *network, m meter) (sample, error) {
	near, spent, err := n.flow(ctx, m, b.window())
	if err != nil {
		return nil, err
	}
	n.sim.SetRoundTrip(farAway)
	defer n.sim.SetRoundTrip(0)
	far, _, err := n.flow(ctx, m, b.window())
	if err != nil {
		return nil, fmt.Errorf("at %s: %w", farAway, err)
	}
	return sample{rate: near, cpu: spent, rateFar: far}, nil
}

// eventually asks often until a condition holds, but not for ever.
func eventually(ctx context.Context, what string, holds func() (bool, error)) error {
	return within(ctx, linkLimit, what, holds)
}

// within asks often until a condition holds, for so long at most.
func within(ctx context.Context, limit time.Duration, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := holds()
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("did not happen: %s: %w", what, ctx.Err())
		}
	}
}
