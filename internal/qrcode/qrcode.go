// Package qrcode draws QR codes in the forms that Portaria shows: PNG and SVG
// for pages, blocks for terminals. The symbol itself is made by
// github.com/boombuler/barcode; how it is drawn, quiet zone included, is here,
// so that every form shows the same modules.
package qrcode

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is the light border that readers need, in modules.
const quietZone = 4

// Code is a QR symbol with its quiet zone.
type Code struct {
	size int
	dark []bool // row by row
}

// New makes the symbol of a text. Error correction is L: these codes are shown
// on screens, where larger modules help more than redundancy. It fails for a
// text that is empty or too long for any symbol.
func New(text string) (*Code, error) {
	if text == "" {
		return nil, fmt.Errorf("qrcode: there is no text")
	}
	// Byte mode whatever the text is: the library takes "+0" for a number, and
	// what Portaria shows has lower case letters anyway.
	symbol, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return nil, fmt.Errorf("qrcode: %w", err)
	}
	inner := symbol.Bounds().Dx()
	c := &Code{size: inner + 2*quietZone}
	c.dark = make([]bool, c.size*c.size)
	for y := range inner {
		for x := range inner {
			level, _, _, _ := symbol.At(x, y).RGBA()
			c.dark[(y+quietZone)*c.size+x+quietZone] = level == 0
		}
	}
	return c, nil
}

// Size returns how many modules wide and high the code is.
func (c *Code) Size() int { return c.size }

// Dark reports whether a module is dark; what lies outside is light.
func (c *Code) Dark(x, y int) bool {
	return x >= 0 && y >= 0 && x < c.size && y < c.size && c.dark[y*c.size+x]
}

// PNG draws the code with modules of scale by scale pixels.
func (c *Code) PNG(scale int) ([]byte, error) {
	side := c.size * scale
	// Two colours at one bit a pixel: a few hundred bytes.
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if c.Dark(x/scale, y/scale) {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("qrcode: %w", err)
	}
	return out.Bytes(), nil
}

// SVG draws the code as one path that scales without blur.
func (c *Code) SVG() []byte {
	var out bytes.Buffer
	side := strconv.Itoa(c.size)
	out.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + side + " " + side +
		`" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + side + "v" + side + `H0z"/><path d="`)
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			run := 0
			for c.Dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&out, "M%d %dh%dv1h-%dz", x, y, run, run)
				x += run
			}
		}
	}
	out.WriteString(`"/></svg>`)
	return out.Bytes()
}

// terminalQuiet is the border in terminals, which are small: readers manage with
// two modules where what lies around is even.
const terminalQuiet = 2

// Blocks draws the code for a terminal, two modules in each character. Light
// modules are the blocks and dark ones the background, as terminals are dark; a
// light terminal shows the code inverted, which most readers take as well.
func (c *Code) Blocks() string {
	const from = quietZone - terminalQuiet
	var out strings.Builder
	for y := from; y < c.size-from; y += 2 {
		for x := from; x < c.size-from; x++ {
			upper := !c.Dark(x, y)
			lower := !c.Dark(x, y+1) && y+1 < c.size-from
			switch {
			case upper && lower:
				out.WriteRune('█')
			case upper:
				out.WriteRune('▀')
			case lower:
				out.WriteRune('▄')
			default:
				out.WriteByte(' ')
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}
