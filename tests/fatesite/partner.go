package fatesite

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// This file is the site as a partner (fate-flow-api §2.3).

func (s *Site) createJob(b body) answer {
	d := document{b["dag"].(map[string]any)}
	role, party := b.text("role"), b.text("party_id")
	scheduler, _ := d.conf("scheduler_party_id").(string)
	mode, _ := d.conf("sync_type").(string)
	job := &jobRow{id: b.text("job_id"), role: role, party: party, status: "ready", scheduler: scheduler, mode: mode}
	cores := d.number("task", "engine_run", "cores")
	if cores == 0 {
		cores = usualCores
	}
	if job.cores = d.number("cores"); job.cores == 0 {
		job.cores = usualCores
	}
	if role == "arbiter" {
		job.cores, cores = 0, 0
	}
	job.cores = max(job.cores, cores)
	job.left = job.cores
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.jobs[b.jobKey()]; there {
		return ok(nil) // the row is silently kept
	}
	for _, t := range d.tasks() {
		if r := s.runs[t.name]; r.Status == "no provider" {
			return answer{Code: createFailed, Message: "Create job failed: detail[Not found provider[fate:9.9.9@docker]]"}
		}
		for _, p := range t.parties {
			if p != [2]string{role, party} {
				continue
			}
			row := &taskRow{
				job: job.id, role: role, party: party, id: job.id + "_" + t.name, name: t.name, status: "waiting", own: "waiting", cores: cores,
				timeout: t.timeout,
			}
			s.tasks[taskKey(row.id, role, party, 0)] = row
		}
	}
	s.jobs[b.jobKey()] = job
	return ok(nil)
}

const usualCores = 4

func unknown(what string) answer { return answer{Code: serverException, Message: what} }

// noRow is what the original says of a task that it does not have.
const noRow = "IndexError('list index out of range')"

func (s *Site) startJob(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[b.jobKey()]
	if job == nil {
		return unknown("Exception('can not found the Job record to update')")
	}
	move(jobMoves, &job.status, "running")
	return ok(nil)
}

func (s *Site) updateJobStatus(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[b.jobKey()]
	if job == nil {
		return unknown("Exception('can not found the Job record to update')")
	}
	if !s.moveJob(job, b.text("status")) {
		return refused(updateFailed, "Update job does not take effect", b)
	}
	return ok(nil)
}

// moveJob moves a job where that is legal. An end gives back what the job holds.
func (s *Site) moveJob(job *jobRow, to string) bool {
	if !move(jobMoves, &job.status, to) {
		return false
	}
	if ended(to) && job.held {
		job.held = false
		s.free += job.cores
	}
	return true
}

func (s *Site) updateJob(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[b.jobKey()]
	if job == nil {
		return refused(jobNotFound, "No found job", b)
	}
	progress := int(number(b["progress"]))
	if progress == 0 || progress < job.progress {
		return refused(updateFailed, "Update job does not take effect", b)
	}
	job.progress = progress
	return ok(nil)
}

func number(v any) float64 { n, _ := v.(float64); return n }

func (s *Site) applyJob(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[b.jobKey()]
	switch {
	case job == nil:
		return unknown(noRow)
	case job.cores > s.Cores:
		return answer{Code: resourceLimit, Message: "Resource limit exceeded"}
	case job.held || s.free < job.cores:
		return refused(resourceBusy, "Job resource exception", b)
	}
	job.held = true
	s.free -= job.cores
	return ok(nil)
}

func (s *Site) returnJob(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[b.jobKey()]
	if job == nil || !job.held {
		return refused(resourceBusy, "Job resource exception", b)
	}
	job.held = false
	s.free += job.cores
	return ok(nil)
}

// applyTask grants whatever is not held, also to a run that has ended: nobody gives that back.
func (s *Site) applyTask(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, job := s.tasks[b.taskKey()], s.jobs[b.jobKey()]
	switch {
	case t == nil || job == nil:
		return unknown(noRow)
	case t.cores == 0:
		return ok(nil)
	case t.held || job.left < t.cores:
		return refused(taskBusy, "Task resource exception", b)
	}
	t.held = true
	job.left -= t.cores
	return ok(nil)
}

