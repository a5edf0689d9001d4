package testbin

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Account is whom a server runs as.
type Account struct {
	Credential *syscall.Credential // nil: as this process
}

// Unprivileged returns this process's user, or for root the first of the named
// users that the machine has: some servers refuse to run as root, and the others
// need not.
func Unprivileged(names ...string) (Account, error) {
	if os.Geteuid() != 0 {
		return Account{}, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return Account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return Account{}, fmt.Errorf("testbin: no server of the tests runs as root, and this machine has none of the users %v: "+
		"add one of them, or run the tests as another user", names)
}

// Environment is small on purpose: PGPORT and its like would change what a
// server does.
func (a Account) Environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Folder makes a temporary folder that belongs to the account. Its path has no
// links in it. Whoever asks for it removes it.
func (a Account) Folder(pattern string) (string, error) {
	dir, err := os.MkdirTemp(a.folderParent(), pattern)
	if err != nil {
		return "", fmt.Errorf("testbin: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("testbin: %w", err)
	}
	if c := a.Credential; c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			return "", fmt.Errorf("testbin: %w", err)
		}
	}
	return dir, nil
}

// folderParent is the temporary folder, unless it lies where only root may go.
func (a Account) folderParent() string {
	dir := os.TempDir()
	if a.Credential == nil {
		return dir
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}
