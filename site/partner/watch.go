package partner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"openflow"
)

// WatchStore is the part of the catalogue that knows what runs.
type WatchStore interface {
	// RunningJobs lists jobs that run at this site, RunningScheduledJobs those that this node schedules; the oldest first.
	RunningJobs(ctx context.Context, limit int) ([]openflow.JobRecord, error)
	RunningScheduledJobs(ctx context.Context, limit int) ([]openflow.ScheduledJob, error)
	TasksOfJob(ctx context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error)
	SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error
	// SetRunningReason and SetRunningScheduledReason say what a job waits for as long as it runs.
	SetRunningReason(ctx context.Context, k openflow.JobKey, reason string) (bool, error)
	SetRunningScheduledReason(ctx context.Context, id openflow.JobID, reason string) (bool, error)
}

// Peers asks another node whether it answers and whether both take each other for who they are.
type Peers interface {
	Answers(ctx context.Context, id openflow.PartyID) error
}

// Watch says on the rows of running jobs what they wait for, and who has been silent since when. Every site asks for itself,
// so that its users read the truth also while the job's scheduler is out of reach, no workflow grows by it, and no
// party has to tell another. A peer is asked once a round, whatever number of jobs it takes part in, and only while one
// of them runs.
type Watch struct {
	self  openflow.PartyID
	store WatchStore
	peers Peers
	disk  Disk
	log   *slog.Logger

	mu       sync.Mutex
	suspects map[openflow.PartyID]bool                                // a call has failed
	asking   map[openflow.PartyID]bool                                // the watch itself calls now
	failing  map[openflow.PartyID]failing                             // the last calls for jobs have got no answer that can be used
	troubles map[openflow.PartyID]trouble                             // of the last round
	hindered grouped[openflow.SessionID, openflow.Passage, hindrance] // what of runs here is refused
	unheard  grouped[openflow.JobKey, exchange, unheard]              // what of runs two parties do not get told; see exchange.job
}

// Disk is that of the site itself.
type Disk interface {
	// CheckSpace is nil while there is room for what is new.
	CheckSpace() error
	// Spare makes a little room on a full disk, as long as there is something to give up.
	Spare() error
}

// trouble is what is wrong with a peer, from when on.
type trouble struct {
	since time.Time
	kind  openflow.Code
	text  string // for people, after the peer's name, in words of this node
	said  string // the words that came with it, for this site's users; may be empty
	// answers: it is there, and its answers cannot be used. Which of them is worth more words.
	answers bool
}

const (
	// roundEvery is the time between two rounds. With answerWithin it bounds how long a silent peer goes unnoticed.
	roundEvery = 3 * time.Second
	// answerWithin is how long a peer may take to answer before it counts as silent.
	answerWithin = 5 * time.Second
	// watched bounds one round.
	watched = 500
	// faultsNamed is how many errors of a round the log names: each row may have one.
	faultsNamed = 3
)

// NewWatch watches the peers of the site self; Run does it.
func NewWatch(self openflow.PartyID, store WatchStore, peers Peers, disk Disk, log *slog.Logger) *Watch {
	return &Watch{
		self: self, store: store, peers: peers, disk: disk, log: log, suspects: map[openflow.PartyID]bool{}, asking: map[openflow.PartyID]bool{},
		failing: map[openflow.PartyID]failing{}, troubles: map[openflow.PartyID]trouble{},
	}
}

// Called is told of every call to a peer that has ended. One that failed makes the next round ask the peer, whether or not
// a job runs with it. A peer may answer that question, and yet the calls for jobs with nonsense: that is kept until it does not.
func (w *Watch) Called(peer openflow.PartyID, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if troubling(err) {
		w.suspects[peer] = true
	}
	switch {
	case w.asking[peer]: // which says nothing of the calls for jobs
	case errors.Is(err, openflow.ErrUnusable):
		w.failing[peer] = w.failing[peer].count(time.Now(), err)
	case !troubling(err):
		delete(w.failing, peer)
	}
}

// failing are calls for jobs, one after the other, to a peer whose answers cannot be used.
type failing struct {
	calls int
	trouble
}

// failures is how many such calls there have to be: something on the way may have answered one, as while the peer restarts.
const failures = 2