func (s *Site) returnTask(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[b.taskKey()]
	if t == nil || !t.held {
		return refused(taskBusy, "Task resource exception", b)
	}
	s.giveBack(t)
	return ok(nil)
}

func (s *Site) giveBack(t *taskRow) {
	if job := s.jobs[jobKey(t.job, t.role, t.party)]; job != nil && t.held {
		t.held = false
		job.left += t.cores
	}
}

// moveRun moves a run's own status where that is legal, and reports in either case: the answer waits for the scheduler's.
func (s *Site) moveRun(t *taskRow, to string) {
	s.mu.Lock()
	if move(taskMoves, &t.own, to) && ended(to) {
		s.giveBack(t)
	}
	job := s.jobs[jobKey(t.job, t.role, t.party)]
	s.mu.Unlock()
	if job != nil && job.mode == "callback" {
		s.call(job.scheduler, "/v2/scheduler/task/report", body{
			"job_id": t.job, "role": t.role, "party_id": t.party, "task_id": t.id, "task_version": t.version, "status": to,
		})
	}
}

// startTask starts a process, whatever runs already.
func (s *Site) startTask(b body) answer {
	s.mu.Lock()
	t := s.tasks[b.taskKey()]
	if t == nil {
		s.mu.Unlock()
		return unknown(noRow)
	}
	run := s.runs[t.name]
	if !run.Refuse {
		t.starts++
		t.began = time.Now()
		t.process, t.finish = make(chan struct{}), make(chan string, 1)
		killed, finish := t.process, t.finish
		s.work.Go(func() { s.process(t, run, killed, finish) })
	}
	s.mu.Unlock()
	s.moveRun(t, "running")
	if run.Refuse {
		s.moveRun(t, "failed")
		return refused(startFailed, "Start task failed", b)
	}
	if run.Slow > 0 {
		time.Sleep(run.Slow)
	}
	return ok(nil)
}

// process is the program of a run: it tells its server how it has ended, when that listens.
func (s *Site) process(t *taskRow, run Run, killed chan struct{}, finish chan string) {
	status := run.Status
	if status == "" {
		status = "success"
	}
	if run.Stuck {
		select {
		case status = <-finish:
		case <-killed:
			return
		}
	} else {
		select {
		case <-time.After(max(run.After, time.Millisecond)):
		case <-killed:
			return
		}
	}
	for s.starting(t) || run.Seen && !s.seen(t) { // a program of the original takes seconds to come up
		select {
		case <-time.After(time.Millisecond):
		case <-killed:
			return
		}
	}
	s.mu.Lock()
	alive := t.process == killed
	if alive {
		t.process, t.gone = nil, time.Now()
	}
	s.mu.Unlock()
	if alive && s.ctx.Err() == nil {
		s.moveRun(t, status)
	}
}

// starting tells whether the call that has started the process has not noted that yet.
func (s *Site) starting(t *taskRow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.own == "waiting"
}

// seen tells whether the site's scheduler knows that a run goes on, where it is the job's.
func (s *Site) seen(t *taskRow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.sched[t.job]
	return job == nil || slices.ContainsFunc(job.tasks, func(at *scheduledTask) bool {
		return at.id == t.id && at.version == t.version && at.by[[2]string{t.role, t.party}] == "running"
	})
}

func (s *Site) collectTask(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[b.taskKey()]
	if t == nil {
		return refused(taskNotFound, "No found task", b)
	}
	return ok(map[string]any{
		"job_id": t.job, "task_id": t.id, "task_version": t.version, "role": t.role, "party_id": t.party, "status": t.status, "party_status": t.own,
		"start_time": nil, "update_time": time.Now().UnixMilli(), "end_time": nil, "elapsed": nil,
	})
}

func (s *Site) updateTaskStatus(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[b.taskKey()]
	if t == nil {
		return unknown(noRow)
	}
	if !move(taskMoves, &t.status, b.text("status")) {
		return refused(updateTask, "Update task status does not take effect", b)
	}
	return ok(nil)
}

