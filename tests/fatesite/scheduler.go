package fatesite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// This file is the site as a scheduler (fate-flow-api §2.2, §2.4).

// schedule is a job that the site schedules.
type schedule struct {
	id       string
	dag      document
	parties  [][2]string
	mode     string
	status   string
	progress int
	canceled bool
	again    bool
	order    int
	tasks    []*scheduledTask
}

// scheduledTask is a version of a task as the scheduler sees it.
type scheduledTask struct {
	planned
	id      string
	version int
	status  string
	by      map[[2]string]string
	retries int
}

func (t *scheduledTask) fresh(version int) {
	t.version, t.status, t.by = version, "waiting", map[[2]string]string{}
	for _, p := range t.parties {
		t.by[p] = "waiting"
	}
}

func (s *Site) scheduleJob(b body) answer {
	dag := b["dag"].(map[string]any)
	conf, _ := dag["conf"].(map[string]any)
	if conf == nil {
		conf = map[string]any{}
		dag["conf"] = conf
	}
	s.mu.Lock()
	s.ids++
	id := fmt.Sprintf("%s%s%03d", time.Now().Format("20060102150405"), s.Party, s.ids)
	s.mu.Unlock()
	for key, usual := range map[string]any{"sync_type": "callback", "auto_retries": float64(0), "model_id": id, "model_version": "0", "computing_partitions": float64(4)} {
		if conf[key] == nil {
			conf[key] = usual
		}
	}
	d := document{dag}
	job := &schedule{id: id, dag: d, parties: partiesOf(dag["parties"]), mode: fmt.Sprint(conf["sync_type"]), status: "ready"}
	for _, p := range d.tasks() {
		t := &scheduledTask{planned: p, id: id + "_" + p.name, retries: d.number("auto_retries")}
		t.fresh(0)
		job.tasks = append(job.tasks, t)
	}
	create := body{"dag": dag, "schema_version": b.text("schema_version"), "kind": "fate", "job_id": id}
	answers, all := s.fanOut(job.parties, "/v2/partner/job/create", create)
	if !all {
		s.fanOut(job.parties, "/v2/partner/job/status/update", body{"job_id": id, "status": "failed"})
		return answer{Code: createFailed, Message: fmt.Sprintf("Traceback (most recent call last):\nException: ('create job failed', %s)", answers), JobID: id}
	}
	if answers, all := s.fanOut(job.parties, "/v2/partner/job/status/update", body{"job_id": id, "status": "waiting"}); !all {
		return answer{Code: createFailed, Message: "Exception: ('set job to waiting failed', " + answers + ")", JobID: id}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	job.status, job.order = "waiting", s.ids
	s.sched[id] = job
	a := ok(map[string]any{"model_id": conf["model_id"], "model_version": conf["model_version"]})
	a.JobID = id
	return a
}

// fanOut calls all parties, one after the other, and tells whether each has answered 0.
func (s *Site) fanOut(parties [][2]string, path string, b body) (answers string, all bool) {
	all = true
	said := map[string]answer{}
	for _, p := range parties {
		a := s.to(p, path, b)
		said[p[0]+" "+p[1]] = a
		all = all && a.Code == success
	}
	text, err := json.Marshal(said)
	if err != nil {
		panic(err) // it has come as JSON
	}
	return string(text), all
}

func (s *Site) to(p [2]string, path string, b body) answer {
	one := body{"role": p[0], "party_id": p[1]}
	for k, v := range b {
		one[k] = v
	}
	return s.call(p[1], path, one)
}

func (s *Site) toTask(job *schedule, t *scheduledTask, path string, b body) (answers string, all bool) {
	one := body{"job_id": job.id, "task_id": t.id, "task_version": t.version}
	for k, v := range b {
		one[k] = v
	}
	return s.fanOut(t.parties, path, one)
}

func (s *Site) stopScheduled(b body) answer {
	s.mu.Lock()
	job := s.sched[b.text("job_id")]
	if job == nil {
		s.mu.Unlock()
		return refused(jobNotFound, "No found job", b)
	}
	if b.text("stop_status") == "canceled" {
		job.canceled = true
	}
	parties := job.parties
	s.mu.Unlock()
	if answers, all := s.fanOut(parties, "/v2/partner/job/stop", body{"job_id": job.id}); !all {
		return answer{Code: killFailed, Message: answers}
	}
	return ok(nil)
}

func (s *Site) rerunScheduled(b body) answer {
	s.round.Lock() // of what the scheduler's thread reads
	defer s.round.Unlock()
	s.mu.Lock()
	job := s.sched[b.text("job_id")]
	s.mu.Unlock()
	if job == nil {
		return unknown(fmt.Sprintf("RuntimeError('can not found job %s')", b.text("job_id")))
	}
	for _, t := range job.tasks {
		if slices.Contains([]string{"canceled", "failed", "timeout"}, t.status) {
			if !s.furtherVersion(job, t) {
				return unknown(fmt.Sprintf("Exception('create %s new version %d failed')", t.id, t.version+tries))
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	job.again, job.canceled = true, false
	return ok(nil)
}

// furtherVersion makes the next version at all parties, or one of those behind it.
func (s *Site) furtherVersion(job *schedule, t *scheduledTask) bool {
	s.toTask(job, t, "/v2/partner/task/stop", body{"status": t.status})
	for v := t.version + 1; v <= t.version+tries; v++ {
		if _, all := s.toTask(job, t, "/v2/partner/task/rerun", body{"new_version": v}); all {
			s.mu.Lock()
			t.fresh(v)
			s.mu.Unlock()
			return true
		}
	}
	return false
}

func (s *Site) reported(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.sched[b.text("job_id")]
	if job != nil {
		for _, t := range job.tasks {
			p := [2]string{b.text("role"), b.text("party_id")}
			at, takesPart := t.by[p]
			if t.id != b.text("task_id") || t.version != b.whole("task_version") || !takesPart {
				continue
			}
			if !move(taskMoves, &at, b.text("status")) {
				return refused(updateTask, "Update task status does not take effect", b)
			}
			t.by[p] = at
			return ok(nil)
		}
	}
	return unknown("Exception('can not found the ScheduleTask record to update')")
}

func (s *Site) rounds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Round):
		}
		s.round.Lock()
		if ctx.Err() == nil {
			s.oneRound(ctx)
		}
		s.round.Unlock()
	}
}

