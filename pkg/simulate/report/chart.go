package report

import (
	"math"
	"strings"
)

// bar draws a share of width cells, in eighths.
func bar(share float64, width int) string {
	n := int(math.Round(min(max(share, 0), 1) * float64(width) * 8))
	if n == 0 && share > 0 {
		n = 1
	}
	text := strings.Repeat("█", n/8)
	if n%8 > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[n%8])
	}
	return text
}

// spark draws a curve in width cells of eight heights each; top is its largest value. A cell is the largest value that falls into it, so
// that no peak is lost.
func spark(curve []float64, width int) (line string, top float64) {
	if len(curve) == 0 {
		return "", 0
	}
	cells := make([]float64, min(width, len(curve)))
	for i, v := range curve {
		c := i * len(cells) / len(curve)
		cells[c] = max(cells[c], v)
		top = max(top, v)
	}
	heights := []rune("▁▂▃▄▅▆▇█")
	out := make([]rune, len(cells))
	for i, v := range cells {
		switch {
		case v <= 0:
			out[i] = ' '
		default:
			out[i] = heights[min(int(v/top*8), 7)]
		}
	}
	return string(out), top
}
