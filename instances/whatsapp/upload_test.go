package whatsapp

import (
	"strconv"
	"testing"
	"time"
)

// A few files among many are sent again and again; they are not uploaded anew
// for those that are sent once.
func TestFilesInUseAreRemembered(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	key := func(name string) uploadKey { return uploadKey{id: name} }
	var u uploads
	u.put(key("campaign"), &uploaded{until: now.Add(time.Hour)})
	for i := range 10 * maxUploads {
		u.put(key(strconv.Itoa(i)), &uploaded{until: now.Add(time.Hour)})
		if u.find(key("campaign"), now) == nil {
			t.Fatalf("forgotten after %d others", i+1)
		}
	}
	for i := range 10 * maxUploads {
		if got, want := u.find(key(strconv.Itoa(i)), now) != nil, i >= 9*maxUploads+1; got != want {
			t.Errorf("file %d is remembered: %v", i, got)
		}
	}
	if len(u.files) != maxUploads {
		t.Errorf("%d files are remembered", len(u.files))
	}
}

// What was uploaded long ago is uploaded anew, in its old place.
func TestAnOldUploadIsNotUsed(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var u uploads
	u.put(uploadKey{id: "a"}, &uploaded{until: now})
	if u.find(uploadKey{id: "a"}, now) != nil {
		t.Error("used when its time was over")
	}
	for i := range maxUploads - 1 {
		u.put(uploadKey{id: strconv.Itoa(i)}, &uploaded{until: now.Add(time.Hour)})
	}
	u.put(uploadKey{id: "a"}, &uploaded{until: now.Add(time.Hour)})
	if u.find(uploadKey{id: "a"}, now) == nil || u.find(uploadKey{id: "0"}, now) == nil || len(u.files) != maxUploads {
		t.Errorf("%d files are remembered", len(u.files))
	}
}
