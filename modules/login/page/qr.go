package page

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// maxURI bounds what is drawn: beyond it the picture's dots get too small for a phone's camera.
const maxURI = 512

// quiet is the white border that readers need, in dots (ISO/IEC 18004 section 6.3.8).
const quiet = 4

// qrCode is a picture made of one SVG path. Its only text is numbers and the letters M, h, v, z: html/template
// escapes it as any other attribute.
type qrCode struct {
	Side int // dots, border included
	Path string
}

// newQR draws the text, nil when it is empty or too long.
func newQR(text string) *qrCode {
	if text == "" || len(text) > maxURI {
		return nil
	}
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil
	}
	var b strings.Builder
	for y := 0; y < c.Size; y++ {
		for x := 0; x < c.Size; {
			run := 0
			for x+run < c.Size && c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += run + 1
		}
	}
	return &qrCode{Side: c.Size + 2*quiet, Path: b.String()}
}