// count adds a call.
func (f failing) count(now time.Time, err error) failing {
	if f.calls++; f.calls == 1 {
		f.since = now
	}
	f.said = plain(err)
	f.kind, f.answers = openflow.CodeUnavailable, true
	f.text = fmt.Sprintf("since %s its node answers, and not so that this node can use it", f.since.UTC().Format(time.RFC3339))
	return f
}

// plain is one line of an error in which this node says what it has met at a peer that is named before.
func plain(err error) string {
	var e *openflow.Error
	if !errors.As(err, &e) {
		return ""
	}
	words := *e
	words.Party = ""
	return openflow.FirstLine(words.Error())
}

// troubling tells whether an error says something about the peer and not about what it was asked.
func troubling(err error) bool {
	code := openflow.CodeOf(err)
	return code == openflow.CodeUnavailable || code == openflow.CodeDeadline || code == openflow.CodeUnauthorized
}

// ailing tells whether the answer to the question how a peer is shows that it cannot go on: also where its disk is full, or
// its database is gone.
func ailing(err error) bool {
	code := openflow.CodeOf(err)
	return troubling(err) || code == openflow.CodeExhausted || code == openflow.CodeInternal
}

// Run makes rounds until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	spared := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		errs := w.round(ctx)
		if len(errs) > 0 && ctx.Err() == nil {
			w.log.Error("running jobs could not be checked; trying again", "times", len(errs), "err", errors.Join(errs[:min(len(errs), faultsNamed)]...))
		}
		// The reason that names this site's full disk has to be on that disk. The rest of the reserve is for its users' commands.
		if !slices.ContainsFunc(errs, exhausted) {
			spared = spared && len(errs) > 0
		} else if !spared {
			spared = true
			if err := w.disk.Spare(); err != nil {
				w.log.Error("no room could be made for the reasons of jobs", "err", err)
			}
		}
	}
}

func exhausted(err error) bool { return openflow.CodeOf(err) == openflow.CodeExhausted }

// faults are what has failed in a round. What one row meets keeps no other from its turn.
type faults []error

// add notes errors. A row that is not there may have been removed meanwhile, and is none.
func (f *faults) add(errs ...error) {
	for _, err := range errs {
		if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			*f = append(*f, err)
		}
	}
}

// round asks the peers of all running jobs and says on the rows what the jobs wait for.
func (w *Watch) round(ctx context.Context) (errs faults) {
	running, err := w.store.RunningJobs(ctx, watched)
	if err != nil {
		return faults{err}
	}
	scheduled, err := w.store.RunningScheduledJobs(ctx, watched)
	if err != nil {
		return faults{err}
	}
	var peers []openflow.PartyID
	var jobs []openflow.JobRecord // those of which is known what runs
	var tasks [][]openflow.TaskRecord
	for _, j := range running {
		runs, err := w.store.TasksOfJob(ctx, j.Key())
		if err != nil {
			errs.add(err)
			continue
		}
		jobs, tasks = append(jobs, j), append(tasks, runs)
		peers = append(peers, w.needed(j, runs)...)
	}
	for _, j := range scheduled {
		peers = append(peers, parties(j.DAG.Parties)...)
	}
	troubles := w.ask(ctx, peers)
	if ctx.Err() != nil {
		return nil // the answers were cut short
	}
	w.forget()
	w.forgetUnheard(running)
	for i, j := range jobs {
		errs.add(w.sayHeldUp(ctx, tasks[i])...)
		errs.add(w.say(ctx, j, tasks[i], troubles))
	}
	for _, j := range scheduled {
		said := silent(j.DAG, parties(j.DAG.Parties), troubles, false)
		said = append(said, w.unheardOf(w.self, j.ID, j.DAG, troubles, false, func(x exchange) bool { return !x.report })...)
		if reason := waitingFor(said); reason != j.Reason {
			_, err := w.store.SetRunningScheduledReason(ctx, j.ID, reason)
			errs.add(err)
		}
	}
	return errs
}

// needed are the parties without which a job does not go on, as far as this site is concerned. At its scheduler they
// are all; elsewhere they are the scheduler, and those of the tasks that are left here. Two parties that share no task
// need no way to each other.
func (w *Watch) needed(j openflow.JobRecord, tasks []openflow.TaskRecord) []openflow.PartyID {
	if j.Scheduler == w.self {
		return parties(j.DAG.Parties)
	}
	ids := []openflow.PartyID{j.Scheduler}
	for _, t := range tasks {
		if !t.Status.Terminal() {
			ids = append(ids, parties(t.Spec.Parties)...)
		}
	}
	return ids
}

