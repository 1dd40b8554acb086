package tables

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"openflow"
)

// parser reads the cells of one column and counts what is told of them.
type parser struct {
	column  Column
	role    string
	decimal bool             // numbers have a decimal comma
	sign    string           // the decimal sign that is watched for thousands; empty: none
	na      map[string]bool  // cells that mean "missing"
	numbers map[float64]bool // the same, of those that are numbers: -9 is -9.0

	missing, firstMissing int // how many, and the line of the first
	rounded, firstRounded int // whole numbers that the type does not hold exactly
	tiny, firstTiny       int // numbers other than 0 that the type holds as 0
	grouped, firstGrouped int // numbers whose sign may stand before thousands, such as 2,000 with a decimal comma
	fractions             int // numbers where it cannot, such as 2,5
	padded, firstPadded   int // texts with blanks around them
	kept, firstKept       int // texts that na_values lists
}

// Roles of columns.
const (
	roleLabel   = "label"
	roleWeight  = "weight"
	roleFeature = "feature"
)

func newParser(c Column, s Schema, m Meta) parser {
	p := parser{column: c, role: roleFeature, decimal: m.Decimal == ",", na: map[string]bool{}, numbers: map[float64]bool{}}
	switch {
	case p.decimal:
		p.sign = ","
	case m.Decimal == "" && m.Delimiter == ";": // such files come from where a comma is the decimal sign
		p.sign = "."
	}
	switch {
	case s.Label != nil && s.Label.Name == c.Name:
		p.role = roleLabel
	case s.Weight != nil && s.Weight.Name == c.Name:
		p.role = roleWeight
	}
	for _, v := range slices.Concat(m.NAValues, m.NAColumns[c.Name]) {
		p.na[strings.TrimSpace(v)] = true
		if n, err := p.float(strings.TrimSpace(v)); err == nil && c.DType.Kind() == Float {
			p.numbers[n] = true
		}
	}
	return p
}

// cell reads one cell. The error is without place.
func (p *parser) cell(v *Vector, text string, rows rowSource, cell int) error {
	trimmed := strings.TrimSpace(text)
	switch v.DType.Kind() {
	case Text:
		kept, err := p.text(text, rows, cell)
		if err != nil {
			return err
		}
		v.Strings = append(v.Strings, kept)
	case Integer:
		n, ok := parseInteger(v.DType, trimmed)
		if !ok {
			return p.refuse(trimmed)
		}
		v.Ints = append(v.Ints, n)
	case Float:
		n, err := p.float(trimmed)
		if len(p.na) > 0 && (p.na[trimmed] || err == nil && p.numbers[n]) {
			n, err = math.NaN(), nil
		}
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) && p.role == roleLabel {
			return p.refuse(trimmed)
		}
		if p.sign != "" && strings.Contains(trimmed, p.sign) {
			p.watchSign(trimmed, rows, cell)
		}
		switch {
		case math.IsNaN(n):
			count(&p.missing, &p.firstMissing, rows, cell)
		case n == 0 && strings.ContainsAny(significand(trimmed), "123456789"):
			count(&p.tiny, &p.firstTiny, rows, cell)
		case math.Abs(n) >= exact32 && !holds(p.column.DType, n, trimmed):
			count(&p.rounded, &p.firstRounded, rows, cell)
		}
		v.Floats = append(v.Floats, n)
	}
	return nil
}

// text reads a cell of a text column. A label loses the blanks around it, which would make another class of it.
func (p *parser) text(text string, rows rowSource, cell int) (string, error) {
	trimmed := trim(text)
	if p.role == roleLabel && (trimmed == "" || p.na[trimmed]) {
		return "", p.refuse(trimmed)
	}
	if len(trimmed) != len(text) {
		count(&p.padded, &p.firstPadded, rows, cell)
	}
	if len(p.na) > 0 && p.na[trimmed] {
		count(&p.kept, &p.firstKept, rows, cell)
	}
	if p.role == roleLabel {
		text = trimmed
	}
	return strings.Clone(text), nil
}

// significand is a number without its exponent.
func significand(s string) string {
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		return s[:at]
	}
	return s
}

func count(n, firstLine *int, rows rowSource, cell int) {
	if *n == 0 {
		*firstLine = rows.lineOf(cell)
	}
	*n++
}

var errNotDecimal = errors.New("not written in decimal digits")

