package wire

import (
	"strconv"

	"openflow"
)

// FATE-Flow's names of a run say which one it is among those of one scheduler. Whoever knows the scheduler from elsewhere,
// as from a credential or a verified caller, may be given them; a site's own names are [openflow.TaskKey.RunID] and
// [openflow.TaskKey.SessionID].

// PartyTaskID is "<job>_<task>_<version>_<role>_<party>": execution_id, party_task_id and computing_id.
//
// Spec: fate-flow-api §4.8.
func PartyTaskID(k openflow.TaskKey) string {
	return FederationID(k) + "_" + string(k.Party.Role) + "_" + string(k.Party.ID)
}

// FederationID is "<job>_<task>_<version>": the session of a task version.
//
// Spec: fate-flow-api §4.8.
func FederationID(k openflow.TaskKey) string {
	return string(k.TaskID()) + "_" + strconv.Itoa(k.Version)
}
