package testpg

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"portaria/internal/testbin"
)

// postgres is the server, with what makes its data folder beside it. Debian
// keeps one folder for each major version.
func postgres() testbin.Program {
	return testbin.Program{
		Name: "postgres", Beside: []string{"initdb"}, Package: "postgresql",
		Paths: []string{"/usr/lib/postgresql/*/bin/postgres"},
		Otherwise: "; Fedora: dnf install postgresql-server; macOS: brew install postgresql; " +
			"or set " + EnvURL + " to a server where the tests may create databases",
	}
}

// serverBinaries returns the folder that holds initdb and postgres.
func serverBinaries(ctx context.Context) (string, error) {
	path, err := testbin.Find(ctx, postgres())
	return filepath.Dir(path), err
}

// unprivilegedUser returns whom the server runs as: it refuses to run as root.
func unprivilegedUser() (testbin.Account, error) { return testbin.Unprivileged("postgres", "nobody") }

func initDB(ctx context.Context, bin, dir string, owner testbin.Account) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata="+data(dir), "--username="+superuser, "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.Env = dir, owner.Environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner.Credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testpg: initdb: %w: %s", err, out)
	}
	return nil
}
