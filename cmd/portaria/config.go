package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"portaria/auth"
	"portaria/instances/proxy"
	"portaria/internal/fault"
)

// settingsGroup is where help lists the settings, apart from a command's own
// flags.
const settingsGroup = "settings"

// Config holds the settings that every command shares. Each is a flag, an
// environment variable and a default.
type Config struct {
	DataDir         string   `group:"settings" help:"Folder for the SQLite database and keys." default:"./data" env:"PORTARIA_DATA_DIR" placeholder:"DIR"`
	DatabaseURL     string   `group:"settings" help:"postgres://… ; empty: SQLite in the data folder." env:"DATABASE_URL" placeholder:"URL"`
	DatabaseURLFile string   `group:"settings" help:"File that holds the database URL." env:"DATABASE_URL_FILE" placeholder:"FILE"`
	SecretKey       string   `group:"settings" help:"32 bytes in base64; drawn and stored in the data folder when absent." env:"PORTARIA_SECRET_KEY" placeholder:"KEY"`
	SecretKeyFile   string   `group:"settings" help:"File that holds the secret key." env:"PORTARIA_SECRET_KEY_FILE" placeholder:"FILE"`
	BcryptCost      int      `group:"settings" help:"Cost of hashing keys, 4 to 14." default:"10" env:"PORTARIA_BCRYPT_COST" placeholder:"N"`
	Workspace       string   `group:"settings" help:"Name or id of the workspace." default:"default" env:"PORTARIA_WORKSPACE" placeholder:"NAME"`
	LogLevel        string   `group:"settings" help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"PORTARIA_LOG_LEVEL"`
	LogFormat       string   `group:"settings" help:"text or json." default:"text" enum:"text,json" env:"PORTARIA_LOG_FORMAT"`
	JSON            bool     `group:"settings" help:"Print exactly one JSON document on standard output." name:"json"`
	TrustedProxies  []string `group:"settings" help:"CIDRs of proxies whose forwarding headers are believed." env:"PORTARIA_TRUSTED_PROXIES" placeholder:"CIDR"`
}

// Validate refuses settings that no command could work with. kong calls it.
func (c *Config) Validate() error {
	if c.BcryptCost < auth.MinBcryptCost || c.BcryptCost > auth.MaxBcryptCost {
		return fmt.Errorf("--bcrypt-cost: must be between %d and %d", auth.MinBcryptCost, auth.MaxBcryptCost)
	}
	return nil
}

// errSecretKey is the fault of a secret key that is not the database's.
var errSecretKey = fault.New(fault.Conflict, "SECRET_KEY_MISMATCH",
	"The database belongs to another secret key: set PORTARIA_SECRET_KEY (or --secret-key) to the one it was made with.")

// logger writes to w as the settings say.
func (c *Config) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// databaseURL is the URL of the setting or of its file.
func (c *Config) databaseURL() (string, error) {
	return fromFile("DATABASE_URL", c.DatabaseURL, c.DatabaseURLFile)
}

func fromFile(name, value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	if value != "" {
		return "", usageError(fmt.Sprintf("%s and %s_FILE are both set: keep one", name, name))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// secretKeyFile holds a key that was drawn at the first start, and
// secretKeyDraft what is to become one.
const (
	secretKeyFile  = "secret.key"
	secretKeyDraft = "secret.key.new"
)

// secretKey returns the installation's key: the setting's, its file's, or one
// drawn once and kept in the data folder. It is safe on the disk before anything
// is made with it.
func (c *Config) secretKey() ([]byte, error) {
	key, err := c.knownSecretKey()
	if err != nil || key != nil {
		return key, err
	}
	key = make([]byte, secretKeySize)
	rand.Read(key)
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := writeSecret(filepath.Join(c.DataDir, secretKeyFile), filepath.Join(c.DataDir, secretKeyDraft), []byte(text)); err != nil {
		return nil, errDataDir.Because(err)
	}
	return key, nil
}

// secretKeyFact is the database's memory of the key it was made with.
const secretKeyFact = "secret_key_fingerprint"

// secretKeySize is the length of a secret key in bytes.
const secretKeySize = 32

// knownSecretKey returns the installation's key, or nil when none has been
// drawn yet.
func (c *Config) knownSecretKey() ([]byte, error) {
	text, err := fromFile("PORTARIA_SECRET_KEY", c.SecretKey, c.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	if text == "" {
		stored, err := os.ReadFile(filepath.Join(c.DataDir, secretKeyFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, errDataDir.Because(err)
		}
		text = strings.TrimSpace(string(stored))
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != secretKeySize {
		return nil, fault.Fields{{Field: "PORTARIA_SECRET_KEY", Rule: "format", Message: "must be 32 bytes in base64"}}.Err()
	}
	return key, nil
}

// proxies opens the proxies of instances for showing them. Without the key that
// they were stored with, they are shown as ***.
func (c *Config) proxies() *proxy.Book {
	key, err := c.knownSecretKey()
	if err != nil {
		return new(proxy.Book)
	}
	book, err := proxy.New(proxy.Options{Key: key})
	if err != nil {
		return new(proxy.Book)
	}
	return book
}

// fingerprint names a key without telling it.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("portaria secret key fingerprint:"), key...))
	return hex.EncodeToString(sum[:8])
}

// trustedProxies are the proxies whose forwarding headers are believed.
func (c *Config) trustedProxies() ([]netip.Prefix, error) {
	return cidrs("PORTARIA_TRUSTED_PROXIES", c.TrustedProxies)
}

// cidrs reads the CIDRs of a setting; a single address stands for itself.
func cidrs(setting string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fault.Fields{{Field: setting, Rule: "format", Message: "must be a list of CIDRs"}}.Err()
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}
