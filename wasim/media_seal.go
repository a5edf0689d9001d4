package wasim

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// mediaPurpose is the text that makes the keys of one kind of file differ from
// those of another. Stickers are images.
func mediaPurpose(kind string) string {
	switch kind {
	case "video":
		return "WhatsApp Video Keys"
	case "audio", "ptt":
		return "WhatsApp Audio Keys"
	case "document":
		return "WhatsApp Document Keys"
	default:
		return "WhatsApp Image Keys"
	}
}

// mediaKeys are derived from the key that a message carries.
func mediaKeys(key []byte, purpose string) (iv, encryption, authentication []byte, err error) {
	const size = 112 // the last 32 name the file to the phone and are not used
	expanded, err := hkdf.Key(sha256.New, key, nil, purpose, size)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("derive media keys: %w", err)
	}
	return expanded[:16], expanded[16:48], expanded[48:80], nil
}

// openMedia checks and decrypts a file.
func openMedia(key []byte, purpose string, body []byte) ([]byte, error) {
	iv, encryption, authentication, err := mediaKeys(key, purpose)
	if err != nil {
		return nil, err
	}
	if len(body) < mediaMACSize+aes.BlockSize || (len(body)-mediaMACSize)%aes.BlockSize != 0 {
		return nil, errors.New("not whole blocks")
	}
	text, mac := body[:len(body)-mediaMACSize], body[len(body)-mediaMACSize:]
	if !hmac.Equal(mediaMAC(authentication, iv, text), mac) {
		return nil, errors.New("wrong authentication code")
	}
	block, err := aes.NewCipher(encryption)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(text))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, text)
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, errors.New("wrong padding")
	}
	return plain[:len(plain)-n], nil
}

// sealMedia encrypts a file.
func sealMedia(key []byte, purpose string, plain []byte) ([]byte, error) {
	iv, encryption, authentication, err := mediaKeys(key, purpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(encryption)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(plain)%aes.BlockSize
	text := slices.Concat(plain, bytes.Repeat([]byte{byte(n)}, n))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return append(text, mediaMAC(authentication, iv, text)...), nil
}

func mediaMAC(key, iv, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(iv)
	mac.Write(text)
	return mac.Sum(nil)[:mediaMACSize]
}
