package ptp

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The bounds of a blocking read.
//
// Spec: interop-transport §6.2.
const (
	DefaultWait = 120 * time.Second
	MinWait     = time.Second
	MaxWait     = 300 * time.Second
)

// Wait is how long a pop may block. Peers disagree about the unit: query is the URL parameter "timeout", in seconds;
// header (HeaderTimeout) and body are in milliseconds. The first of the three that is a positive number counts, within
// MinWait and MaxWait.
//
// Spec: interop-transport §6.2.
func Wait(query, header string, body int32) time.Duration {
	for _, d := range []time.Duration{
		duration(query, time.Second), duration(header, time.Millisecond), time.Duration(body) * time.Millisecond,
	} {
		if d > 0 {
			return min(max(d, MinWait), MaxWait)
		}
	}
	return DefaultWait
}

// duration is zero for what is no number, and at most MaxWait, so that nothing overflows.
func duration(s string, unit time.Duration) time.Duration {
	// Out of range, ParseInt returns the nearest number, which serves here.
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if n <= 0 || err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, int64(MaxWait/unit))) * unit
}