func (s *Site) scheduled(status ...string) []*schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*schedule
	for _, job := range s.sched {
		if slices.Contains(status, job.status) {
			list = append(list, job)
		}
	}
	slices.SortFunc(list, func(a, b *schedule) int { return a.order - b.order })
	return list
}

// oneRound is one of the scheduler's: the first job that waits, all that run, and those that are run again.
func (s *Site) oneRound(ctx context.Context) {
	if waiting := s.scheduled("waiting"); len(waiting) > 0 {
		s.admit(waiting[0])
	}
	for _, job := range s.scheduled("running") {
		if ctx.Err() != nil {
			return
		}
		s.runJob(job)
	}
	for _, job := range s.scheduled("canceled", "timeout", "failed", "success") {
		s.mu.Lock()
		again := job.again
		s.mu.Unlock()
		if !again {
			continue
		}
		if _, all := s.fanOut(job.parties, "/v2/partner/job/status/update", body{"job_id": job.id, "status": "waiting"}); all {
			s.mu.Lock()
			job.status, job.again = "waiting", false
			s.mu.Unlock()
		}
	}
	s.detect()
}

func (s *Site) admit(job *schedule) {
	s.mu.Lock()
	canceled := job.canceled
	s.mu.Unlock()
	if canceled {
		s.fanOut(job.parties, "/v2/partner/job/status/update", body{"job_id": job.id, "status": "canceled"})
		s.setJob(job, "canceled")
		return
	}
	var granted [][2]string
	limit := false
	for _, p := range job.parties {
		a := s.to(p, "/v2/partner/job/resource/apply", body{"job_id": job.id})
		if a.Code == success {
			granted = append(granted, p)
		}
		limit = limit || a.Code == resourceLimit
	}
	if len(granted) < len(job.parties) {
		s.fanOut(granted, "/v2/partner/job/resource/return", body{"job_id": job.id})
		if limit {
			s.fanOut(job.parties, "/v2/partner/job/stop", body{"job_id": job.id})
			s.setJob(job, "failed")
		}
		return
	}
	s.fanOut(job.parties, "/v2/partner/job/start", body{"job_id": job.id})
	s.setJob(job, "running")
}

func (s *Site) setJob(job *schedule, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job.status = status
}

// merged is a task's status from those of its parties (fate-flow-api §4.6.3).
func merged(by map[[2]string]string) string {
	var list []string
	for _, status := range by {
		list = append(list, status)
	}
	first := list[0]
	if !slices.ContainsFunc(list, func(s string) bool { return s != first }) {
		return first
	}
	for _, end := range []string{"canceled", "timeout", "failed"} {
		if slices.Contains(list, end) {
			return end
		}
	}
	return "running"
}

func (s *Site) runJob(job *schedule) {
	s.mu.Lock()
	before := map[*scheduledTask]string{}
	for _, t := range job.tasks {
		before[t] = t.status
	}
	s.mu.Unlock()
	for _, t := range job.tasks {
		if job.mode == "poll" {
			s.collect(job, t)
		}
		s.mu.Lock()
		now := merged(t.by)
		changed := now != t.status
		s.mu.Unlock()
		if changed {
			s.toTask(job, t, "/v2/partner/task/status/update", body{"status": now})
			s.mu.Lock()
			t.status = now
			s.mu.Unlock()
		}
		if changed && ended(now) || slices.Contains([]string{"canceled", "timeout", "failed"}, now) {
			s.toTask(job, t, "/v2/partner/task/stop", body{"status": now})
		}
	}
	s.mu.Lock()
	canceled := job.canceled
	s.mu.Unlock()
	broken := slices.ContainsFunc(job.tasks, func(t *scheduledTask) bool {
		return slices.Contains([]string{"canceled", "timeout", "failed"}, t.status)
	})
	if !canceled && !broken {
		s.startNext(job)
	}
	s.conclude(job, canceled, before)
}

