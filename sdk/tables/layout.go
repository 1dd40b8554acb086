package tables

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"openflow"
)

// layout is how a file is written, said or guessed.
type layout struct {
	delimiter    string
	head         bool // the first line names the columns
	skip         int  // bytes before the first line of the table
	skippedLines int
	notes        []string
}

func (d *layout) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// headRows is how many rows guesses are made from.
const headRows = 1000

// beginning is the begin of a file.
type beginning struct {
	text  []byte
	whole bool // text is the whole file
}

// recogniseLayout decides how a file is read from its begin. What is said in m is checked, what is not is guessed where
// there is one answer only.
func recogniseLayout(text []byte, whole bool, m Meta) (layout, error) {
	d := layout{delimiter: m.Delimiter, head: m.Head}
	if bytes.IndexByte(text, '\r') >= 0 && bytes.IndexByte(text, '\n') < 0 {
		return d, openflow.Errorf(openflow.CodeInvalid, "the lines of the file end with a carriage return alone").
			WithHint("convert it: tr '\\r' '\\n'")
	}
	b := beginning{d.skipSeparatorLine(text), whole}
	if m.Rereads() {
		return d, d.guessPairs(b, m)
	}
	if err := d.guessDelimiter(b, m); err != nil {
		return d, err
	}
	return d, d.checkHeader(b.records(d.delimiter), m)
}

// skipSeparatorLine passes over the line "sep=;" that spreadsheets write.
func (d *layout) skipSeparatorLine(text []byte) []byte {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	sign := strings.TrimRight(string(line), "\r")
	if len(sign) < 5 || !strings.EqualFold(sign[:4], "sep=") || utf8.RuneCountInString(sign[4:]) != 1 || (d.delimiter != "" && d.delimiter != sign[4:]) {
		return text
	}
	d.delimiter, d.skip, d.skippedLines = sign[4:], len(text)-len(rest), 1
	d.note("the line %q says the delimiter and was not read as a row", sign)
	return rest
}

// records are the first records, split at delimiter. A record that the begin cuts is left out.
func (b beginning) records(delimiter string) [][]string {
	in := newCSV(bytes.NewReader(b.text), delimiter)
	in.ReuseRecord = false
	var list [][]string
	for len(list) <= headRows {
		record, err := in.Read()
		if err != nil {
			break // a fault is told by line when its row is read
		}
		list = append(list, record)
	}
	if !b.whole && in.InputOffset() >= int64(len(b.text)) && len(list) > 1 {
		list = list[:len(list)-1]
	}
	return list
}

// separators are what files separate cells by, the likeliest first.
var separators = []string{",", ";", "\t", "|", "\x01", "^", "~"}

// doubled are separators of several characters, tried where they occur.
var doubled = []string{"||", "|+|", "::"}

func candidates(b beginning) []string {
	list := slices.Clone(separators)
	line, _, _ := bytes.Cut(b.text, []byte("\n"))
	for _, s := range doubled {
		if bytes.Contains(line, []byte(s)) {
			list = append(slices.DeleteFunc(list, func(one string) bool { return one == s[:1] }), s)
		}
	}
	return list
}

// fits lists the separators by which all first rows have the same number of cells, more than one.
func fits(b beginning, m Meta) []string {
	var fit []string
	for _, s := range candidates(b) {
		records := b.records(s)
		if len(records) == 0 || len(records[0]) < 2 || !m.Head && len(records[0]) != len(m.Header) {
			continue
		}
		same := func(r []string) bool { return len(r) != len(records[0]) }
		if !slices.ContainsFunc(records, same) {
			fit = append(fit, s)
		}
	}
	return fit
}

// wideSigns look like separators and are other characters, as an input method for Chinese or Arabic writes them.
var wideSigns = map[string]string{
	"，": "is a full-width comma", "；": "is a full-width semicolon", "、": "is an ideographic comma", "｜": "is a full-width bar",
	"﹐": "is a small comma", "﹔": "is a small semicolon", "､": "is a half-width ideographic comma", "،": "is an Arabic comma",
	"؛": "is an Arabic semicolon",
}

// wideSign is the first such sign of text; empty: it has none.
func wideSign(text string) string {
	for _, c := range text {
		if wideSigns[string(c)] != "" {
			return string(c)
		}
	}
	return ""
}

