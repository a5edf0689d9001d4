package testpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is whom the server runs as.
type account struct {
	name       string
	credential *syscall.Credential // nil: as this process
}

// unprivilegedUser returns this process's user, or for root another: the
// server refuses to run as root.
func unprivilegedUser() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &account{name, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return nil, fmt.Errorf("testpg: PostgreSQL refuses to run as root, and this machine has neither a user postgres " +
		"nor nobody: add one of them, or run the tests as another user")
}

// environment is small on purpose: PGPORT and its like would change what
// initdb and the server do.
func (a *account) environment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// newFolder makes the server's folder and gives it to its user.
func newFolder(owner *account) (string, error) {
	dir, err := os.MkdirTemp(folderParent(owner), "portaria-pg-")
	if err != nil {
		return "", fmt.Errorf("testpg: %w", err)
	}
	// initdb and the server compare paths after resolving links.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("testpg: %w", err)
	}
	if c := owner.credential; c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			return "", fmt.Errorf("testpg: %w", err)
		}
	}
	return dir, nil
}

// folderParent is the temporary folder, unless it lies where only root may go.
func folderParent(owner *account) string {
	dir := os.TempDir()
	if owner.credential == nil {
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

func initDB(ctx context.Context, bin, dir string, owner *account) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata="+filepath.Join(dir, "data"), "--username="+superuser, "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.Env = dir, owner.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner.credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testpg: initdb: %w: %s", err, out)
	}
	return nil
}
