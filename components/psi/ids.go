package psi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"unicode/utf8"

	"openflow"
	"openflow/components/psi/blind"
	"openflow/sdk/component"
)

// ids is the id columns of a table, row by row.
type ids struct {
	sample, match []string
}

func (l ids) rows() int { return len(l.match) }

// readIDs reads the input once and keeps nothing but the ids.
func readIDs(ctx context.Context, t *component.Task) (list ids, err error) {
	in, err := t.Table(ctx, inputKey)
	if err != nil {
		return ids{}, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for {
		f, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ids{}, err
		}
		list.sample = append(list.sample, f.SampleID...)
		list.match = append(list.match, f.MatchID...)
	}
	if list.rows() > math.MaxInt32 {
		return ids{}, openflow.Errorf(openflow.CodeInvalid, "input of %s has %d rows; psi takes up to %d", t.Key(), list.rows(), math.MaxInt32).
			WithPublic("its input has more rows than psi takes")
	}
	return list, nil
}

// shuffled returns 0…n−1 in a secret random order, so that the position of an id in a message says nothing about its
// row.
func shuffled(n int) ([]int32, error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "no randomness for the order of ids: %w", err)
	}
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	r := mathrand.New(mathrand.NewChaCha8(seed))
	r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order, nil
}

// match is one row of the intersection as the guest tells a host: the position of the id in the host's message, and the
// guest's sample id for it. The first match of a position proves the claim with the host's point times the guest's key.
type match struct {
	position int
	sampleID string
	proves   bool
	point    blind.Point
}

// Bounds of a message of matches, in bytes: it ends with the match that reaches fullMatches.
const (
	fullMatches = 1 << 20
	maxSampleID = 64 << 10
	maxMatches  = fullMatches + maxSampleID + 2*binary.MaxVarintLen64 + blind.PointSize
)

// appendMatch renders m for decodeMatches: position and length of the id as varints, the id, and the point if it proves.
func appendMatch(out []byte, m match) []byte {
	out = binary.AppendUvarint(out, uint64(m.position))
	out = binary.AppendUvarint(out, uint64(len(m.sampleID)))
	out = append(out, m.sampleID...)
	if m.proves {
		out = append(out, m.point[:]...)
	}
	return out
}

// decodeMatches reads a message of matches. proven says of every position whether it has been proven, and is kept up.
// Errors: CodeInvalid.
func decodeMatches(data []byte, proven []bool) ([]match, error) {
	var list []match
	for len(data) > 0 {
		position, n := binary.Uvarint(data)
		if n <= 0 || position >= uint64(len(proven)) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches names a position that was not sent").
				WithPublic("the guest's list of matches is not valid")
		}
		data = data[n:]
		size, n := binary.Uvarint(data)
		if n <= 0 || size > maxSampleID || size > uint64(len(data)-n) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches breaks off").
				WithPublic("the guest's list of matches is not valid")
		}
		m := match{position: int(position), sampleID: string(data[n : n+int(size)]), proves: !proven[position]}
		data = data[n+int(size):]
		if !utf8.ValidString(m.sampleID) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches has a sample id that is no text").
				WithPublic("the guest's list of matches is not valid")
		}
		if m.proves {
			if len(data) < blind.PointSize {
				return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches breaks off").
					WithPublic("the guest's list of matches is not valid")
			}
			m.point, data = blind.Point(data[:blind.PointSize]), data[blind.PointSize:]
			proven[position] = true
		}
		list = append(list, m)
	}
	return list, nil
}