func (s *Site) stopTask(b body) answer {
	s.mu.Lock()
	t := s.tasks[b.taskKey()]
	if t == nil {
		s.mu.Unlock()
		return refused(taskNotFound, "No found task", b)
	}
	t.killed()
	s.mu.Unlock()
	status := b.text("status")
	if status == "" {
		status = "failed"
	}
	s.moveRun(t, status)
	return ok(nil)
}

func (s *Site) rerunTask(b body) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.tasks[b.taskKey()]
	version := b.whole("new_version")
	if before == nil {
		return ok(nil)
	}
	key := taskKey(before.id, before.role, before.party, version)
	if s.tasks[key] == nil {
		s.tasks[key] = &taskRow{
			job: before.job, role: before.role, party: before.party, id: before.id, name: before.name, version: version, status: "waiting",
			own: "waiting", cores: before.cores, timeout: before.timeout,
		}
	}
	return ok(nil)
}

// stopJob kills what runs, by the federated status, and calls the job failed: nobody has said how it ends.
func (s *Site) stopJob(b body) answer {
	s.stopHere(b.text("job_id"), b.text("role"), b.text("party_id"), "failed")
	return ok(nil)
}

func (s *Site) stopHere(id, role, party, status string) {
	s.mu.Lock()
	var running []*taskRow
	for _, t := range s.tasks {
		if t.job != id || t.role != role || t.party != party || t.status == "waiting" || t.status == "success" || t.status == "pass" {
			continue
		}
		t.killed()
		running = append(running, t)
	}
	s.mu.Unlock()
	for _, t := range running {
		s.moveRun(t, status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if job := s.jobs[jobKey(id, role, party)]; job != nil {
		s.moveJob(job, status)
	}
}

// Submit hands a job to its scheduler as the site's client does: a DAG in the words of FATE-Flow. It returns the job's ID, or the
// refusal.
func (s *Site) Submit(dag map[string]any) (id string, refusal error) {
	conf, _ := dag["conf"].(map[string]any)
	if conf == nil {
		conf = map[string]any{}
		dag["conf"] = conf
	}
	conf["initiator_party_id"] = s.Party
	scheduler, _ := conf["scheduler_party_id"].(string)
	if scheduler == "" {
		scheduler = s.Party
		conf["scheduler_party_id"] = scheduler
	}
	a := s.call(scheduler, "/v2/scheduler/job/create", body{"dag": dag, "schema_version": "2.2.0", "kind": "fate"}, "initiator-party-id", s.Party)
	if a.Code != success {
		return a.JobID, fmt.Errorf("%d: %s", a.Code, a.Message)
	}
	return a.JobID, nil
}

// StopJob stops a job as a user of the site does (fate-flow-api §2.5.4). It returns what the scheduler has answered.
func (s *Site) StopJob(id string) error {
	s.mu.Lock()
	scheduler := s.Party
	var own []*jobRow
	for _, job := range s.jobs {
		if job.id == id {
			scheduler = job.scheduler
			own = append(own, job)
		}
	}
	s.mu.Unlock()
	for _, job := range own {
		s.stopHere(id, job.role, job.party, "canceled")
	}
	return said(s.call(scheduler, "/v2/scheduler/job/stop", body{"job_id": id, "stop_status": "canceled"}))
}

// Rerun asks the scheduler of a job to run it again.
func (s *Site) Rerun(id string) error {
	s.mu.Lock()
	scheduler := s.Party
	for _, job := range s.jobs {
		if job.id == id {
			scheduler = job.scheduler
		}
	}
	s.mu.Unlock()
	return said(s.call(scheduler, "/v2/scheduler/job/rerun", body{"job_id": id}))
}

func said(a answer) error {
	if a.Code == success {
		return nil
	}
	data, err := json.Marshal(a.Data)
	if err != nil {
		return err
	}
	return fmt.Errorf("%d: %s %s", a.Code, a.Message, data)
}
