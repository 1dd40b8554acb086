package lr_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
)

// Every party's columns must have the rows that every party's own policy asks for, in the smallest batch.
func TestRowsForEachColumn(t *testing.T) {
	tests := map[string]struct {
		rows, guest, host int
		batch             int // 0: full
		twoHosts          bool
		policies          map[openflow.Party]openflow.Policy
		want              string // in the refusal; empty: it trains
	}{
		"ten for each of the host's columns":               {rows: 120, guest: 1, host: 12},
		"one row less":                                     {rows: 119, guest: 1, host: 12, want: "119 rows is too few for the 12 columns of host 10000"},
		"ten for each of the guest's columns":              {rows: 120, guest: 12, host: 1},
		"one row less for the guest's":                     {rows: 119, guest: 12, host: 1, want: "119 rows is too few for the 12 columns of guest 9999"},
		"few columns count as ten":                         {rows: 100, guest: 1, host: 3},
		"ten for each of few columns":                      {rows: 30, guest: 1, host: 3, want: "asks for 100 rows"},
		"one row less for few columns":                     {rows: 99, guest: 1, host: 3, want: "99 rows"},
		"batches of too few":                               {rows: 400, guest: 1, host: 12, batch: 100, want: "100 rows is too few for the 12 columns of host 10000"},
		"uneven batches":                                   {rows: 399, guest: 1, host: 12, batch: 130},
		"a batch size above the number of rows":            {rows: 120, guest: 1, host: 12, batch: 5000},
		"above the rows, and too few":                      {rows: 119, guest: 1, host: 12, batch: 5000, want: "119 rows"},
		"two hosts":                                        {rows: 110, guest: 1, host: 15, twoHosts: true}, // of 4 and 11 columns
		"two hosts, too few for the second":                {rows: 109, guest: 1, host: 15, twoHosts: true, want: "11 columns of host 10001"},
		"five rows and three columns":                      {rows: 5, guest: 1, host: 3, want: "5 rows"},
		"five rows, and what would do":                     {rows: 5, guest: 1, host: 3, want: "the parties share 5 rows and 100 are needed"},
		"as few rows as the guest has coefficients":        {rows: 5, guest: 4, host: 3, want: "too few for a party with 4 columns"},
		"the same, and what would do":                      {rows: 5, guest: 4, host: 3, want: "the parties share 5 rows and 100 are needed"},
		"batches of too few, and what would do":            {rows: 400, guest: 1, host: 12, batch: 100, want: "set batch_size to 120 or more, or leave it out"},
		"five rows, whatever the policies":                 {rows: 5, guest: 1, host: 3, policies: ofAll(lenient(0)), want: "5 rows is too few for the 3 columns of host 10000"},
		"no policy allows fewer than 32":                   {rows: 31, guest: 1, host: 3, policies: ofAll(lenient(-1)), want: "asks for 32 rows"},
		"every party asks for less":                        {rows: 60, guest: 1, host: 12, policies: ofAll(lenient(5))},
		"the host alone asks for less":                     {rows: 60, guest: 1, host: 12, policies: policies(lenient(5), host), want: "party 9999 asks for 120"},
		"the guest alone asks for less":                    {rows: 60, guest: 1, host: 12, policies: policies(lenient(5), guest), want: "party 10000 asks for 120"},
		"guest and host, but not the arbiter":              {rows: 60, guest: 1, host: 12, policies: policies(lenient(5), guest, host), want: "party 10002 asks for 120"},
		"the host asks for more":                           {rows: 150, guest: 1, host: 12, policies: policies(lenient(20), host), want: "party 10000 asks for 240"},
		"the other host asks for more":                     {rows: 150, guest: 1, host: 15, twoHosts: true, policies: policies(lenient(20), second), want: "party 10001 asks for 220"},
		"the host asks for more than there can be":         {rows: 150, guest: 1, host: 12, policies: policies(lenient(1<<20), host), want: "party 10000 asks for"},
		"a short last batch for a stricter partner":        {rows: 630, guest: 1, host: 12, batch: 250, policies: policies(lenient(20), host)},
		"no columns at the guest":                          {rows: 120, guest: 0, host: 12},
		"no more rows than columns, whatever the policies": {rows: 40, guest: 1, host: 40, policies: ofAll(lenient(0)), want: "would give the residuals away"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := quick(object{"epochs": 1, "early_stop": "weight_diff"})
			if tc.batch > 0 {
				p["batch_size"] = tc.batch
			}
			j := made(tc.rows, tc.guest, tc.host, 2)
			c := trainCase(j, p)
			if tc.twoHosts {
				c = twoHosts(j, p)
			}
			c.Policies = tc.policies
			if tc.want == "" {
				componenttest.RunOK(t, c)
				return
			}
			r := componenttest.Run(t, c)
			var all []string
			for _, party := range c.Parties {
				require.Equal(t, openflow.TaskFailed, r.Parties[party].Status, party.String())
				all = append(all, r.Parties[party].Error)
			}
			require.Contains(t, strings.Join(all, "\n"), tc.want)
			for _, m := range r.Messages() {
				require.NotContains(t, m.Topic, "public_key", "nothing is computed")
			}
		})
	}
}

