// Command exchange is a component for measuring the transport: guest and host send each other messages, and the guest
// reports how long that took.
package main

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"openflow"
	"openflow/sdk/component"
)

func main() {
	component.Program{Provider: "bench", Version: "1.0.0", Components: []component.Component{{
		Name: "exchange", Description: "sends messages to and fro and reports how long that took",
		Roles: []openflow.Role{openflow.RoleGuest, openflow.RoleHost}, Parameters: parameters{}, Run: run,
	}}}.Main()
}

type parameters struct {
	Rounds int `json:"rounds" min:"0" doc:"messages of one kilobyte there and back"`
	Count  int `json:"count"  min:"0" doc:"messages from guest to host after that"`
	Bytes  int `json:"bytes"  min:"1" doc:"size of each of those"`
}

// small is the size of a message that goes there and back.
const small = 1 << 10

// outcome is what the guest reports as the metric "exchange".
type outcome struct {
	RoundTripMS float64 `json:"round_trip_ms"` // median
	Seconds     float64 `json:"seconds"`       // from the first of the big messages until the host has read the last
}

func run(ctx context.Context, t *component.Task) error {
	var p parameters
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if t.Role() == openflow.RoleHost {
		return answer(ctx, t, p)
	}
	to := t.PartiesOf(openflow.RoleHost)[0]
	var o outcome
	ball := make([]byte, small)
	trips := make([]time.Duration, p.Rounds)
	for i := range trips {
		begun := time.Now()
		if err := t.Send(ctx, to, "ball", ball); err != nil {
			return err
		}
		if _, err := t.Receive(ctx, to, "back"); err != nil {
			return err
		}
		trips[i] = time.Since(begun)
	}
	if len(trips) > 0 {
		slices.Sort(trips)
		o.RoundTripMS = trips[len(trips)/2].Seconds() * 1000
	}
	freight := make([]byte, p.Bytes)
	if _, err := rand.Read(freight); err != nil {
		return err
	}
	begun := time.Now()
	for range p.Count {
		if err := t.Send(ctx, to, "freight", freight); err != nil {
			return err
		}
	}
	if _, err := t.Receive(ctx, to, "read"); err != nil {
		return err
	}
	o.Seconds = time.Since(begun).Seconds()
	return t.Metric(ctx, component.Metric{Name: "exchange", Data: o})
}

// answer is the host: it returns every ball, and says when it has read the last of the freight.
func answer(ctx context.Context, t *component.Task, p parameters) error {
	from := t.PartiesOf(openflow.RoleGuest)[0]
	for range p.Rounds {
		ball, err := t.Receive(ctx, from, "ball")
		if err != nil {
			return err
		}
		if err := t.Send(ctx, from, "back", ball); err != nil {
			return err
		}
	}
	for range p.Count {
		if _, err := t.Receive(ctx, from, "freight"); err != nil {
			return err
		}
	}
	return t.Send(ctx, from, "read", nil)
}