func parties(list []openflow.Party) []openflow.PartyID {
	ids := make([]openflow.PartyID, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	return ids
}

// ask asks those peers, and those with which something was wrong, all at once, and returns what is wrong with whom. It
// logs what has changed.
func (w *Watch) ask(ctx context.Context, peers []openflow.PartyID) map[openflow.PartyID]trouble {
	w.mu.Lock()
	for id := range w.failing {
		if !slices.Contains(peers, id) {
			delete(w.failing, id) // no job waits for it
		}
	}
	for id := range w.suspects {
		peers = append(peers, id)
	}
	clear(w.suspects)
	before := w.troubles
	w.mu.Unlock()
	for id := range before {
		peers = append(peers, id)
	}
	slices.Sort(peers)
	peers = slices.DeleteFunc(slices.Compact(peers), func(id openflow.PartyID) bool { return id == w.self })
	found, began := make([]error, len(peers)), time.Now()
	var asked sync.WaitGroup
	for i, id := range peers {
		asked.Go(func() {
			limited, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			w.calls(id, true)
			defer w.calls(id, false)
			found[i] = w.peers.Answers(limited, id)
		})
	}
	asked.Wait()
	now := map[openflow.PartyID]trouble{}
	if ctx.Err() != nil {
		return now
	}
	if err := w.disk.CheckSpace(); err != nil {
		now[w.self] = w.shortHere(err, began, before[w.self])
	}
	for i, id := range peers {
		had, was := before[id]
		if fails, so := w.fails(id); so && found[i] == nil {
			if now[id] = fails; !was {
				w.log.Warn("party answers, and not as it should", "party", id, "since", fails.since, "err", fails.said)
			}
			continue
		}
		if !ailing(found[i]) {
			if was && openflow.CodeOf(found[i]) != openflow.CodeInvalid { // it is a peer still
				w.answering(id)
				w.log.Info("party answers again", "party", id, "after", time.Since(had.since).Round(time.Second))
			}
			continue
		}
		now[id] = w.troubleOf(found[i], began, had)
		if now[id].kind != had.kind {
			w.log.Warn("party does not answer as it should", "party", id, "since", now[id].since, "err", openflow.Heard(found[i].Error()))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = now
	clear(w.suspects) // by the questions of this round
	return now
}

// shortHere is that this site's own disk is nearly full.
func (w *Watch) shortHere(err error, began time.Time, before trouble) trouble {
	t := trouble{since: began, kind: openflow.CodeExhausted, said: w.said(err)}
	if t.kind == before.kind {
		t.since = before.since
	}
	t.text = fmt.Sprintf("since %s %s", t.since.UTC().Format(time.RFC3339), withoutRoom)
	return t
}

// withoutRoom is what a site is like whose disk is nearly full, or a store of it.
const withoutRoom = "its node has no room, and takes no messages, outputs or tasks until there is (exhausted)"

// calls notes that the watch itself begins or ends a call to a peer.
func (w *Watch) calls(peer openflow.PartyID, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asking[peer] = now
}

// fails tells whether the calls for jobs to a peer fail, and how.
func (w *Watch) fails(peer openflow.PartyID) (trouble, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.failing[peer]
	return f.trouble, f.calls >= failures
}

// troubleOf puts an error in words. What was wrong in the same way before has the time from which it is so.
func (w *Watch) troubleOf(err error, began time.Time, before trouble) trouble {
	t := trouble{since: began, kind: openflow.CodeOf(err)}
	if t.kind == openflow.CodeDeadline {
		t.kind = openflow.CodeUnavailable
	}
	if t.kind == before.kind {
		t.since = before.since
	}
	since := t.since.UTC().Format(time.RFC3339)
	switch { // in the order of what says most
	case t.kind == openflow.CodeUnauthorized:
		t.text = fmt.Sprintf("since %s the two nodes do not accept each other's signatures", since)
		t.said = w.said(err)
	case errors.Is(err, openflow.ErrNoRoom):
		t.text = fmt.Sprintf("since %s %s", since, withoutRoom)
		t.said = w.said(err)
	case t.kind == openflow.CodeExhausted || t.kind == openflow.CodeInternal:
		t.said = w.said(err)
		t.text = fmt.Sprintf("its node answers since %s that it cannot go on (%s); its log and openflow doctor there say why", since, t.kind)
	case errors.Is(err, openflow.ErrUnusable):
		t.text = fmt.Sprintf("since %s its node gives no answer that can be used", since)
		t.said, t.answers = plain(err), true
	case errors.Is(err, openflow.ErrAbsent):
		t.text = fmt.Sprintf("it has not answered since %s: nobody listens at its address", since)
	default:
		t.text = fmt.Sprintf("it has not answered since %s", since)
	}
	return t
}

// said is one line of an error, with a mark on words that may be anybody's who stands at the peer's address.
func (w *Watch) said(err error) string {
	var e *openflow.Error
	if !errors.As(err, &e) {
		return ""
	}
	from, words := e.Party, *e
	words.Party = "" // the peer is named before
	line := openflow.FirstLine(words.Error())
	if from == "" || from == w.self || line == "" {
		return line
	}
	return fmt.Sprintf("party %s says “%s”", from, line)
}

// say writes what a job of this site waits for. Jobs that have just begun are left alone: most tasks are over soon.
func (w *Watch) say(ctx context.Context, j openflow.JobRecord, tasks []openflow.TaskRecord, troubles map[openflow.PartyID]trouble) error {
	said := silent(j.DAG, w.needed(j, tasks), troubles, true)
	said = append(said, w.unheardOf(j.Scheduler, j.ID, j.DAG, troubles, true, func(x exchange) bool {
		return !x.report || x.run.Party == j.Party
	})...)
	reason := waitingFor(said)
	if reason == "" {
		if time.Since(j.StartTime) < roundEvery {
			return nil
		}
		reason = awaited(tasks)
		if !j.ResourceInUse && j.Needs() != (openflow.Resources{}) && j.WaitingSince.IsZero() {
			reason = openflow.GivenBackUnused(j.Scheduler)
		}
	}
	if reason == j.Reason {
		return nil
	}
	_, err := w.store.SetRunningReason(ctx, j.Key(), reason)
	return err
}

// silent names those parties of a job with which something is wrong; none: there are none. Words of the parties
// themselves are for this site's users only: a scheduler's own record is also the answer to the job's initiator.
func silent(d *openflow.DAG, ids []openflow.PartyID, troubles map[openflow.PartyID]trouble, own bool) []string {
	var said []string
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if t, bad := troubles[id]; bad {
			text := t.text
			if own && t.said != "" {
				text += ": " + t.said
			}
			said = append(said, fmt.Sprintf("party %s (%s): %s", id, roles(d, id), text))
		}
	}
	return said
}

// roles are those that a party plays in a job.
func roles(d *openflow.DAG, id openflow.PartyID) string {
	var list []string
	for _, p := range d.Parties {
		if p.ID == id {
			list = append(list, string(p.Role))
		}
	}
	if len(list) == 0 {
		return "scheduler"
	}
	return strings.Join(list, ", ")
}

// awaited says which tasks a job waits for, at whom, as far as a party knows from its own rows.
func awaited(tasks []openflow.TaskRecord) string {
	var said []string
	for _, t := range tasks {
		switch {
		case !t.PartyStatus.Terminal() && !t.Killed && t.Reason != "": // it waits for cores or a worker, or its machine is silent
			said = append(said, fmt.Sprintf("task %s: %s", t.Key.Task, t.Reason))
		case t.Status == openflow.TaskRunning:
			if at := at(t); at != "" {
				said = append(said, fmt.Sprintf("task %s at %s", t.Key.Task, at))
			}
		}
	}
	if len(said) == 0 && len(tasks) > 0 {
		return "waiting for tasks of other parties"
	}
	return waitingFor(said)
}

// at names the parties of a task without this one when its own run has ended.
func at(t openflow.TaskRecord) string {
	var list []string
	for _, p := range t.Spec.Parties {
		if p != t.Key.Party || !t.PartyStatus.Terminal() {
			list = append(list, fmt.Sprintf("%s (%s)", p.ID, p.Role))
		}
	}
	return strings.Join(list, ", ")
}