func policies(p openflow.Policy, of ...openflow.Party) map[openflow.Party]openflow.Policy {
	all := map[openflow.Party]openflow.Policy{}
	for _, party := range of {
		all[party] = p
	}
	return all
}

// An arbiter that another party of the data runs is refused by the party that it exposes, and the refusal names the setting.
func TestCommonArbiter(t *testing.T) {
	allow := openflow.DefaultPolicy()
	allow.CoordinatedLR.AllowCommonArbiter = true
	j := made(150, 2, 10, 2)
	tests := map[string]struct {
		arbiter  openflow.PartyID
		twoHosts bool
		allowed  []openflow.Party
		refuses  []openflow.Party
	}{
		"a third institution":                            {arbiter: "10002"},
		"the host's, as in FATE's examples":              {arbiter: host.ID, refuses: []openflow.Party{guest}},
		"the host's, allowed by the guest":               {arbiter: host.ID, allowed: []openflow.Party{guest}},
		"the host's, allowed by the host only":           {arbiter: host.ID, allowed: []openflow.Party{host}, refuses: []openflow.Party{guest}},
		"the guest's":                                    {arbiter: guest.ID, refuses: []openflow.Party{host}},
		"the guest's, allowed by the host":               {arbiter: guest.ID, allowed: []openflow.Party{host}},
		"another host's":                                 {arbiter: second.ID, twoHosts: true, refuses: []openflow.Party{guest, host}},
		"another host's, allowed by the guest alone":     {arbiter: second.ID, twoHosts: true, allowed: []openflow.Party{guest}, refuses: []openflow.Party{host}},
		"another host's, allowed by all that it exposes": {arbiter: second.ID, twoHosts: true, allowed: []openflow.Party{guest, host}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := quick(object{"epochs": 1, "early_stop": "weight_diff"})
			c := trainCase(j, p)
			if tc.twoHosts {
				c = twoHosts(j, p)
			}
			a := openflow.Party{Role: openflow.RoleArbiter, ID: tc.arbiter}
			c.Parties[len(c.Parties)-1] = a
			c.Policies = policies(allow, tc.allowed...)
			if len(tc.refuses) == 0 {
				componenttest.RunOK(t, c)
				return
			}
			r := componenttest.Run(t, c)
			for _, party := range c.Parties {
				require.Equal(t, openflow.TaskFailed, r.Parties[party].Status, party.String())
			}
			if slices.Contains(tc.refuses, guest) {
				require.Contains(t, r.Parties[a].Error, "guest 9999 refuses an arbiter that is also host")
				require.Contains(t, r.Parties[a].Error, "coordinated_lr.allow_common_arbiter: true in policy.yaml of party 9999")
			}
			for _, party := range tc.refuses {
				require.Contains(t, r.Parties[party].Error, "coordinated_lr.allow_common_arbiter: true")
				require.Contains(t, r.Parties[party].Error, "FATE's examples share host and arbiter")
			}
		})
	}
}

