package seal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portaria/internal/seal"
)

func box(t *testing.T, fill byte) *seal.Box {
	t.Helper()
	b, err := seal.New(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was sealed opens in its place, there alone, and shows nothing before.
func TestASecretOpensOnlyInItsPlace(t *testing.T) {
	b := box(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 8, 200).Draw(t, "secret")
		place := rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "place")
		other := rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "other")
		sealed := b.Seal(secret, place...)
		if got, err := b.Open(sealed, place...); err != nil || !bytes.Equal(got, secret) {
			t.Fatalf("opened: %q, %v", got, err)
		}
		if strings.Contains(sealed, string(secret)) || sealed == b.Seal(secret, place...) {
			t.Fatal("the sealed text tells something of the secret")
		}
		if slices.Equal(place, other) {
			return
		}
		if got, err := b.Open(sealed, other...); !errors.Is(err, seal.ErrBroken) {
			t.Fatalf("opened elsewhere: %q, %v", got, err)
		}
	})
}

// Names that run into each other are still two places.
func TestPlacesAreToldApart(t *testing.T) {
	b := box(t, 1)
	if _, err := b.Open(b.Seal([]byte("secret"), "ab", "c"), "a", "bc"); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("error = %v", err)
	}
}

// An operator who has the wrong key is told so, and not that data is damaged.
func TestAnotherKeyIsToldFromADamagedText(t *testing.T) {
	b := box(t, 1)
	sealed := b.Seal([]byte("secret"), "a")
	if _, err := box(t, 2).Open(sealed, "a"); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	for _, text := range []string{"", "secret", "sealed:1:", "sealed:2:00:AA", sealed[:len(sealed)-2], sealed + "A", sealed + "!"} {
		if _, err := b.Open(text, "a"); !errors.Is(err, seal.ErrBroken) && !errors.Is(err, seal.ErrOtherKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := seal.New([]byte("short")); err == nil {
		t.Error("a short key makes a box")
	}
}

// What lies in the database may be anything.
func FuzzOpen(f *testing.F) {
	b, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Seal([]byte("secret"), "b"))
	f.Add("sealed:1:x:")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := b.Open(text, "a"); err == nil {
			t.Errorf("%q opens to %q", text, got)
		}
	})
}
