package partner

import "openflow"

// commonArbiter finds a task of this site in which another party brings data and also is the arbiter, who can decrypt
// what this site's run sends. What a site does with itself exposes nobody.
func commonArbiter(self openflow.PartyID, specs []openflow.TaskSpec) (task openflow.TaskName, data openflow.Party, found bool) {
	for _, spec := range specs {
		arbiters := map[openflow.PartyID]bool{}
		for _, a := range spec.Parties {
			if a.Role == openflow.RoleArbiter && a.ID != self {
				arbiters[a.ID] = true
			}
		}
		for _, p := range spec.Parties {
			if p.Role != openflow.RoleArbiter && arbiters[p.ID] {
				return spec.Name, p, true
			}
		}
	}
	return "", openflow.Party{}, false
}

// exposes refuses tasks that this site's policy does not allow because of who takes part in them.
func (s *Service) exposes(specs []openflow.TaskSpec) error {
	task, data, found := commonArbiter(s.Self, specs)
	if !found || s.Policy.CoordinatedLR.AllowCommonArbiter {
		return nil
	}
	e := openflow.Errorf(openflow.CodeRejected,
		"the policy of party %s refuses task %q: %s is the arbiter as well, and could decrypt what party %[1]s sends", s.Self, task, data).
		WithHint("name a third party as arbiter; FATE's examples share host and arbiter: to run them as they are, the operator of "+
			"party %s writes coordinated_lr: {allow_common_arbiter: true} into policy.yaml and restarts the node (docs/policy.md)", s.Self)
	return e.WithPublic("%s (%s)", e.Message, e.Hint)
}