// float reads a number as people write it: digits, a point, an exponent, nan. Go would take 0x10 and 1_000 too.
func (p *parser) float(s string) (float64, error) {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '9' {
		return float64(s[0] - '0'), nil // most cells of sparse rows
	}
	if strings.IndexByte(s, 'x') >= 0 || strings.IndexByte(s, 'X') >= 0 || strings.IndexByte(s, '_') >= 0 {
		return 0, errNotDecimal
	}
	if p.decimal {
		if strings.Contains(s, ".") {
			return 0, errNotDecimal
		}
		s = strings.Replace(s, ",", ".", 1)
	}
	return strconv.ParseFloat(s, p.column.DType.bits())
}

// Up to these, a float of 32 or 64 bits holds every whole number. The next one is rounded to them.
const (
	exact32 = 1 << 24
	exact64 = 1 << 53
)

// holds reports whether n, read from s as d, has the whole part of s still, for numbers without an exponent.
func holds(d DType, n float64, s string) bool {
	if at := strings.IndexAny(s, ".,"); at >= 0 {
		s = s[:at]
	}
	digits := strings.TrimLeft(strings.TrimLeft(s, "+-"), "0")
	if digits == "" || strings.ContainsFunc(digits, func(c rune) bool { return c < '0' || c > '9' }) {
		return true
	}
	if d == Float64 && math.Abs(n) < exact64 {
		return true
	}
	return strconv.FormatFloat(math.Abs(n), 'f', 0, 64) == digits
}

