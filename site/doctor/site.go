package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// Workers is who runs a site's tasks.
type Workers struct {
	Alone   bool                    // the node runs them itself, and nobody else does
	NoTasks bool                    // the node runs none itself
	Alive   []openflow.WorkerRecord // machines that have told of themselves lately
	Cores   int                     // that jobs of the site share
	Machine int                     // cores that the node's own runtime has
	Waiting Queue                   // runs that no machine has taken yet
	Silent  []openflow.WorkerRecord // machines that have missed their turn to tell of themselves, and have not left
	ShutOut []openflow.WorkerRecord // machines with runs that cannot reach this node: it has no listener for workers
	Gone    time.Duration           // how long a machine may be away before its runs fail
}

// Examine checks that there are machines for what jobs are promised.
func (w Workers) Examine() openflow.Finding {
	const check = "workers"
	cores := 0
	for _, m := range w.Alive {
		cores += m.Cores
	}
	detail := fmt.Sprintf("%d machines with %d cores: %s", len(w.Alive), cores, few(w.names()))
	silent, runs := w.silent()
	switch {
	case len(w.ShutOut) > 0:
		return fail(check, ShutOut(w.ShutOut),
			fmt.Sprintf("restart the node with --listen-workers: the machines come back to their runs within %s, and afterwards these have failed", w.Gone))
	case runs > 0:
		return fail(check, fmt.Sprintf("%d runs are at machines that are silent: %s", runs, silent),
			fmt.Sprintf("start their workers again: a run fails whose machine is not back within %s", w.Gone))
	case w.Alone && silent == "" && w.Cores > w.Machine:
		return warn(check, fmt.Sprintf("jobs share %d cores, and the runtime has %d: tasks share them, and all take longer", w.Cores, w.Machine),
			fmt.Sprintf("start the node with --cores %d, or workers on further machines", w.Machine))
	case w.Alone && silent == "":
		return ok(check, fmt.Sprintf("this node runs its tasks itself, on %d of the %d cores that it has", w.Cores, w.Machine))
	case len(w.Alive) == 0 && w.NoTasks:
		return fail(check, "none is alive, and this node runs no tasks itself (--no-tasks): tasks wait for a worker, then fail",
			"start one: openflow worker; or start the node without --no-tasks")
	case silent != "":
		return warn(check, "machines are silent: "+silent, "start their workers again; one that is gone for good is forgotten after a day")
	case cores < w.Cores:
		return warn(check, fmt.Sprintf("jobs share %d cores, and the machines have fewer: %s", w.Cores, detail),
			fmt.Sprintf("start further workers, or the node with --cores %d: until then tasks wait for a machine although their job has cores", cores))
	case cores > w.Cores:
		return warn(check, fmt.Sprintf("jobs share %d cores, and the machines have more: %s", w.Cores, detail),
			fmt.Sprintf("start the node with --cores %d: until then the rest lies idle", cores))
	case w.Waiting.Age > longBacklog:
		return warn(check, fmt.Sprintf("%s; %d runs wait for one, the oldest for %s", detail, w.Waiting.Backlog, w.Waiting.Age.Round(time.Second)),
			"start a further worker, with the label that the tasks want")
	}
	return ok(check, detail)
}

// silent names the machines that are silent, and counts their runs.
func (w Workers) silent() (names string, runs int) {
	var list []string
	for _, m := range w.Silent {
		list = append(list, fmt.Sprintf("%s (%s) since %s", m.Machine, m.Name, m.Seen.UTC().Format(time.RFC3339)))
		runs += len(m.Running)
	}
	return few(list), runs
}

// ShutOut says that runs are at machines of the pool that cannot reach the node.
func ShutOut(machines []openflow.WorkerRecord) string {
	names, runs := make([]string, len(machines)), 0
	for i, m := range machines {
		names[i] = fmt.Sprintf("%s (%s)", m.Machine, m.Name)
		runs += len(m.Running)
	}
	return fmt.Sprintf("%d runs are at machines of the pool, which cannot reach this node since it was started without --listen-workers: %s", runs, few(names))
}

// names are the machines with their labels.
func (w Workers) names() []string {
	names := make([]string, len(w.Alive))
	for i, m := range w.Alive {
		if names[i] = m.Name; len(m.Labels) > 0 {
			names[i] += " (" + strings.Join(slices.Sorted(slices.Values(m.Labels)), ", ") + ")"
		}
	}
	return names
}

// Store is one of the services in which a node keeps things, embedded or shared.
type Store struct {
	Name  string
	Place string // without secrets
	Err   error  // it does not answer
}

// Examine checks that the store answers.
func (s Store) Examine() openflow.Finding {
	check := "store " + s.Name
	if s.Err != nil {
		if openflow.CodeOf(s.Err) == openflow.CodeExhausted {
			return fail(check, fmt.Sprintf("%s: %v", s.Place, s.Err), "it answers, and is full: make room there; what was acknowledged is not lost")
		}
		return fail(check, fmt.Sprintf("%s: %v", s.Place, s.Err),
			"check that it runs, and that this machine reaches it; jobs go on when it answers, and what was acknowledged is not lost")
	}
	return ok(check, s.Place+" answers")
}
