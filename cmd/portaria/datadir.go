package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"portaria/internal/fault"
)

var errDataDir = fault.New(fault.Unavailable, "DATA_DIR_UNUSABLE",
	"The data directory cannot be used: check --data-dir, that this user may write to it, and that the disk has room.")

// The modes of the data folder and of the files in it: they hold secrets.
const (
	dataDirMode  fs.FileMode = 0o700
	dataFileMode fs.FileMode = 0o600
)

// mediaFolder holds the files of messages.
const mediaFolder = "media"

// ownFiles lists every file that Portaria keeps in the data folder. Whatever
// else lies there is somebody else's. Nobody writes to it.
var ownFiles = []string{
	"portaria.db", "portaria.db-wal", "portaria.db-shm", "portaria.db-journal", "portaria.db.lock",
	"whatsapp.db", "whatsapp.db-wal", "whatsapp.db-shm", "whatsapp.db-journal",
	secretKeyFile, secretKeyDraft,
}

// prepareDataDir makes the data folder and mends looser modes than 0700 and
// 0600. It only touches what is Portaria's own: --data-dir may name any folder,
// also one that other programs live in.
func (c *Config) prepareDataDir(log *slog.Logger) error {
	if err := os.MkdirAll(c.DataDir, dataDirMode); err != nil {
		return errDataDir.Because(err)
	}
	loose, err := looseModes(c.DataDir)
	if err != nil {
		return errDataDir.Because(err)
	}
	for _, l := range loose {
		err := os.Chmod(l.path, l.want)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrPermission): // a volume whose folder is another user's
			log.Warn("permissions are too wide and belong to another user", "path", l.path, "are", l.was.String())
		case err != nil:
			return errDataDir.Because(err)
		default:
			log.Warn("permissions were too wide and have been narrowed", "path", l.path, "was", l.was.String())
		}
	}
	return nil
}

// looseMode is a file or folder of Portaria's that others may use.
type looseMode struct {
	path      string
	was, want fs.FileMode
}

// looseModes finds what of the data folder is to be narrowed: Portaria's own
// files directly in it, never what links point to, and when it is Portaria's
// alone, the folder itself and that of the media.
func looseModes(dir string) (found []looseMode, err error) {
	folder, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if isOwnFolder(folder, entries) {
		found = appendLoose(found, dir, folder, dataDirMode)
	}
	for _, e := range entries {
		allowed := dataFileMode
		switch {
		case e.IsDir() && e.Name() == mediaFolder && isOwnFolder(folder, entries):
			allowed = dataDirMode
		case !e.Type().IsRegular() || !slices.Contains(ownFiles, e.Name()):
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // a file of a database that another process closed just now
		}
		if err != nil {
			return nil, err
		}
		found = appendLoose(found, filepath.Join(dir, e.Name()), info, allowed)
	}
	return found, nil
}

func appendLoose(found []looseMode, path string, info fs.FileInfo, allowed fs.FileMode) []looseMode {
	was := info.Mode()
	if was.Perm()&^allowed == 0 {
		return found
	}
	return append(found, looseMode{path, was.Perm(), was.Perm()&allowed | was&(fs.ModeSetgid|fs.ModeSticky)})
}

// isOwnFolder reports whether a folder is Portaria's alone: an empty one, and
// one that holds its database or key. Not, however, one that all users share, or
// one with folders of others in it: a server that was once started with
// --data-dir / must not lock the machine up when it is started again.
func isOwnFolder(folder fs.FileInfo, entries []fs.DirEntry) bool {
	if folder.Mode()&fs.ModeSticky != 0 {
		return false
	}
	own := len(entries) == 0
	for _, e := range entries {
		switch {
		case e.IsDir() && e.Name() != mediaFolder && e.Name() != "lost+found": // which every new disk has
			return false
		case e.Name() == "portaria.db", e.Name() == secretKeyFile:
			own = true
		}
	}
	return own
}

// writeSecret writes a small file so that a crash leaves the whole of it or
// nothing: to a draft beside it, which takes its name once it is on the disk.
func writeSecret(path, draft string, text []byte) error {
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, dataFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", draft, err)
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes names that were given in a folder outlive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
