package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"net/http"
	"regexp"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/auth"
)

const (
	// The valid callers are few and steady: their latency shows what others do
	// to them, not how they crowd each other out.
	validConns = 16
	validRate  = 1000 // a second
	// The others try more tokens than the goal asks to be borne.
	bogusConns  = 32
	bogusRate   = 12_000
	bogusTokens = 4096
)

// bogus measures the p99 of valid callers alone, then under a flood of tokens
// with a known id and a wrong secret.
func (b *bench) bogus(ctx context.Context) (sample, error) {
	p, err := b.serve(ctx, sqlite, true)
	if err != nil {
		return nil, err
	}
	defer p.end()
	tokens := make([]string, bogusTokens)
	for i := range tokens {
		if tokens[i], err = forge(p.home.token); err != nil {
			return nil, err
		}
	}
	valid := p.target(theInstance)
	pace := time.Second * validConns / validRate
	quiet, err := hammer(ctx, valid, validConns, b.window(), pace)
	if err != nil {
		return nil, err
	}
	flood := &target{address: p.address, paths: []string{"/v1/me"}, tokens: tokens, want: http.StatusUnauthorized}
	var loud, refusals []time.Duration
	w := b.window()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		loud, err = hammer(ctx, valid, validConns, w, pace)
		return err
	})
	group.Go(func() (err error) {
		refusals, err = hammer(ctx, flood, bogusConns, w, time.Second*bogusConns/bogusRate)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return sample{
		quietP99: milliseconds(percentile(quiet, 0.99)), p99: milliseconds(percentile(loud, 0.99)),
		refused: float64(len(refusals)) / b.o.measure.Seconds(),
	}, nil
}

// The parts of a token: what comes before the secret, and the secret.
const (
	beforeSecret = len("sk_test_") + 12
	secretSize   = 32
)

// forge returns a token of the same key with another secret, whose checksum is
// right: it passes every check but the last.
func forge(token string) (string, error) {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if _, err := auth.Parse(token); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	text := []byte(token)
	secret := text[beforeSecret:][:secretSize]
	rand.Read(secret)
	for i := range secret {
		secret[i] = base62[int(secret[i])%len(base62)]
	}
	sum := crc32.ChecksumIEEE(text[:beforeSecret+secretSize])
	for i := len(text) - 1; i >= beforeSecret+secretSize; i-- {
		text[i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	if _, err := auth.Parse(string(text)); err != nil {
		return "", fmt.Errorf("forge: %w", err)
	}
	return string(text), nil
}

// tokenPattern finds a test key in the first run's banner.
func tokenPattern() *regexp.Regexp { return regexp.MustCompile(`sk_test_[0-9A-Za-z]{50}\b`) }
