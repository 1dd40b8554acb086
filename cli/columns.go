package cli

import (
	"bytes"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"openflow"
)

// gap is the blanks between two columns.
const gap = 2

// columns writes lines whose cells are separated by tabs, with the cells below each other. Lines that follow each other
// and have a cell in common are one table. text/tabwriter does the same and takes every character for one place; here a
// Chinese one takes two, as it does on a terminal.
type columns struct{ text bytes.Buffer }

// Write implements io.Writer. Nothing is written on before flush, because a column is as wide as its widest cell.
func (c *columns) Write(p []byte) (int, error) { return c.text.Write(p) }

func (c *columns) flush(out io.Writer) error {
	var lines [][]string
	for line := range strings.Lines(c.text.String()) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, cell := range cells {
			cells[i] = openflow.Line(cell) // also what somebody has written without line
		}
		lines = append(lines, cells)
	}
	c.text.Reset()
	widths := widthsOf(lines)
	var b bytes.Buffer
	for i, cells := range lines {
		for column, cell := range cells {
			b.WriteString(cell)
			if column < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i][column]+gap-places(cell)))
			}
		}
		b.WriteByte('\n')
	}
	_, err := out.Write(b.Bytes())
	return err
}

// widthsOf gives, for each line, the width of each of its cells besides the last, which needs none.
func widthsOf(lines [][]string) [][]int {
	widths := make([][]int, len(lines))
	for i, cells := range lines {
		widths[i] = make([]int, len(cells)-1)
	}
	for i := range widths {
		for column := range widths[i] {
			if i > 0 && column < len(widths[i-1]) {
				continue // it is settled with the line above
			}
			end, widest := i, 0
			for ; end < len(lines) && column < len(widths[end]); end++ {
				widest = max(widest, places(lines[end][column]))
			}
			for _, of := range widths[i:end] {
				of[column] = widest
			}
		}
	}
	return widths
}

// places is how many places of a terminal s takes: two for each wide character, none for marks that stand on others.
func places(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
