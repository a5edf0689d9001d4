package wasim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/internal/fault"
)

// ErrState says that a state file cannot be used. It is never overwritten then.
var ErrState = fault.New(fault.Conflict, "WASIM_STATE_UNUSABLE", "The state file is damaged, or another version wrote it: delete it to begin anew.")

const (
	stateFormat = 1
	// stateDelay is how long changes are gathered before they are written.
	stateDelay = 200 * time.Millisecond
	// stateShare bounds the share of its time that a server spends writing a
	// large state: after a write of one second it waits for ten.
	stateShare = 10
)

// stateFile keeps what a server knows in a file, so that clients need not be
// linked again when the simulator is started anew. The file is whole at any
// time: it is written beside and renamed. A nil *stateFile keeps nothing.
//
// After Close the file is exact. After a crash it is some moments old, and the
// contacts' sessions in it would encrypt with keys that were used before, which
// clients drop in silence. So they are forgotten then: clients that have others
// are asked once to encrypt anew, as after a phone's loss.
type stateFile struct {
	srv     *Server
	path    string
	changed chan struct{} // has a token when there is something to write
	stop    chan struct{}
	done    sync.WaitGroup

	writing sync.Mutex // one write at a time
}

// openState reads the file, if there is one, and begins to keep it.
func (s *Server) openState(path string) error {
	if path == "" {
		return nil
	}
	f := &stateFile{srv: s, path: path, changed: make(chan struct{}, 1), stop: make(chan struct{})}
	if err := f.read(); err != nil {
		return err
	}
	// From now on the file is not exact any more.
	if err := f.write(false); err != nil {
		return err
	}
	s.state = f
	f.done.Go(f.run)
	return nil
}

// note says that there is something to write.
func (f *stateFile) note() {
	if f == nil {
		return
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// flush writes at once: a client that has been linked must be known after a
// crash as well.
func (f *stateFile) flush() error {
	if f == nil {
		return nil
	}
	return f.write(false)
}

// close writes the exact state. The server has stopped.
func (f *stateFile) close() error {
	if f == nil {
		return nil
	}
	close(f.stop)
	f.done.Wait()
	return f.write(true)
}

func (f *stateFile) run() {
	for {
		select {
		case <-f.changed:
		case <-f.stop:
			return
		}
		if !f.pause(stateDelay) {
			return
		}
		began := time.Now()
		if err := f.write(false); err != nil {
			f.srv.log.Error("state cannot be written", "file", f.path, "error", err)
		}
		if !f.pause(stateShare * time.Since(began)) {
			return
		}
	}
}

// pause waits, and reports false when the server is closed meanwhile.
func (f *stateFile) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.stop:
		return false
	}
}

func (f *stateFile) read() (err error) {
	// The Signal library panics on some of what a damaged file may hold.
	defer func() {
		if r := recover(); r != nil {
			err = ErrState.Because(fmt.Errorf("read the state: %v", r))
		}
	}()
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	var saved savedState
	if err := json.Unmarshal(text, &saved); err != nil {
		return ErrState.Because(err)
	}
	if saved.Format != stateFormat {
		return ErrState.With("format", saved.Format)
	}
	if err := f.srv.restore(&saved); err != nil {
		return ErrState.Because(err)
	}
	return nil
}

func (f *stateFile) write(exact bool) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	saved, err := f.srv.snapshot()
	if err != nil {
		return fmt.Errorf("gather the state: %w", err)
	}
	saved.Format, saved.Exact = stateFormat, exact
	text, err := json.Marshal(saved, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	if err := replaceFile(f.path, text); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

// replaceFile makes a file hold text, all of it or, after a crash, nothing of it.
func replaceFile(path string, text []byte) (err error) {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = draft.Write(text)
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}
