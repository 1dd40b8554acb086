package partner

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestCommonArbiter(t *testing.T) {
	party := func(role openflow.Role, id openflow.PartyID) openflow.Party {
		return openflow.Party{Role: role, ID: id}
	}
	g, h, h2 := party(openflow.RoleGuest, "9999"), party(openflow.RoleHost, "10000"), party(openflow.RoleHost, "10001")
	arbiter := func(id openflow.PartyID) openflow.Party { return party(openflow.RoleArbiter, id) }
	for name, c := range map[string]struct {
		self    openflow.PartyID
		tasks   [][]openflow.Party
		refused bool
	}{
		"a third party":                      {"9999", [][]openflow.Party{{g, h, arbiter("10002")}}, false},
		"the host, seen by the guest":        {"9999", [][]openflow.Party{{g, h}, {g, h, arbiter("10000")}}, true},
		"the host, seen by itself":           {"10000", [][]openflow.Party{{g, h, arbiter("10000")}}, false},
		"the guest, seen by the host":        {"10000", [][]openflow.Party{{g, h, arbiter("9999")}}, true},
		"another host, seen by a host":       {"10000", [][]openflow.Party{{g, h, h2, arbiter("10001")}}, true},
		"another host, in another task":      {"10000", [][]openflow.Party{{g, h, arbiter("10001")}, {g, h2}}, false},
		"the arbiter alone, seen by itself":  {"10002", [][]openflow.Party{{g, h, arbiter("10002")}}, false},
		"without an arbiter":                 {"9999", [][]openflow.Party{{g, h, h2}}, false},
		"two arbiters, one of them the host": {"9999", [][]openflow.Party{{g, h, arbiter("10002"), arbiter("10000")}}, true},
		"no task":                            {"9999", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var specs []openflow.TaskSpec
			for _, parties := range c.tasks {
				specs = append(specs, openflow.TaskSpec{Name: "lr_0", Parties: parties})
			}
			for _, allowed := range []bool{false, true} {
				s := &Service{Self: c.self, Policy: openflow.DefaultPolicy()}
				s.Policy.CoordinatedLR.AllowCommonArbiter = allowed
				err := s.exposes(specs)
				if !c.refused || allowed {
					require.NoError(t, err)
					continue
				}
				require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err))
				for _, part := range []string{
					"party " + string(c.self), "coordinated_lr: {allow_common_arbiter: true}", "policy.yaml", "FATE's examples share host and arbiter",
				} {
					require.ErrorContains(t, err, part)
					require.Contains(t, openflow.PublicText(err), part, "the submitter must be able to read it")
				}
			}
		})
	}
}
