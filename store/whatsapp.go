package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// whatsappFile is the database of linked sessions in the data directory. It is
// apart from ours, because its writer is another one and its rows are another
// program's.
const whatsappFile = "whatsapp.db"

// whatsappPragmas are those of our own database, but for the checkpoints: this
// one is small, and its single connection makes them as it goes.
var whatsappPragmas = []pragma{
	{"journal_mode", "WAL", "wal"},
	{"synchronous", "FULL", "2"},
	{"busy_timeout", "10000", "10000"},
	{"foreign_keys", "ON", "1"},
	{"cache_size", "-16384", "-16384"},
	{"temp_store", "MEMORY", "2"},
}

// whatsappConns is how many connections sessions may use on PostgreSQL.
const whatsappConns = 20

// OpenWhatsApp opens the database in which linked sessions are kept: the same
// one on PostgreSQL, whatsapp.db in the data directory on SQLite. It returns the
// name of its dialect as whatsmeow spells it. The caller closes it. Faults: those
// of Open.
//
// On SQLite there is one connection. Whoever writes waits in Go, in order, so
// that no write of a session can fail for a lock.
func OpenWhatsApp(ctx context.Context, o Options) (db *sql.DB, dialect string, err error) {
	if o.DatabaseURL != "" {
		if !strings.HasPrefix(o.DatabaseURL, "postgres://") && !strings.HasPrefix(o.DatabaseURL, "postgresql://") {
			return nil, "", ErrDatabaseURL
		}
		w, _, err := openPostgres(ctx, o.DatabaseURL)
		if err != nil {
			return nil, "", err
		}
		w.SetMaxOpenConns(whatsappConns)
		w.SetMaxIdleConns(whatsappConns)
		w.SetConnMaxIdleTime(time.Minute)
		return w.DB, "postgres", nil
	}
	w, err := openWhatsAppFile(ctx, filepath.Join(o.DataDir, whatsappFile))
	if err != nil {
		return nil, "", err
	}
	return w.DB, "sqlite3", nil
}

func openWhatsAppFile(ctx context.Context, path string) (*sqlx.DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, ErrDataDir.Because(err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	query := url.Values{"_txlock": {"immediate"}}
	for _, p := range whatsappPragmas {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	db, err := connect(ctx, "sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := checkPragmas(ctx, db, whatsappPragmas); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
