package partner

import (
	"openflow"
	"openflow/site/authority"
)

// ofOwnUsers refuses tasks that read or write files of this machine, or give a table a name that lasts, in a job that another site
// has initiated: no grant stands for that.
func (s *Service) ofOwnUsers(word openflow.Authority, specs []openflow.TaskSpec) error {
	own := authority.By(s.Self, word) == s.Self
	for _, spec := range specs {
		if !spec.OfOwnUsers() {
			continue
		}
		if !own {
			return openflow.Errorf(openflow.CodePermission, "task %q runs %s at party %s, which only jobs of its own users may", spec.Name, spec.Component, s.Self).
				WithHint("let a user of that party upload or write the table there")
		}
		if name, named := spec.Names(spec.NamedOutput()); named {
			if err := name.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}
