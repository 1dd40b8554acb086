package redis

import (
	"fmt"
	"strconv"
	"strings"

	"openflow"
	"openflow/store/messages"
)

const noObject = "-"

// record is what the index says of a message; scripts/session.lua has the format.
type record struct {
	sequence int64
	cost     int64
	object   string // digest of the payload's body, or noObject
	source   string
	id       string
}

func recordOf(m messages.Message, object string) record {
	return record{sequence: m.Sequence, cost: messages.Cost(m), object: object, source: m.Source, id: m.ID}
}

func (r record) size() int64 {
	return r.cost - messages.Cost(messages.Message{ID: r.id, Source: r.source})
}

func (r record) header() string {
	return fmt.Sprintf("%d %s %d %s%s", r.cost, r.object, len(r.source), r.source, r.id)
}

// parseRecord reads a member of the index.
func parseRecord(member string) (r record, err error) {
	topic, rest, ok1 := strings.Cut(member, ":")
	sequence, rest, ok2 := strings.Cut(rest, ":")
	cost, rest, ok3 := strings.Cut(rest, " ")
	object, rest, ok4 := strings.Cut(rest, " ")
	length, names, ok5 := strings.Cut(rest, " ")
	_, err1 := strconv.ParseUint(topic, 10, 63)
	number, err2 := strconv.ParseUint(sequence, 10, 63)
	bytes, err3 := strconv.ParseUint(cost, 10, 63)
	n, err4 := strconv.ParseUint(length, 10, 31)
	for _, ok := range []bool{ok1, ok2, ok3, ok4, ok5, err1 == nil, err2 == nil, err3 == nil, err4 == nil,
		object != "", n <= uint64(len(names))} {
		if !ok {
			return r, openflow.Errorf(openflow.CodeInternal, "%.80q is not a record of a message", member)
		}
	}
	return record{sequence: int64(number), cost: int64(bytes), object: object, source: names[:n], id: names[n:]}, nil
}