// refuseWide is the refusal of a file of one column whose first line has such a sign.
func (b beginning) refuseWide() error {
	line, _, _ := bytes.Cut(b.text, []byte("\n"))
	sign := wideSign(string(line))
	if sign == "" {
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "the file has one column, and its first line has the sign %q, which %s", sign, wideSigns[sign]).
		WithHint("write , between cells, or say --delimiter %s (\"delimiter\": %q in meta)", sign, sign)
}

func (d *layout) guessDelimiter(b beginning, m Meta) error {
	const say = "say the delimiter: --delimiter %q, or \"delimiter\": %q in meta"
	if d.delimiter != "" {
		records := b.records(d.delimiter)
		fit := fits(b, m)
		if len(records) > 0 && len(records[0]) == 1 && len(fit) > 0 && (m.Head || len(m.Header) > 1) {
			return openflow.Errorf(openflow.CodeInvalid, "the file has one column when it is split at %q; it looks split at %q", d.delimiter, fit[0]).
				WithHint(say, fit[0], fit[0])
		}
		return nil
	}
	d.delimiter = ","
	if !m.Head && len(m.Header) == 1 {
		return b.refuseWide()
	}
	switch fit := fits(b, m); len(fit) {
	case 0:
		return d.guessRagged(b)
	case 1:
		d.delimiter = fit[0]
	default:
		return openflow.Errorf(openflow.CodeInvalid, "the file may be split at %s", strings.Join(quoteAll(fit), " or at ")).
			WithHint(say, fit[0], fit[0])
	}
	if d.delimiter != "," {
		d.note("columns are separated by %q (guessed)", d.delimiter)
	}
	return nil
}

// guessRagged is for files of one column, and for those whose rows differ in length, which is told by line later.
func (d *layout) guessRagged(b beginning) error {
	line, _, _ := bytes.Cut(b.text, []byte("\n"))
	var occur []string
	for _, s := range candidates(b) {
		if bytes.Contains(line, []byte(s)) {
			occur = append(occur, s)
		}
	}
	if len(occur) > 0 {
		d.delimiter = occur[0]
		if occur[0] != "," {
			d.note("columns are separated by %q (guessed)", occur[0])
		}
		return nil
	}
	if err := b.refuseWide(); err != nil {
		return err
	}
	if b.pairs() {
		return openflow.Errorf(openflow.CodeInvalid, "the rows of the file look like pairs of an index and a value").
			WithHint(`say the format: --format sparse where an id begins each row, libsvm where a label does ("input_format" in meta)`)
	}
	if blanks := b.blankSeparated(); blanks > 1 {
		return openflow.Errorf(openflow.CodeInvalid, "every row of the file has %d words and no other delimiter", blanks).
			WithHint(`say the delimiter: --delimiter " ", or --delimiter , when it is one column`)
	}
	return nil
}

// pairRow is a row of sparse or libsvm.
var pairRow = regexp.MustCompile(`^\S+(\s+\S+){0,2}(\s+\d+:[-+.\deE]+)+\s*$`)

// pairs reports whether most first rows are of pairs.
func (b beginning) pairs() bool {
	lines := strings.Split(strings.TrimSpace(string(b.text)), "\n")
	lines = lines[:min(len(lines), headRows)]
	fit := 0
	for _, l := range lines {
		if len(l) < maxColumnName && pairRow.MatchString(l) {
			fit++
		}
	}
	return 2*fit > len(lines)
}

// blankSeparated is how many words every first row has; 0: not the same in all.
func (b beginning) blankSeparated() int {
	words := 0
	for i, r := range b.records(",") {
		n := len(strings.Fields(strings.Join(r, ",")))
		if i > 0 && n != words {
			return 0
		}
		words = n
	}
	return words
}

func quoteAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(shorten(s))
	}
	return out
}

// guessPairs finds the delimiter of a file of pairs: the only one that occurs.
func (d *layout) guessPairs(b beginning, m Meta) error {
	if d.delimiter != "" {
		return nil
	}
	d.delimiter = ","
	var found []string
	for _, s := range append(slices.Clone(separators), " ") {
		if s != m.tagDelimiter() && bytes.Contains(bytes.TrimSpace(b.text), []byte(s)) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return b.refuseWide()
	case 1:
		d.delimiter = found[0]
		d.note("cells are separated by %q (guessed)", found[0])
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "the file may be split at %s", strings.Join(quoteAll(found), " or at ")).
		WithHint("say the delimiter: --delimiter, or delimiter in meta")
}

