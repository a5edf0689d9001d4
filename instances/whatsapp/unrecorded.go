package whatsapp

import (
	"sync"

	"portaria/messaging"
)

// maxUnrecorded bounds the files that wait for their messages.
const maxUnrecorded = 256

// fileKey names an inbound message with a file.
type fileKey struct{ instanceID, waID string }

// unrecorded are files that were kept and whose messages were not recorded, as
// far as is known: the channel closed first. Such a message comes again with the
// next connection, and finds its file here. The file cannot be dropped instead,
// because a report that was not answered may have been recorded all the same.
type unrecorded struct {
	mu    sync.Mutex
	files map[fileKey]messaging.MediaInfo
}

func (u *unrecorded) put(k fileKey, info messaging.MediaInfo) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil || len(u.files) >= maxUnrecorded {
		u.files = make(map[fileKey]messaging.MediaInfo) // at worst files are fetched again
	}
	u.files[k] = info
}

func (u *unrecorded) find(k fileKey) (messaging.MediaInfo, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, ok := u.files[k]
	return info, ok
}

// settle forgets a file whose message is recorded.
func (u *unrecorded) settle(k fileKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.files, k)
}