// A party whose own parameters are not those of the guest's plan refuses, and says which.
func TestThePlanIsTheTaskOfEveryParty(t *testing.T) {
	j := made(400, 2, 10, 2)
	for name, tc := range map[string]struct {
		other object
		want  string
	}{
		"more epochs":      {object{"epochs": 4}, "differ in epochs"},
		"fewer epochs":     {object{"epochs": 2}, "differ in epochs"},
		"batch size":       {object{"batch_size": 200}, "differ in batch_size"},
		"same batches":     {object{"batch_size": 5000}, "differ in batch_size"},
		"precision":        {object{"floating_point_precision": 20}, "differ in floating_point_precision"},
		"learning rate":    {object{"optimizer": object{"method": "sgd", "penalty": "l2", "alpha": 0.01, "optimizer_params": object{"lr": 0.1}}}, "differ in optimizer"},
		"penalty":          {object{"optimizer": object{"method": "sgd", "penalty": "l1", "alpha": 0.01, "optimizer_params": object{"lr": 0.2}}}, "differ in optimizer"},
		"schedule":         {object{"learning_rate_scheduler": object{"method": "linear", "scheduler_params": object{"start_factor": 0.5}}}, "differ in learning_rate_scheduler"},
		"stop rule":        {object{"early_stop": "abs"}, "differ in early_stop"},
		"tolerance":        {object{"tol": 0.1}, "differ in tol"},
		"several":          {object{"tol": 0.1, "epochs": 7}, "differ in epochs, tol"},
		"start":            {object{"init_param": object{"method": "ones"}}, ""},
		"threshold":        {object{"threshold": 0.9}, ""},
		"ignored he_param": {object{"he_param": object{"kind": "ckks"}}, ""},
	} {
		for _, party := range []openflow.Party{host, arbiter} {
			t.Run(name+" at the "+string(party.Role), func(t *testing.T) {
				c := trainCase(j, quick(nil))
				c.Timeout = 30 * time.Second
				c.Override = map[openflow.Party]map[string]any{party: tc.other}
				if tc.want == "" {
					componenttest.RunOK(t, c)
					return
				}
				r := componenttest.Run(t, c)
				require.Contains(t, r.Parties[party].Error, "the guest's training plan and the parameters of "+party.String()+" "+tc.want)
				for _, p := range c.Parties {
					require.Equal(t, openflow.TaskFailed, r.Parties[p].Status, p.String())
				}
			})
		}
	}
}

// Parties with more columns than one key may open take several keys a batch, and learn the same as in plaintext. No key
// is used twice.
func TestEveryRoundHasItsOwnKey(t *testing.T) {
	for name, tc := range map[string]struct {
		guest, host, rounds int
		twoHosts            bool
	}{
		"one":                   {guest: 2, host: 10, rounds: 1},
		"wide host":             {guest: 2, host: 60, rounds: 3},
		"wide guest":            {guest: 50, host: 3, rounds: 3},
		"guest without columns": {guest: 0, host: 30, rounds: 2},
		"two hosts":             {guest: 2, host: 30, rounds: 2, twoHosts: true},
	} {
		t.Run(name, func(t *testing.T) {
			j := made(600, tc.guest, tc.host, 2)
			j.ref.alpha = 0.01
			want := j.ref.run(2, 1<<30, constantRate(0.2), plainSGD)
			p := quick(object{"epochs": 2, "early_stop": "weight_diff"})
			c, hosts := trainCase(j, p), []openflow.Party{host}
			if tc.twoHosts {
				c, hosts = twoHosts(j, p), append(hosts, second)
			}
			r := componenttest.RunOK(t, c)
			require.Less(t, gap(want.weights, weights(t, r, hosts...)), 1e-4)
			if !tc.twoHosts {
				require.Less(t, gap(want.losses, losses(t, r)), 1e-4)
			}
			keys := map[string]int{}
			for _, m := range r.Messages() {
				if strings.HasSuffix(m.Topic, "guest-9999~public_key") {
					keys[string(m.Payload[:200])]++
				}
			}
			require.Len(t, keys, 2*tc.rounds)
		})
	}
}