// checkHeader refuses a first line that looks like data, unless somebody has said that it is the header. Where the names were
// given beside the file, it refuses a header.
func (d *layout) checkHeader(records [][]string, m Meta) error {
	if len(records) == 0 {
		return nil // an empty file is refused where its header is read
	}
	line := trimAll(records[0])
	if !m.Head {
		return d.checkFirstRow(line, records[1:], m)
	}
	if len(m.Header) > 0 && !slices.Equal(line, trimAll(m.Header)) {
		d.note("header has no effect: head says that the first line of the file names the columns")
	}
	named := slices.ContainsFunc(m.names(), func(name string) bool { return slices.Contains(line, name) })
	if named || !looksLikeData(line, records[1:]) {
		if m.HeadGuessed && !named {
			d.note("the first line was taken for the names of the columns (guessed)")
		}
		return nil
	}
	shown := strings.Join(quoteAll(line[:min(5, len(line))]), ", ")
	if m.HeadGuessed {
		return openflow.Errorf(openflow.CodeInvalid, "the first line looks like data, not like names of columns: %s", shown).
			WithHint(`name the columns (--header id,y,x0, or "head": false and "header": ["id", "y", "x0"]), or say that the line is the header (--head, or "head": true)`)
	}
	d.note("the first line looks like data (%s) and was taken for the names of the columns, as head says", shown)
	return nil
}

// checkFirstRow is for files whose columns are named beside them.
func (d *layout) checkFirstRow(line []string, below [][]string, m Meta) error {
	if slices.Equal(line, trimAll(m.Header)) {
		return openflow.Errorf(openflow.CodeInvalid, "the first line of the file is the header that was given beside it").
			WithHint("leave header out: the file names its columns itself")
	}
	if !looksLikeHeader(line, below) {
		return nil
	}
	shown := strings.Join(quoteAll(line[:min(5, len(line))]), ", ")
	if m.HeadGuessed {
		return openflow.Errorf(openflow.CodeInvalid, "the first line looks like names of columns, not like a row: %s", shown).
			WithHint(`take it out of the file, or leave header out; if it is a row, say so (--head=false, or "head": false)`)
	}
	d.note("the first line looks like names of columns (%s) and was read as a row, as head says", shown)
	return nil
}

// looksLikeHeader tells a line of words above rows with numbers.
func looksLikeHeader(line []string, below [][]string) bool {
	if len(below) == 0 || !wordsAlone(line) {
		return false
	}
	for i := range line {
		filled := slices.ContainsFunc(below, func(r []string) bool { return i < len(r) && strings.TrimSpace(r[i]) != "" })
		if numbers, _ := columnLooks(i, below, ""); numbers && filled {
			return true
		}
	}
	return false
}

// looksLikeData compares the first line with those below: a header has words where rows have numbers.
func looksLikeData(line []string, rows [][]string) bool {
	data := false
	for i, cell := range line {
		numbers, shapes := columnLooks(i, rows, shape(cell))
		isNumber := plainNumber(cell)
		switch {
		case isNumber && strings.ContainsAny(cell, ".eE") && numbers:
			return true
		case isNumber && numbers:
			data = true
		case !isNumber && cell != "" && numbers && len(rows) > 0:
			return false
		case shapes && len(rows) > 0 && strings.ContainsFunc(cell, unicode.IsDigit):
			data = true
		}
	}
	return data
}

// columnLooks tells whether all cells of a column are numbers, and whether all have that shape. Empty cells fit both.
func columnLooks(i int, rows [][]string, want string) (numbers, shapes bool) {
	numbers, shapes = true, true
	for _, r := range rows {
		if i >= len(r) {
			return false, false
		}
		if cell := strings.TrimSpace(r[i]); cell != "" {
			numbers = numbers && plainNumber(cell)
			shapes = shapes && shape(cell) == want
		}
	}
	return numbers, shapes
}

// shape is s with a for each run of letters and 9 for each run of digits: "u001" is "a9".
func shape(s string) string {
	var b strings.Builder
	var last rune
	for _, c := range s {
		switch {
		case unicode.IsLetter(c):
			c = 'a'
		case unicode.IsDigit(c):
			c = '9'
		}
		if c != last || c != 'a' && c != '9' {
			b.WriteRune(c)
		}
		last = c
	}
	return b.String()
}

func plainNumber(s string) bool {
	_, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	return err == nil && !strings.ContainsAny(s, "xX_")
}

func trimAll(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.Clone(trim(c))
	}
	return out
}
