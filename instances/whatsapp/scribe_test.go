package whatsapp

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

// ledger is a database that takes its time and forgets a transaction that
// failed.
type ledger struct {
	mu        sync.Mutex
	committed []int
	commits   int
	tries     int
}

type ledgerKey struct{}

func (l *ledger) begin(ctx context.Context, f func(context.Context) error) error {
	var written []int
	err := f(context.WithValue(ctx, ledgerKey{}, &written))
	<-time.After(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries++
	if err != nil {
		return err
	}
	l.commits++
	l.committed = append(l.committed, written...)
	return nil
}

func note(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		written, ok := ctx.Value(ledgerKey{}).(*[]int)
		if !ok {
			return errors.New("not in a transaction")
		}
		*written = append(*written, n)
		return nil
	}
}

// has reports whether an entry is committed.
func (l *ledger) has(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.committed {
		if c == n {
			return true
		}
	}
	return false
}

// TestMessagesOfManyInstancesShareACommit and none is told before its own is
// over: its frame would leave with a key that a crash makes new again.
func TestMessagesOfManyInstancesShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(ledger)
		s := &scribe{begin: l.begin}
		const instances, each = 50, 20
		var all sync.WaitGroup
		for i := range instances {
			all.Go(func() {
				for k := range each {
					n := i*each + k
					if err := s.write(t.Context(), note(n)); err != nil || !l.has(n) {
						t.Errorf("entry %d: %v, committed: %v", n, err, l.has(n))
					}
				}
			})
		}
		all.Wait()
		if len(l.committed) != instances*each {
			t.Errorf("%d entries are committed, want %d", len(l.committed), instances*each)
		}
		if l.commits > 2*each {
			t.Errorf("%d commits for %d entries of %d instances", l.commits, instances*each, instances)
		}
	})
}

// TestAnEntryThatCannotBeWrittenFailsAlone: the other instances' messages must
// not be held by it.
func TestAnEntryThatCannotBeWrittenFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(ledger)
		s := &scribe{begin: l.begin}
		var all sync.WaitGroup
		for n := range 10 {
			all.Go(func() {
				write, want := note(n), error(nil)
				if n == 7 {
					write, want = func(context.Context) error { return errBroken }, errBroken
				}
				if err := s.write(t.Context(), write); !errors.Is(err, want) {
					t.Errorf("entry %d: %v, want %v", n, err, want)
				}
			})
		}
		all.Wait()
		if len(l.committed) != 9 || l.has(7) {
			t.Errorf("committed: %v", l.committed)
		}
	})
}

// TestWhoGivesUpDoesNotTakeOthersAlong: a channel that closes while its message
// is being written shares the commit with channels that do not.
func TestWhoGivesUpDoesNotTakeOthersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(ledger)
		s := &scribe{begin: func(ctx context.Context, f func(context.Context) error) error {
			return l.begin(ctx, func(inner context.Context) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return f(inner)
			})
		}}
		gone, leave := context.WithCancel(t.Context())
		leave()
		var all sync.WaitGroup
		for n, ctx := range []context.Context{gone, t.Context()} {
			all.Go(func() {
				if err := s.write(ctx, note(n)); err != nil {
					t.Errorf("entry %d: %v", n, err)
				}
			})
		}
		all.Wait()
	})
}
