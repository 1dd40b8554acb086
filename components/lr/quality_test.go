package lr_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/lr"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
	"openflow/tests/fuzzing"
)

// The settings of the documents and of the advice learn breast_hetero, converge, and leave nothing to warn of; so do
// batches of the least size that the rows of 20 columns allow.
func TestSoundSettings(t *testing.T) {
	for name, batch := range map[string]any{"full batch": nil, "batches of 284": 284} {
		t.Run(name, func(t *testing.T) {
			j := breastSet(t)
			p := sound()
			p["batch_size"] = batch
			r := componenttest.RunOK(t, trainCase(j, p))
			_, a := scores(t, r, j)
			require.Greater(t, a, 0.98)
			for _, party := range []openflow.Party{guest, host, arbiter} {
				require.Empty(t, r.Parties[party].Warnings, party.String())
				require.True(t, estimatorOf(t, r, party).IsConverged)
			}
		})
	}
}

// A model that learned nothing is told as that, with settings that work when they are followed.
func TestDefaultsAreWarnedOf(t *testing.T) {
	j := breastSet(t)
	r := componenttest.RunOK(t, trainCase(j, object{}))
	_, a := scores(t, r, j)
	require.Less(t, a, 0.5)
	warnings := r.Parties[guest].Warnings
	require.Len(t, warnings, 2)
	require.Regexp(t, `^the model is no better than a constant: on the training rows it has AUC 0\.\d+, where a constant has 0\.5, and log loss \d+\.\d+, where a constant has 0\.660\. Set `, warnings[0])
	require.Regexp(t, `^the training ended after 20 epochs without having converged: the loss went from \d+\.\d+ to `, warnings[1])
	for _, setting := range []string{"optimizer.method to adam with optimizer_params {lr: 0.1} instead of sgd with lr 0.01", "optimizer.alpha to 0.01 instead of 1",
		"init_param.method to zeros instead of random_uniform", "epochs to 60 instead of 20"} {
		require.Contains(t, warnings[0], setting)
	}
	for _, party := range []openflow.Party{host, arbiter} {
		require.Len(t, r.Parties[party].Warnings, 1, party.String())
		require.Contains(t, r.Parties[party].Warnings[0], "without having converged")
		require.NotRegexp(t, "AUC|constant", r.Parties[party].Warnings[0], "what the labels say is the guest's")
	}
	require.NotContains(t, r.Parties[host].Warnings[0], "loss", "the host does not know it")

	followed := componenttest.RunOK(t, trainCase(j, object{"epochs": 60, "init_param": object{"method": "zeros"},
		"optimizer": object{"method": "adam", "alpha": 0.01, "optimizer_params": object{"lr": 0.1}}}))
	_, a = scores(t, followed, j)
	require.Greater(t, a, 0.98)
	require.Empty(t, followed.Parties[guest].Warnings)
}

// Whoever asks for a number of epochs and no stop gets no warning for that.
func TestFixedEpochsAreNoWarning(t *testing.T) {
	r := componenttest.RunOK(t, trainCase(creditSet(t, 400, 300), quick(object{"epochs": 8, "tol": 0})))
	for party, p := range r.Parties {
		for _, w := range p.Warnings {
			require.NotContains(t, w, "converged", party.String())
		}
	}
}

// A warning says which classes it is about.
func TestWeakClassesAreNamed(t *testing.T) {
	_, g, h := sides(3, 240, ints(tables.Int32, 1, 2, 3))
	p := sound()
	p["epochs"] = 2
	p["optimizer"] = object{"method": "sgd", "penalty": "l2", "alpha": 1, "optimizer_params": object{"lr": 1e-6}}
	r := componenttest.RunOK(t, trainCase(joined{guest: g, host: h}, p))
	warnings := strings.Join(r.Parties[guest].Warnings, "\n")
	require.Contains(t, warnings, "of classes 1, 2, 3 are hardly better than a constant")
	require.NotContains(t, strings.Join(r.Parties[host].Warnings, "\n"), "class")
}

// The curve of the loss is at the guest as it is at the arbiter, and not at the host.
func TestLossIsKnownToTheGuest(t *testing.T) {
	j := creditSet(t, 400, 300)
	r := componenttest.RunOK(t, trainCase(j, quick(nil)))
	require.Len(t, losses(t, r), 3)
	mine, theirs := r.MetricsNamed(guest, "lr_loss"), r.MetricsNamed(arbiter, "lr_loss")
	require.Len(t, mine, 3)
	value := regexp.MustCompile(`"metric":\[[^\]]+\],"step":\d+`)
	for i := range mine {
		require.Equal(t, value.FindString(string(theirs[i].Data)), value.FindString(string(mine[i].Data)))
		require.NotEmpty(t, value.FindString(string(mine[i].Data)))
		require.Equal(t, theirs[i].Groups, mine[i].Groups)
	}
	require.Empty(t, r.Parties[host].Metrics)
	for _, m := range r.Messages() {
		if m.Topic == "arbiter-10002~host-10000~converge_flag" {
			require.Len(t, m.Payload, 2, "the kind of the message and one byte: no loss for the host")
		}
	}
}

// Columns that are not scaled are named to the party that has them, before training starts, and to nobody else; and a
// training that diverges gives advice that can be followed here.
func TestUnscaledColumnsAreNamed(t *testing.T) {
	for name, factor := range map[string]float64{"large": 1e7, "small": 1e-5} {
		t.Run(name, func(t *testing.T) {
			j := creditSet(t, 400, 300)
			for _, f := range []*tables.Frame{j.guest, j.host} {
				for i := range f.Features[1].Floats {
					f.Features[1].Floats[i] *= factor
				}
			}
			c := trainCase(j, object{"epochs": 10})
			c.Timeout = 20 * time.Second // the others wait for the party that gave up until somebody stops them
			r := componenttest.Run(t, c)
			mine, theirs := j.guest.Schema.Features[1].Name, j.host.Schema.Features[1].Name
			require.NotEmpty(t, r.Parties[guest].Warnings)
			require.NotEmpty(t, r.Parties[host].Warnings)
			require.Contains(t, r.Parties[guest].Warnings[0], `columns of guest 9999 are not scaled: "`+mine+`" (around `)
			require.Contains(t, r.Parties[host].Warnings[0], `columns of host 10000 are not scaled: "`+theirs+`" (around `)
			for party, p := range r.Parties {
				all := strings.Join(append(p.Warnings, p.Error), "\n")
				require.NotContains(t, all, "feature_scale")
				if party != guest {
					require.NotContains(t, all, mine)
				}
				if party != host {
					require.NotContains(t, all, theirs)
				}
			}
			for _, w := range r.Parties[guest].Warnings[1:] {
				require.Contains(t, w, "First scale the columns that are named above")
				require.Contains(t, w, "then set optimizer.method to adam with optimizer_params {lr: 0.1}", "whatever the loss did before")
			}
			if factor > 1 {
				require.Contains(t, r.Parties[guest].Error+r.Parties[host].Error, "before they are uploaded")
			}
		})
	}
}

// The end of an epoch is read as it was written, or refused.
func FuzzEpochEnd(f *testing.F) {
	for _, s := range []string{"", "\x00", "\x01", "\x02", "\x0112345678", "\x0112345678\x00"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	fuzzing.Within(f, func(t *testing.T, data []byte, withLoss bool) {
		again, err := lr.EpochEnd(data, withLoss)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Equal(t, data, again)
		require.Len(t, data, map[bool]int{false: 1, true: 9}[withLoss], "a host is told no loss, and the guest always is")
	})
}
