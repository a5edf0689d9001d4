package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
)

// document is what a run has to tell.
type document struct {
	when      time.Time
	took      time.Duration
	options   options
	machine   machine
	rows      []row
	absolutes []absolute
}

// print writes the document for whoever waits in a terminal: Markdown reads
// well there too.
func (d *document) print(w io.Writer) error {
	_, err := w.Write(d.markdown())
	return err
}

// markdown is the block of docs/BENCHMARKS.md.
func (d *document) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Measured on %s, %s of %s each, %d connections, in %s.\n\n", d.when.UTC().Format(time.DateOnly),
		plural(d.options.rounds, "round"), d.options.measure, d.options.conns, d.took.Round(time.Second))
	d.machine.markdown(&b)
	b.WriteByte('\n')
	writeTable(&b, d.rowCells())
	b.WriteString("\nMedians of the same rounds in absolute numbers, for a feeling of the machine:\n\n")
	writeTable(&b, d.absoluteCells())
	return b.Bytes()
}

func (m machine) markdown(w io.Writer) {
	fmt.Fprintf(w, "- machine: %s, %s, %s, Linux %s; fsync of 4 KiB takes %s (median); load %s when it began\n", m.cpu, plural(m.cores, "core"),
		m.memory, m.kernel, m.fdatasync.Round(time.Microsecond), m.load)
	fmt.Fprintf(w, "- versions: %s\n", strings.Join(m.versions, ", "))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (d *document) rowCells() [][]string {
	cells := [][]string{{"figure", "database", "median", "min–max", "must", "aim", ""}}
	for _, r := range d.rows {
		median, span, verdict := "not measured", "", ""
		if r.known {
			median, span = withUnit(r.median, r.unit), number(r.min)+"–"+number(r.max)
			verdict = r.verdict(r.median)
		}
		must, aim := "", ""
		if r.must != 0 {
			must, aim = goal(r.must, r.more), goal(r.aim, r.more)
		}
		cells = append(cells, []string{r.name, r.engine, median, span, must, aim, verdict})
	}
	return cells
}

func goal(v float64, more bool) string {
	if more {
		return "≥ " + number(v)
	}
	return "≤ " + number(v)
}

// absoluteCells leaves out what the first table says already.
func (d *document) absoluteCells() [][]string {
	cells := [][]string{{"variant", "per second", "80 ms away", "p50 ms", "p99 ms", "CPU µs each"}}
	for _, a := range d.absolutes {
		line := []string{a.variant}
		for _, what := range []quantity{rate, rateFar, p50, p99, cpu} {
			cell := ""
			if v, ok := a.values[what]; ok {
				cell = number(v.median)
			}
			line = append(line, cell)
		}
		if strings.Join(line[1:], "") != "" {
			cells = append(cells, line)
		}
	}
	return cells
}

// writeTable aligns the columns, so that the source can be read as well.
func writeTable(b *bytes.Buffer, cells [][]string) {
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], runes(cell))
		}
	}
	for n, line := range cells {
		for i, cell := range line {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-runes(cell)+1))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
}

func runes(s string) int { return len([]rune(s)) }

func withUnit(v float64, unit string) string { return strings.TrimSpace(number(v) + " " + unit) }

// number prints three digits that mean something, and no exponent.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case abs == math.Trunc(abs) && abs < 1000:
		return fmt.Sprintf("%.0f", v)
	case abs >= 100:
		return thousands(int64(math.Round(v)))
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// thousands separates them with commas.
func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// The marks between which -markdown writes.
const (
	beginMark = "<!-- bench: begin -->\n"
	endMark   = "<!-- bench: end -->\n"
)

// writeInto replaces what stands between the marks of a file.
func (d *document) writeInto(path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := between(old, d.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}

// checkMarks reports whether a file can be written into.
func checkMarks(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := between(text, nil); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// between puts a block between the marks.
func between(text, block []byte) ([]byte, error) {
	before, rest, begins := bytes.Cut(text, []byte(beginMark))
	_, after, ends := bytes.Cut(rest, []byte(endMark))
	if !begins || !ends {
		return nil, fmt.Errorf("no lines %q and %q to write between", strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	return bytes.Join([][]byte{before, []byte(beginMark), []byte("\n"), block, []byte("\n"), []byte(endMark), after}, nil), nil
}
