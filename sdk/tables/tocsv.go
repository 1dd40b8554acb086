package tables

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"openflow"
)

// ToCSV reads a table as an Arrow IPC stream and writes it as CSV in constant memory: a header line, then the rows, in
// their order. Numbers are written as Python's repr writes them, missing ones as nan.
//
// Against §1.7, a float32 is written in the fewest digits that give it again, as numpy writes it: 1004.02, where upstream
// has the float64 of the same value, 1004.02001953125. Against §1.7, which never quotes, text that would not survive
// being read again is quoted. What already is in quotes, such as predict_detail, is written as it is.
//
// Spec: fate-components §1.7.
func ToCSV(ctx context.Context, w io.Writer, r io.Reader) (Schema, error) {
	in, err := NewReader(r)
	if err != nil {
		return Schema{}, err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	line := []byte{}
	for i, name := range in.Schema().Names() {
		line = appendText(separate(line, i), name)
	}
	_, err = out.Write(append(line, '\n'))
	for err == nil {
		var f *Frame
		if f, err = in.Next(); err != nil {
			break
		}
		if err = ctx.Err(); err == nil {
			err = writeRows(out, f)
		}
	}
	if !errors.Is(err, io.EOF) {
		return Schema{}, openflow.Errorf(openflow.CodeOf(err), "table cannot be written as CSV: %w", err)
	}
	if err := out.Flush(); err != nil {
		return Schema{}, openflow.Errorf(openflow.CodeUnavailable, "table cannot be written as CSV: %w", err)
	}
	return in.Schema(), nil
}

func writeRows(out *bufio.Writer, f *Frame) error {
	columns := f.Columns()
	var line []byte
	for row := range f.Rows() {
		line = appendText(line[:0], f.SampleID[row])
		line = appendText(append(line, ','), f.MatchID[row])
		for _, v := range columns {
			line = appendValue(append(line, ','), v, row)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return openflow.Errorf(openflow.CodeUnavailable, "the reader has gone: %w", err)
		}
	}
	return nil
}

func separate(line []byte, i int) []byte {
	if i > 0 {
		return append(line, ',')
	}
	return line
}

func appendValue(line []byte, v Vector, row int) []byte {
	switch v.DType.Kind() {
	case Text:
		return appendText(line, v.Strings[row])
	case Integer:
		if v.DType != Bool {
			return strconv.AppendInt(line, v.Ints[row], 10)
		}
		if v.Ints[row] != 0 {
			return append(line, "True"...)
		}
		return append(line, "False"...)
	case Float:
		return appendFloat(line, v.Floats[row], v.DType.bits())
	}
	return line
}

// appendFloat writes x, a float of that many bits, as Python's repr: the shortest digits that give x again, with an
// exponent below 1e-4 and from 1e16.
func appendFloat(line []byte, x float64, bits int) []byte {
	least := 1e-4
	if bits == 32 {
		least = float64(float32(least))
	}
	switch {
	case math.IsNaN(x):
		return append(line, "nan"...)
	case math.IsInf(x, 1):
		return append(line, "inf"...)
	case math.IsInf(x, -1):
		return append(line, "-inf"...)
	case x != 0 && (math.Abs(x) < least || math.Abs(x) >= 1e16):
		return strconv.AppendFloat(line, x, 'e', -1, bits)
	}
	begin := len(line)
	line = strconv.AppendFloat(line, x, 'f', -1, bits)
	for _, c := range line[begin:] {
		if c == '.' {
			return line
		}
	}
	return append(line, ".0"...)
}

func appendText(line []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(line, s...)
	}
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' && !strings.Contains(s[1:n-1], `"`) {
		return append(line, s...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(s, `"`, `""`)...)
	return append(line, '"')
}
