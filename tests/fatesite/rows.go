package fatesite

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// store is the database of a site: what it keeps when its server ends.
type store struct {
	jobs  map[string]*jobRow
	tasks map[string]*taskRow
	sched map[string]*schedule
	free  int // cores of the engine
	ids   int
}

func newStore(cores int) store {
	return store{jobs: map[string]*jobRow{}, tasks: map[string]*taskRow{}, sched: map[string]*schedule{}, free: cores}
}

// jobRow is a job at one of the roles that the site plays.
type jobRow struct {
	id, role, party string
	status          string
	progress        int
	scheduler, mode string // whom it reports to, and whether it does
	cores, left     int
	held            bool
}

// taskRow is a version of a task at one of them.
type taskRow struct {
	job, role, party, id, name string
	version                    int
	status, own                string // federated; its own
	cores                      int
	held                       bool
	timeout                    time.Duration
	began, gone                time.Time // when its process has
	starts                     int
	process                    chan struct{} // closed when the process ends; nil: there is none
	finish                     chan string
}

func (t *taskRow) killed() {
	if t.process != nil {
		close(t.process)
		t.process = nil
	}
}

func jobKey(id, role, party string) string { return id + "/" + role + "/" + party }

func taskKey(id, role, party string, version int) string {
	return fmt.Sprintf("%s/%s/%s/%d", id, role, party, version)
}

func (b body) jobKey() string { return jobKey(b.text("job_id"), b.text("role"), b.text("party_id")) }

func (b body) taskKey() string {
	return taskKey(b.text("task_id"), b.text("role"), b.text("party_id"), b.whole("task_version"))
}

// The transitions that the original takes (fate-flow-api §4.6.2); every other one is refused, the one to itself too.
var (
	jobMoves = map[string][]string{
		"ready":    {"waiting", "canceled", "timeout", "failed"},
		"waiting":  {"running", "canceled", "timeout", "failed", "success"},
		"running":  {"canceled", "timeout", "failed", "success"},
		"canceled": {"waiting"},
		"timeout":  {"failed", "success", "waiting"},
		"failed":   {"waiting", "canceled"},
		"success":  {"waiting"},
	}
	taskMoves = map[string][]string{
		"waiting":  {"running", "success"},
		"running":  {"canceled", "timeout", "failed", "pass", "success"},
		"canceled": {"waiting"},
		"timeout":  {"failed", "success"},
	}
	ends = []string{"canceled", "timeout", "failed", "pass", "success"}
)

func move(moves map[string][]string, at *string, to string) bool {
	if !slices.Contains(moves[*at], to) {
		return false
	}
	*at = to
	return true
}

func ended(status string) bool { return slices.Contains(ends, status) }

// document is what a site reads of a DAG.
type document struct{ dag map[string]any }

func (d document) conf(key string) any {
	conf, _ := d.dag["conf"].(map[string]any)
	return conf[key]
}

// parties lists role and party, in the order of the document.
func partiesOf(v any) (list [][2]string) {
	groups, _ := v.([]any)
	for _, g := range groups {
		group, _ := g.(map[string]any)
		role, _ := group["role"].(string)
		ids, _ := group["party_id"].([]any)
		for _, id := range ids {
			list = append(list, [2]string{role, fmt.Sprint(id)})
		}
	}
	return list
}

// planned is a task of the document.
type planned struct {
	name    string
	parties [][2]string
	after   []string
	timeout time.Duration
}

// tasks lists them, upstreams first.
func (d document) tasks() []planned {
	all, _ := d.dag["tasks"].(map[string]any)
	whole := partiesOf(d.dag["parties"])
	found := map[string]planned{}
	for name, v := range all {
		spec, _ := v.(map[string]any)
		p := planned{name: name, parties: whole}
		if own := partiesOf(spec["parties"]); len(own) > 0 {
			p.parties = own
		}
		after, _ := spec["dependent_tasks"].([]any)
		for _, a := range after {
			p.after = append(p.after, fmt.Sprint(a))
		}
		p.after = append(p.after, producers(spec["inputs"])...)
		conf, _ := spec["conf"].(map[string]any)
		if seconds, said := conf["timeout"].(float64); said {
			p.timeout = time.Duration(seconds * float64(time.Second))
		}
		found[name] = p
	}
	var list []planned
	for len(list) < len(found) {
		before := len(list)
		for _, name := range sortedNames(found) {
			listed := func(n string) bool { return slices.ContainsFunc(list, func(p planned) bool { return p.name == n }) }
			if !listed(name) && !slices.ContainsFunc(found[name].after, func(a string) bool { return !listed(a) }) {
				list = append(list, found[name])
			}
		}
		if len(list) == before {
			break // a circle: the original does not look for one either
		}
	}
	return list
}

func sortedNames(m map[string]planned) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// producers are the tasks whose outputs an input names.
func producers(v any) (list []string) {
	switch v := v.(type) {
	case map[string]any:
		if p, said := v["producer_task"].(string); said {
			list = append(list, p)
		}
		for _, inner := range v {
			list = append(list, producers(inner)...)
		}
	case []any:
		for _, inner := range v {
			list = append(list, producers(inner)...)
		}
	}
	return list
}

func (d document) number(keys ...string) int {
	v, _ := d.dag["conf"].(map[string]any)
	for _, k := range keys[:len(keys)-1] {
		v, _ = v[k].(map[string]any)
	}
	n, _ := v[keys[len(keys)-1]].(float64)
	return int(n)
}

// Job is how a job stands at a role of the site: its status, and the cores that it holds.
type Job struct {
	Status   string
	Progress int
	Held     int // cores of the engine
}

// Job tells it of the role that the site plays; of none, the first one.
func (s *Site) Job(id string) (j Job, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, row := range s.jobs {
		if strings.HasPrefix(key, id+"/") {
			j = Job{Status: row.status, Progress: row.progress}
			if row.held {
				j.Held = row.cores
			}
			return j, true
		}
	}
	return j, false
}

// Scheduled is how a job stands that the site schedules; empty: it schedules none of that ID.
func (s *Site) Scheduled(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.sched[id]; j != nil {
		return j.status
	}
	return ""
}

// Task is how the latest version of a task stands at the site: federated and its own status, and how many processes all versions
// have had.
func (s *Site) Task(job, name string) (status, own string, starts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := -1
	for _, t := range s.tasks {
		if t.job != job || t.name != name {
			continue
		}
		starts += t.starts
		if t.version > latest {
			latest, status, own = t.version, t.status, t.own
		}
	}
	return status, own, starts
}

// Leaked lists the cores that are held and belong to nothing that goes on: of the engine, of ended jobs, and of ended tasks.
func (s *Site) Leaked() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, j := range s.jobs {
		if j.held && ended(j.status) {
			list = append(list, fmt.Sprintf("job %s holds %d", key, j.cores))
		}
		if ended(j.status) && j.left != j.cores {
			list = append(list, fmt.Sprintf("job %s has %d of %d cores left", key, j.left, j.cores))
		}
	}
	for key, t := range s.tasks {
		if t.held && ended(t.own) {
			list = append(list, fmt.Sprintf("task %s holds %d", key, t.cores))
		}
	}
	slices.Sort(list)
	return list
}

// Free is how many cores its engine has left.
func (s *Site) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

// Take takes cores of the engine away, as another program of the site does, or gives them back.
func (s *Site) Take(cores int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free -= cores
}

// Finish ends the stuck process of a task.
func (s *Site) Finish(job, name, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if t.job == job && t.name == name && t.process != nil {
			select {
			case t.finish <- status:
			default: // it ends already
			}
		}
	}
}
