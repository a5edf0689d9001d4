package wasim

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"google.golang.org/protobuf/proto"
)

// maxLeaves bounds the certificates made for names that clients ask for.
const maxLeaves = 64

// All certificates are valid in these years, so that they are equal however
// often and wherever they are made.
func validFrom() time.Time  { return time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC) }
func validUntil() time.Time { return time.Date(2064, time.January, 1, 0, 0, 0, 0, time.UTC) }

// CAPEM returns the certificate of the authority that signs the server's TLS
// certificates, as PEM. It is equal in every process. Its private key is in
// this source: trust it in tests only.
func CAPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newAuthority().certificate.Raw})
}

// RootKey returns the public key that signs the Noise certificates; a client
// trusts the simulator when whatsmeow.WACertPubKey is set to it. It is equal in
// every process.
func RootKey() [32]byte {
	quietLibsignal()
	return publicKey(seededKeyPair("noise root"))
}

// authority signs TLS certificates for whatever name a client dials.
type authority struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

func newAuthority() *authority {
	s := seed("tls authority")
	key := ed25519.NewKeyFromSeed(s[:])
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "wasim test authority, never trust"},
		NotBefore:             validFrom(),
		NotAfter:              validUntil(),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	certificate := mustCertificate(template, template, key.Public().(ed25519.PublicKey), key)
	return &authority{certificate: certificate, key: key, leaves: map[string]*tls.Certificate{}}
}

// leaf returns the certificate for the name in hello; without a name (a client
// that dials an address) it is the certificate of that address.
func (a *authority) leaf(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = "127.0.0.1"
		if host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String()); err == nil {
			name = host
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf, ok := a.leaves[name]; ok {
		return leaf, nil
	}
	if len(a.leaves) >= maxLeaves {
		return nil, fmt.Errorf("certificates for %d names are enough", maxLeaves)
	}
	leaf := a.sign(name)
	a.leaves[name] = leaf
	return leaf, nil
}

func (a *authority) sign(name string) *tls.Certificate {
	s := seed("tls leaf " + name)
	key := ed25519.NewKeyFromSeed(s[:])
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(s[:16]),
		Subject:      pkix.Name{CommonName: "wasim"},
		NotBefore:    validFrom(),
		NotAfter:     validUntil(),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	leaf := mustCertificate(template, a.certificate, key.Public().(ed25519.PublicKey), a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// mustCertificate panics because its input is fixed but for a name that the
// TLS library has already checked.
func mustCertificate(template, parent *x509.Certificate, pub ed25519.PublicKey, key ed25519.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		panic(fmt.Sprintf("wasim: make a certificate: %v", err))
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("wasim: read a certificate back: %v", err))
	}
	return certificate
}

// noiseIdentity is the server's static key and the chain that vouches for it.
type noiseIdentity struct {
	static *ecc.ECKeyPair
	chain  []byte
}

func newNoiseIdentity() (*noiseIdentity, error) {
	static := seededKeyPair("noise static")
	intermediate := seededKeyPair("noise intermediate")
	const intermediateSerial, leafSerial = 1, 2
	first, err := noiseCertificate(seededKeyPair("noise root"), publicKey(intermediate), intermediateSerial, 0)
	if err != nil {
		return nil, err
	}
	second, err := noiseCertificate(intermediate, publicKey(static), leafSerial, intermediateSerial)
	if err != nil {
		return nil, err
	}
	chain, err := proto.Marshal(&waCert.CertChain{Intermediate: first, Leaf: second})
	if err != nil {
		return nil, fmt.Errorf("write the noise certificates: %w", err)
	}
	return &noiseIdentity{static: static, chain: chain}, nil
}

func noiseCertificate(issuer *ecc.ECKeyPair, key [32]byte, serial, issuerSerial uint32) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial:       &serial,
		IssuerSerial: &issuerSerial,
		Key:          key[:],
		NotBefore:    proto.Uint64(uint64(validFrom().Unix())),
		NotAfter:     proto.Uint64(uint64(validUntil().Unix())),
	})
	if err != nil {
		return nil, fmt.Errorf("write a noise certificate: %w", err)
	}
	signature := ecc.CalculateSignature(issuer.PrivateKey(), details)
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: signature[:]}, nil
}
