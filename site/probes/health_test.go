package probes_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/probes"
)

func probe(kind openflow.ProbeKind, failures int) openflow.ComponentProbe {
	return openflow.ComponentProbe{
		Kind: kind, Command: []string{"health"}, Every: time.Minute, Timeout: time.Second, Failures: failures,
	}
}

// A life of a component, told by what is due and what follows, minute by minute.
func TestHealth(t *testing.T) {
	list := []openflow.ComponentProbe{probe(openflow.ProbeStartup, 2), probe(openflow.ProbeReadiness, 1), probe(openflow.ProbeLiveness, 3)}
	bad := errors.New("exit status 1")
	h, now := &probes.Health{}, time.Unix(1_000_000, 0)
	for i, step := range []struct {
		due    []openflow.ProbeKind
		says   map[openflow.ProbeKind]error
		works  bool
		failed openflow.ProbeKind
	}{
		{due: []openflow.ProbeKind{"startup"}, says: map[openflow.ProbeKind]error{"startup": bad}},
		{due: []openflow.ProbeKind{"startup"}, says: map[openflow.ProbeKind]error{"startup": bad}, failed: "startup"},
		{due: []openflow.ProbeKind{"startup"}},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, works: true},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"liveness": bad}},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"liveness": bad}},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, works: true}, // not in a row
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"readiness": bad}, failed: "readiness"},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"liveness": bad}},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"liveness": bad}},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, says: map[openflow.ProbeKind]error{"liveness": bad}, failed: "liveness"},
		{due: []openflow.ProbeKind{"readiness", "liveness"}, works: true},
	} {
		due := h.Due(list, now)
		var kinds []openflow.ProbeKind
		for _, p := range due {
			kinds = append(kinds, p.Kind)
			h.Answered(p, now, step.says[p.Kind])
			require.Equal(t, now, h.Asked(p.Kind))
		}
		require.Equal(t, step.due, kinds, "step %d", i)
		for _, p := range h.Due(list, now.Add(59*time.Second)) {
			require.NotContains(t, kinds, p.Kind, "step %d: asked again too soon", i)
		}
		v := h.Verdict(list)
		require.Equal(t, step.works, v.Works, "step %d", i)
		require.Equal(t, step.failed, v.Failed, "step %d", i)
		if v.Failed != "" {
			require.Contains(t, v.Reason, "its "+string(v.Failed)+" probe has failed ")
			require.Contains(t, v.Reason, `: asked ["health"]: exit status 1`)
		}
		now = now.Add(time.Minute)
	}
}

// Who has no probes works, and nobody is asked.
func TestHealthWithoutProbes(t *testing.T) {
	var h probes.Health
	require.Empty(t, h.Due(nil, time.Now()))
	require.Equal(t, probes.Verdict{Works: true}, h.Verdict(nil))
}

// What begins stays until its probes have said whether it works, within reason.
func TestTakes(t *testing.T) {
	require.Equal(t, time.Minute, probes.Takes(nil))
	require.Equal(t, time.Minute+2*61*time.Second+3*61*time.Second, probes.Takes([]openflow.ComponentProbe{
		probe(openflow.ProbeStartup, 2), probe(openflow.ProbeReadiness, 1), probe(openflow.ProbeLiveness, 3),
	}))
	daily := probe(openflow.ProbeLiveness, 10)
	daily.Every = openflow.MaxProbeEvery
	require.Equal(t, time.Hour, probes.Takes([]openflow.ComponentProbe{daily}))
}
