package psi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"

	"openflow"
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

// match is one row of the intersection as the guest tells a host: the position of the id in the host's message, and
// the guest's sample id for it.
type match struct {
	position int
	sampleID string
}

// encodeMatches renders matches for decodeMatches: position and length of the id as varints, then the id.
func encodeMatches(matches []match) []byte {
	var out []byte
	for _, m := range matches {
		out = binary.AppendUvarint(out, uint64(m.position))
		out = binary.AppendUvarint(out, uint64(len(m.sampleID)))
		out = append(out, m.sampleID...)
	}
	return out
}

// decodeMatches appends the matches in data to list. A position must be below limit. Errors: CodeInvalid.
func decodeMatches(list []match, data []byte, limit int) ([]match, error) {
	for len(data) > 0 {
		position, n := binary.Uvarint(data)
		if n <= 0 || position >= uint64(limit) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches names a position that was not sent").
				WithPublic("the guest's list of matches is not valid")
		}
		data = data[n:]
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the guest's list of matches breaks off").
				WithPublic("the guest's list of matches is not valid")
		}
		list = append(list, match{position: int(position), sampleID: string(data[n : n+int(size)])})
		data = data[n+int(size):]
	}
	return list, nil
}