func (s *Site) collect(job *schedule, t *scheduledTask) {
	for _, p := range t.parties {
		a := s.to(p, "/v2/partner/task/collect", body{"job_id": job.id, "task_id": t.id, "task_version": t.version})
		data, _ := a.Data.(map[string]any)
		own, _ := data["party_status"].(string)
		s.mu.Lock()
		if at := t.by[p]; a.Code == success && move(taskMoves, &at, own) {
			t.by[p] = at
		}
		s.mu.Unlock()
	}
}

func (s *Site) startNext(job *schedule) {
	done := map[string]bool{}
	for _, t := range job.tasks {
		done[t.name] = t.status == "success" || t.status == "pass"
	}
	for _, t := range job.tasks {
		if t.status != "waiting" || slices.ContainsFunc(t.after, func(a string) bool { return !done[a] }) {
			continue
		}
		var granted [][2]string
		one := body{"job_id": job.id, "task_id": t.id, "task_version": t.version}
		for _, p := range t.parties {
			if s.to(p, "/v2/partner/task/resource/apply", one).Code == success {
				granted = append(granted, p)
			}
		}
		if len(granted) < len(t.parties) {
			s.fanOut(granted, "/v2/partner/task/resource/return", one)
			return
		}
		s.mu.Lock()
		t.status = "running"
		s.mu.Unlock()
		s.toTask(job, t, "/v2/partner/task/status/update", body{"status": "running"})
		if _, all := s.toTask(job, t, "/v2/partner/task/start", nil); !all {
			s.toTask(job, t, "/v2/partner/task/status/update", body{"status": "failed"})
			s.mu.Lock()
			t.status = "failed"
			s.mu.Unlock()
			return
		}
	}
}

// conclude is how the job stands after a round (fate-flow-api §4.6.4, §2.4.1 from 3 on).
func (s *Site) conclude(job *schedule, canceled bool, before map[*scheduledTask]string) {
	status := of(job, canceled)
	finished := 0
	for _, t := range job.tasks {
		if ended(t.status) {
			finished++
		}
	}
	progress := finished * 100 / len(job.tasks)
	if progress > job.progress {
		s.fanOut(job.parties, "/v2/partner/job/update", body{"job_id": job.id, "progress": float64(progress)})
		job.progress = progress
	}
	if status != "running" && status != "waiting" {
		s.fanOut(job.parties, "/v2/partner/job/status/update", body{"job_id": job.id, "status": status})
		s.setJob(job, status)
		s.fanOut(job.parties, "/v2/partner/job/stop", body{"job_id": job.id})
	}
	for _, t := range job.tasks {
		if (t.status == "failed" || t.status == "timeout") && before[t] != t.status && t.retries > 0 && !canceled {
			t.retries--
			if s.furtherVersion(job, t) {
				s.mu.Lock()
				job.again = true
				s.mu.Unlock()
			}
		}
	}
}

func of(job *schedule, canceled bool) string {
	var list []string
	for _, t := range job.tasks {
		status := t.status
		if status == "pass" {
			status = "success"
		}
		list = append(list, status)
	}
	first := list[0]
	if !slices.ContainsFunc(list, func(s string) bool { return s != first }) {
		if first == "waiting" && canceled {
			return "canceled"
		}
		return first
	}
	if slices.Contains(list, "running") {
		return "running"
	}
	broken := slices.ContainsFunc(list, func(s string) bool { return s == "failed" || s == "timeout" || s == "canceled" })
	if slices.Contains(list, "waiting") && !broken && !canceled {
		return "running"
	}
	for _, end := range []string{"failed", "timeout", "canceled"} {
		if slices.Contains(list, end) {
			return end
		}
	}
	return "canceled"
}

// detect looks for runs of the site that took too long, or whose process ended while nobody listened.
func (s *Site) detect() {
	s.mu.Lock()
	stop := map[string]string{}
	for _, t := range s.tasks {
		job := s.jobs[jobKey(t.job, t.role, t.party)]
		if t.own != "running" || job == nil {
			continue
		}
		if t.process == nil && time.Since(t.gone) > 3*time.Second || t.timeout > 0 && time.Since(t.began) > t.timeout {
			stop[t.job] = job.scheduler
		}
	}
	s.mu.Unlock()
	for id, scheduler := range stop {
		s.call(scheduler, "/v2/scheduler/job/stop", body{"job_id": id, "stop_status": "failed"})
	}
}