// parseInteger accepts 3 and 3.0, as spreadsheets write whole numbers, and true and false for bool.
func parseInteger(d DType, s string) (int64, bool) {
	bits := 64
	switch d {
	case Int32:
		bits = 32
	case Bool:
		if b, err := strconv.ParseBool(strings.ToLower(s)); err == nil {
			if b {
				return 1, true
			}
			return 0, true
		}
		bits = 2
	}
	if head, zeros, ok := strings.Cut(s, "."); ok && zeros != "" && strings.Trim(zeros, "0") == "" {
		s = head
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || d == Bool && n < 0 {
		return 0, false
	}
	return n, true
}

// refuse says what is wrong with a cell that is no number of the column's type, and what to do.
func (p *parser) refuse(s string) error {
	fault, remedy := p.diagnose(s)
	return openflow.Errorf(openflow.CodeInvalid, "%s", fault).WithHint("%s", remedy)
}

func (p *parser) diagnose(s string) (fault, remedy string) {
	d := p.column.DType
	fault = strconv.Quote(shorten(s)) + " is not " + string(d)
	float := d.Kind() == Float
	number, err := strconv.ParseFloat(s, 64)
	switch {
	case s == "" && p.role == roleLabel:
		return "the label is empty", labelRemedy
	case p.role == roleLabel && (p.na[s] || missingMarker(s) || err == nil && math.IsNaN(number)):
		return "the label " + strconv.Quote(shorten(s)) + " means that there is none", labelRemedy
	case s == "":
		return "the cell is empty", p.missingRemedy(s)
	case p.na[s] || missingMarker(s):
		return fault, p.missingRemedy(s)
	case err == nil && math.IsInf(number, 0) && !strings.ContainsAny(s, "0123456789") || strings.Trim(s, "+-−∞") == "" && strings.Contains(s, "∞"):
		return strconv.Quote(s) + " is infinite", "no component computes with it: correct the value, or list it in na_values or --na if it means that there is none"
	case strings.ContainsAny(s, "xX_") && isHexOrUnderscored(s):
		return fault, "write the number in decimal digits alone"
	case strings.Contains(s, ",") && groupsOf(s, ".", ",") > 2:
		return fault, "write thousands without points; the decimal comma is said with --decimal ,  or \"decimal\": \",\" in meta"
	case p.decimal && strings.Contains(s, ".") && err == nil:
		return fault, "decimal says a decimal comma, and this number has a point"
	case digitsAround(s, ","):
		return fault, p.commaRemedy(s)
	case float && errors.Is(err, strconv.ErrRange):
		return fault + ": it is too large", "correct the value"
	case float && err == nil:
		return fault + ": it is too large", "read the column as float64"
	case err == nil || errors.Is(err, strconv.ErrRange):
		return fault, p.widerRemedy(s)
	case digitsAround(usual(s), " ") || digitsAround(s, "'") || digitsAround(s, "’"):
		return fault, "write thousands without signs between them"
	case groupsOf(s, ".", ",") > 2:
		return fault, "write thousands without points"
	case asciiNumber(s):
		return fault, "write numbers with the digits 0 to 9 and the sign -"
	case plainNumber(strings.ReplaceAll(strings.ToLower(s), "d", "e")):
		return fault, "write the exponent with e, as in 1.5e3"
	case d == Bool:
		return fault, "write true and false, or 1 and 0; or read the column as text: " + p.textRemedy()
	case isBool(s) && p.role == roleLabel:
		return fault, "write labels as 1 and 0, or say label_type (--label-type) bool"
	case isBool(s):
		return fault, "read the column as bool: --type " + shorten(p.column.Name) + "=bool"
	case dateLike(s):
		return fault, "a date, a time or a range is not a number: write a date as days or seconds since some day, or read the column as text (" + p.textRemedy() + ")"
	case hasUnit(s):
		return fault, "write the number without its unit or sign"
	case strings.HasPrefix(s, "(") && plainNumber(strings.Trim(s, "()")) || plainNumber(strings.TrimSuffix(s, "-")):
		return fault, "write numbers below 0 with the sign - before them"
	case p.role == roleLabel:
		return fault, "write labels as whole numbers, such as 0 and 1, or say label_type (--label-type) str"
	}
	return fault, "a column of words is text: say " + p.textRemedy() + ", or write its values as numbers"
}

// commaRemedy is for digits with commas between them. A decimal comma is advised only where it can be one.
func (p *parser) commaRemedy(s string) string {
	const say = `--decimal ,  or "decimal": "," in meta`
	one, _, _ := strings.Cut(s, ",")
	switch {
	case p.column.DType.Kind() == Integer:
		return "write whole numbers without commas"
	case p.decimal || strings.Count(s, ",") > 1 || strings.Contains(s, "."):
		return "write thousands without commas"
	case groupsOf(s, ",", ".") > 1:
		return "write thousands without commas; say " + say + " only if " + s + " means " + one + ", with a decimal comma"
	}
	return "is it a decimal comma? say " + say
}

// watchSign counts numbers with a decimal sign by whether somebody may have meant thousands.
func (p *parser) watchSign(s string, rows rowSource, cell int) {
	point := "."
	if p.sign == "." {
		point = ","
	}
	if groupsOf(s, p.sign, point) > 1 {
		count(&p.grouped, &p.firstGrouped, rows, cell)
		return
	}
	p.fractions++
}

const labelRemedy = "every row needs a label: fill it, or take the row out"

// missingRemedy is for a cell that seems to mean that there is no value.
func (p *parser) missingRemedy(s string) string {
	name := shorten(p.column.Name)
	switch {
	case p.column.DType.Kind() == Integer:
		return "a column of " + string(p.column.DType) + " has no missing values: fill it, or read it as a float (--type " +
			name + "=float64) and list " + strconv.Quote(s) + " in na_values or --na"
	}
	return "if it means that the value is missing, list " + strconv.Quote(s) + " in na_values or --na"
}

func (p *parser) widerRemedy(s string) string {
	wider := "int64"
	if _, fits := parseInteger(Int64, s); !fits {
		wider = "float64"
	}
	if p.column.DType == Bool {
		wider = "int32"
	}
	switch p.role {
	case roleLabel:
		return "write labels as small whole numbers, or say label_type (--label-type) " + wider
	case roleWeight:
		return "say weight_type " + wider
	}
	return "read the column as " + wider + ": --type " + shorten(p.column.Name) + "=" + wider
}

func (p *parser) textRemedy() string {
	name := shorten(p.column.Name)
	return `dtype {` + strconv.Quote(name) + `: "str"}, --type ` + name + `=str`
}

// maxShown is how much of a cell a message shows.
const maxShown = 60

func shorten(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// missingMarkers are what files write for a value that is not there.
var missingMarkers = []string{
	"na", "n/a", "#n/a", "n.a.", "nan", "+nan", "-nan", "1.#qnan", "-1.#ind", "1.#ind", "null", "none", "nil", "nat", "missing", "unknown",
	"-", "--", "—", "–", "－", "/", "?", ".", "*", `\n`, "<na>", "<null>", "(null)", "[null]",
	"#null!", "#value!", "#div/0!", "#ref!", "#name?", "#num!", "空", "无", "缺失", "未知", "不详", "未填",
}

func missingMarker(s string) bool {
	wide := strings.Trim(s, "#") == "" // a spreadsheet's column that was too narrow
	return wide && s != "" || slices.Contains(missingMarkers, strings.ToLower(s))
}

// units are words and signs beside a number, besides those of currencies.
var units = []string{
	"%", "％", "‰", "°", ">", "<", ">=", "<=", "≥", "≤", "~", "≈", "约", "eur", "usd", "gbp", "chf", "jpy", "cny", "rmb", "hkd", "元", "万元", "万", "亿", "千",
	"kg", "g", "mg", "km", "cm", "mm", "m", "h", "min", "s", "ms", "k", "岁", "年", "月", "天", "日", "次", "个", "人", "小时", "分钟", "mb", "gb", "px",
}

// hasUnit tells numbers with a unit or a sign beside them: $5, 5 €, EUR 5, 5kg, >90, 12%.
func hasUnit(s string) bool {
	begin := strings.IndexFunc(s, unicode.IsDigit)
	if begin < 0 {
		return false
	}
	end := strings.LastIndexFunc(s, unicode.IsDigit) + 1
	around := strings.ToLower(strings.Trim(s[:begin]+s[end:], "+-−. \u00a0"))
	number := strings.Trim(s[begin:end], "0123456789.,' ") == ""
	currency := strings.TrimFunc(around, func(c rune) bool { return unicode.Is(unicode.Sc, c) }) == "" && around != ""
	return number && (currency || slices.Contains(units, around))
}

// isHexOrUnderscored tells numbers that a programming language would read.
func isHexOrUnderscored(s string) bool {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return true
	}
	_, err := strconv.ParseInt(s, 0, 64)
	return err == nil || digitsAround(s, "_")
}

// digitsAround tells numbers that have such a sign between their digits.
func digitsAround(s, sign string) bool {
	rest := strings.TrimLeft(s, "+-")
	if !strings.Contains(rest, sign) || strings.HasPrefix(rest, sign) {
		return false
	}
	return !strings.ContainsFunc(rest, func(c rune) bool { return (c < '0' || c > '9') && !strings.ContainsRune(sign+".", c) })
}

// groupsOf is how many groups of digits a number has whose thousands are separated by sign, as in 12,000; a fraction
// behind point counts as one more. It is 0 for what is no such number.
func groupsOf(s, sign, point string) int {
	whole, fraction, hasFraction := strings.Cut(strings.TrimLeft(s, "+-"), point)
	groups := strings.Split(whole, sign)
	for i, g := range append(slices.Clone(groups), fraction) {
		last := i == len(groups)-1
		switch {
		case strings.Trim(g, "0123456789") != "":
			return 0
		case i == 0 && (g == "" || len(g) > 3 || g[0] == '0'):
			return 0
		case i > 0 && i < len(groups) && len(g) != 3 && (last || len(g) != 2): // in India, 12,34,567
			return 0
		}
	}
	if len(groups) < 2 {
		return 0
	}
	if hasFraction {
		return len(groups) + 1
	}
	return len(groups)
}

// asciiNumber tells numbers that are written with other signs than a computer's: １２, −5.
func asciiNumber(s string) bool {
	ascii := strings.Map(func(c rune) rune {
		switch {
		case c >= '０' && c <= '９':
			return c - '０' + '0'
		case c == '−' || c == '－' || c == '–':
			return '-'
		case c == '．':
			return '.'
		}
		return c
	}, s)
	return ascii != s && plainNumber(ascii)
}

func isBool(s string) bool {
	_, err := strconv.ParseBool(strings.ToLower(s))
	return err == nil
}

// dateWords are the words of dates and times, by their first three letters.
var dateWords = []string{
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "am", "pm", "utc", "gmt", "t", "z",
}

// dateLike tells dates and times: digits in two or more groups, and words of the calendar at most.
func dateLike(s string) bool {
	numbers := 0
	for _, g := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune("-/:., TZ+年月日时分秒", c) }) {
		word := strings.ToLower(g)
		switch {
		case digits(g):
			numbers++
		case !slices.Contains(dateWords, word[:min(3, len(word))]):
			return false
		}
	}
	return numbers >= 2
}
