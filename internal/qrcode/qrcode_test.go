package qrcode_test

import (
	"bytes"
	"image"
	"image/color"
	_ "image/png" // the pictures under test
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"pgregory.net/rapid"

	ours "portaria/internal/qrcode"
)

// pairing is a text of the size and alphabet that WhatsApp's have.
const pairing = "2@Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9v," +
	"QkFSQkFaUVVYRk9PQkFSQkFaUVVYRk9PQkFSQkFaUVU=,Rk9PQkFSQkFaUVVYRk9PQkFSQkFaUVVYRk9PQkE=,QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="

func codeOf(t interface{ Fatal(...any) }, text string) *ours.Code {
	code, err := ours.New(text)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// read reads a picture with a library that had no part in making it.
func read(picture image.Image, hints ...gozxing.DecodeHintType) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}
	given := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	for _, hint := range hints {
		given[hint] = true
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, given)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// A code that phones cannot read is worth nothing, however it is drawn.
func TestPicturesAreReadBack(t *testing.T) {
	for name, text := range map[string]string{"whatsapp": pairing, "sandbox": "portaria-sandbox:3f2a", "a letter": "A"} {
		t.Run(name, func(t *testing.T) {
			code := codeOf(t, text)
			encoded, err := code.PNG(4)
			if err != nil {
				t.Fatal(err)
			}
			picture, _, err := image.Decode(bytes.NewReader(encoded))
			if err != nil {
				t.Fatal(err)
			}
			if picture.Bounds().Dx() != code.Size()*4 {
				t.Errorf("the picture is %v for %d modules of 4 pixels", picture.Bounds(), code.Size())
			}
			for form, drawn := range map[string]image.Image{"png": picture, "svg": fromSVG(t, code), "blocks": fromBlocks(code)} {
				if got, err := read(drawn); err != nil || got != text {
					t.Errorf("%s reads as %q, %v", form, got, err)
				}
			}
		})
	}
}

// fromSVG paints the path again, as a browser does.
func fromSVG(t *testing.T, code *ours.Code) image.Image {
	t.Helper()
	_, path, found := strings.Cut(string(code.SVG()), `"/><path d="`)
	if !found {
		t.Fatalf("no path in %s", code.SVG())
	}
	path, _, _ = strings.Cut(path, `"`)
	const scale = 4
	picture := white(code.Size()*scale, code.Size()*scale)
	for run := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		numbers := strings.FieldsFunc(run, func(r rune) bool { return r < '0' || r > '9' })
		x, y, n := number(t, numbers[0]), number(t, numbers[1]), number(t, numbers[2])
		for px := x * scale; px < (x+n)*scale; px++ {
			for py := y * scale; py < (y+1)*scale; py++ {
				picture.Set(px, py, color.Black)
			}
		}
	}
	return picture
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func white(width, height int) *image.Gray {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	return picture
}

// fromBlocks paints a terminal's characters: each is one module wide and two high.
func fromBlocks(code *ours.Code) image.Image {
	lines := strings.Split(strings.TrimSuffix(code.Blocks(), "\n"), "\n")
	const scale = 4
	width := len([]rune(lines[0]))
	picture := image.NewGray(image.Rect(0, 0, width*scale, len(lines)*2*scale)) // black, as terminals are
	for row, line := range lines {
		for column, r := range []rune(line) {
			for half, light := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				for i := range scale * scale {
					if light {
						picture.SetGray(column*scale+i%scale, (row*2+half)*scale+i/scale, color.Gray{Y: 255})
					}
				}
			}
		}
	}
	return picture
}

func TestEveryTextIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9A-Za-z@,+/=:-]{1,400}`).Draw(t, "text")
		code := codeOf(t, text)
		encoded, err := code.PNG(3)
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := image.Decode(bytes.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		// The reader is told that there is nothing else in the picture: it misses one code of some thousands that it has to find.
		if got, err := read(picture, gozxing.DecodeHintType_PURE_BARCODE); err != nil || got != text {
			t.Fatalf("%q reads as %q, %v", text, got, err)
		}
	})
}

func TestWhatNoCodeHoldsIsRefused(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "too much": strings.Repeat("a", 3000)} {
		if _, err := ours.New(text); err == nil {
			t.Errorf("%s: was drawn", name)
		}
	}
}
