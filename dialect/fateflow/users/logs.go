package users

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
	"openflow/store/catalogue"
)

// logKinds are the logs that FATE-Flow tells apart: what the node knows of a job, and what the programs of its tasks have
// written, from a level on.
//
// Spec: fate-flow-api §1.8.
var logKinds = map[string]struct {
	job   bool
	least level
}{
	"schedule_info": {true, levelInfo}, "schedule_error": {true, levelError},
	"task_debug": {false, levelDebug}, "task_info": {false, levelInfo}, "task_warning": {false, levelWarning}, "task_error": {false, levelError},
}

// logLine is one line of a log, and its number in that log, from 1.
type logLine struct {
	Number  int    `json:"line_num"`
	Content string `json:"content"`
}

// What one answer shows of a log. The rest is asked for with begin.
const (
	maxLogLines = 20_000
	maxLogBytes = 8 << 20
)

// countLog tells how many lines a log has.
//
// Spec: fate-flow-api §1.8 #41. An unknown job or task has none.
func (a *api) countLog(r *http.Request) (any, error) {
	n := 0
	err := a.eachLine(r, func(string) bool { n++; return true })
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		var other envelope.Numbered
		if !errors.As(err, &other) {
			return 0, nil
		}
	}
	return n, err
}

// queryLog shows the lines of a log from begin to end, both counted from 1.
//
// Spec: fate-flow-api §1.8 #42. A log that is longer than one answer tells in its last line how it goes on.
func (a *api) queryLog(r *http.Request) (any, error) {
	if _, err := reply.Required(r, "log_type", "job_id", "role", "party_id"); err != nil {
		return nil, err
	}
	begin, err := number(r, "begin", 1)
	if err != nil {
		return nil, err
	}
	end, err := number(r, "end", 0)
	if err != nil {
		return nil, err
	}
	lines, at, bytes := []logLine{}, 0, 0
	err = a.eachLine(r, func(text string) bool {
		at++
		switch {
		case at < begin:
			return true
		case end > 0 && at > end:
			return false
		case len(lines) == maxLogLines || bytes+len(text) > maxLogBytes:
			lines = append(lines, logLine{at, fmt.Sprintf("… the log goes on: ask for it with begin=%d", at)})
			return false
		}
		lines, bytes = append(lines, logLine{at, text}), bytes+len(text)
		return true
	})
	return lines, err
}

// number reads a query value that is a whole number, and not negative.
func number(r *http.Request, key string, otherwise int) (int, error) {
	v := r.URL.Query().Get(key)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, wire.WrongNumber(key, v)
	}
	return n, nil
}

// eachLine gives the lines of the log that a query means, until see has enough.
func (a *api) eachLine(r *http.Request, see func(text string) bool) error {
	v, err := reply.Required(r, "log_type", "job_id")
	if err != nil {
		return err
	}
	if err := reply.Identifiers(r, "role", "party_id", "task_name"); err != nil {
		return err
	}
	kind, known := logKinds[v[0]]
	if !known {
		return openflow.Errorf(openflow.CodeInvalid, "no found log type %s", openflow.Heard(v[0])).
			WithHint("log_type is schedule_info, schedule_error, task_debug, task_info, task_warning or task_error")
	}
	q := r.URL.Query()
	if id := q.Get("instance_id"); id != "" && id != a.instance() {
		return envelope.Numbered{Code: envelope.NoInstance, Err: openflow.Errorf(openflow.CodeNotFound, "No Found Flow Instance: instance_id[%s]", openflow.Heard(id)).
			WithHint("logs are the same at every replica of this node, so leave instance_id out")}
	}
	if kind.job {
		f := catalogue.JobFilter{ID: openflow.JobID(v[1]), Party: openflow.PartyID(q.Get("party_id")), Roles: statuses[openflow.Role](q["role"])}
		if err := a.OneScheduler(r, f.ID, &f.Scheduler); err != nil {
			return err
		}
		return a.scheduleLines(r.Context(), f, kind.least, see)
	}
	if _, err := reply.Required(r, "role", "party_id"); err != nil {
		return err
	}
	f, err := a.taskFilter(r)
	if err != nil {
		return err
	}
	f.LatestOnly, f.Ascending, f.Limit = f.Version == nil, true, maxLogTasks
	tasks, _, err := a.Catalogue.TasksWhere(r.Context(), f)
	if err != nil {
		return err
	}
	if len(tasks) == 0 {
		return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "No found task: job_id[%s],role[%s],party_id[%s],task_name[%s]",
			v[1], q.Get("role"), q.Get("party_id"), q.Get("task_name")))
	}
	for _, t := range tasks {
		more, err := a.taskLines(r.Context(), t, kind.least, see)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// maxLogTasks is of how many tasks one log is put together.
const maxLogTasks = 200

// taskLines gives the lines of one run's log from a level on. more is false once see has had enough.
func (a *api) taskLines(ctx context.Context, t openflow.TaskRecord, least level, see func(string) bool) (more bool, err error) {
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := a.Logs.TaskLog(ctx, t, write)
		_ = write.CloseWithError(err) // never fails
		done <- err
	}()
	more = eachRecord(read, least, see)
	_ = read.CloseWithError(errSeenEnough) // never fails; it ends the writer where there is more
	if err := <-done; err != nil && !errors.Is(err, errSeenEnough) {
		return false, err
	}
	return more, nil
}

// errSeenEnough ends the reading of a log before its end.
var errSeenEnough = errors.New("the rest of the log is not asked for")

// level is how urgent a line of a log is.
type level int

const (
	levelDebug level = iota
	levelInfo
	levelWarning
	levelError
)

// maxLine is how many bytes of one line are shown.
const maxLine = 64 << 10

// eachRecord gives the lines from a level on. A line that says no level belongs to the one before it, as those of a stack do.
// It is false once see has had enough.
func eachRecord(log io.Reader, least level, see func(string) bool) bool {
	in := bufio.NewReaderSize(log, maxLine)
	last := levelInfo
	for {
		line, long, err := in.ReadLine()
		if err != nil {
			return true
		}
		if at, said := levelOf(line); said {
			last = at
		}
		text := strings.ToValidUTF8(string(line), "\uFFFD")
		for long && err == nil {
			_, long, err = in.ReadLine()
		}
		if last >= least && !see(text) {
			return false
		}
	}
}

// levelWords are how programs write a level: FATE's, and those of our kit as text and as JSON.
var levelWords = map[level][]string{
	levelDebug:   {"[DEBUG]", "level=DEBUG", `"level":"DEBUG"`},
	levelInfo:    {"[INFO]", "level=INFO", `"level":"INFO"`},
	levelWarning: {"[WARNING]", "[WARN]", "level=WARN", `"level":"WARN"`},
	levelError:   {"[ERROR]", "[CRITICAL]", "level=ERROR", `"level":"ERROR"`, "Traceback (most recent call last)", "panic: "},
}

// levelBegin is how many bytes of a line are looked at for its level: it comes before the text.
const levelBegin = 200

// levelOf reads the level that a line says first.
func levelOf(line []byte) (found level, said bool) {
	line = line[:min(len(line), levelBegin)]
	first := len(line)
	for at, words := range levelWords {
		for _, w := range words {
			if i := bytes.Index(line, []byte(w)); i >= 0 && (i < first || !said) {
				found, said, first = at, true, i
			}
		}
	}
	return found, said
}

// change is something that this site has recorded of a job.
type change struct {
	at   time.Time
	is   level
	text string
}

// scheduleLines tells what this site knows of a job, a line for each change, in the order of time.
func (a *api) scheduleLines(ctx context.Context, f catalogue.JobFilter, least level, see func(string) bool) error {
	f.Limit = maxLogTasks
	jobs, _, err := a.Catalogue.JobsWhere(ctx, f)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return application.NoJob(string(f.ID))
	}
	var changes []change
	for _, j := range jobs {
		changes = append(changes, changesOfJob(j)...)
		tasks, _, err := a.Catalogue.TasksWhere(ctx, catalogue.TaskFilter{
			Job: j.ID, Scheduler: j.Scheduler, Role: j.Party.Role, Party: j.Party.ID, Ascending: true, Limit: maxLogLines,
		})
		if err != nil {
			return err
		}
		for _, t := range tasks {
			changes = append(changes, changesOfTask(t)...)
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	for _, c := range changes {
		if c.is >= least && !see(c.line()) {
			return nil
		}
	}
	return nil
}

// line writes a change as FATE-Flow's logs have it: level, time in UTC with milliseconds, and text.
func (c change) line() string {
	word := map[level]string{levelInfo: "INFO", levelWarning: "WARNING", levelError: "ERROR"}[c.is]
	return fmt.Sprintf("[%s][%s] %s", word, c.at.UTC().Format("2006-01-02 15:04:05,000"), strings.ReplaceAll(c.text, "\n", " "))
}

func changesOfJob(j openflow.JobRecord) []change {
	name := fmt.Sprintf("job %s as %s", j.ID, j.Party)
	list := []change{{j.CreateTime, levelInfo, fmt.Sprintf("%s: created, submitted at party %s, scheduled by party %s", name, j.Initiator, j.Scheduler)}}
	for _, w := range j.Warnings {
		list = append(list, change{j.CreateTime, levelWarning, name + ": " + w})
	}
	if !j.ApplyTime.IsZero() {
		list = append(list, change{j.ApplyTime, levelInfo, fmt.Sprintf("%s: got its resources, %d cores", name, j.Cores)})
	}
	if !j.StartTime.IsZero() {
		list = append(list, change{j.StartTime, levelInfo, name + ": started"})
	}
	if !j.EndTime.IsZero() {
		list = append(list, change{j.EndTime, urgency(string(j.Status)), because(fmt.Sprintf("%s: ended with %s", name, j.Status), j.Reason)})
	}
	return list
}

func changesOfTask(t openflow.TaskRecord) []change {
	name := fmt.Sprintf("task %s version %d as %s", t.Key.Task, t.Key.Version, t.Key.Party)
	var list []change
	if !t.StartTime.IsZero() {
		list = append(list, change{t.StartTime, levelInfo, fmt.Sprintf("%s: started, component %s of %s", name, t.Component, t.Provider)})
	}
	if !t.EndTime.IsZero() {
		end := because(fmt.Sprintf("%s: ended with %s", name, t.PartyStatus), t.Reason)
		list = append(list, change{t.EndTime, urgency(string(t.PartyStatus)), because(end, openflow.FirstLine(t.ErrorReport))})
	}
	for _, w := range t.Warnings {
		list = append(list, change{t.UpdateTime, levelWarning, name + ": " + w})
	}
	return list
}

func because(text, reason string) string {
	if reason == "" || strings.Contains(text, reason) {
		return text
	}
	return text + ": " + reason
}

// urgency is error for an end that nobody asked for.
func urgency(status string) level {
	switch status {
	case string(openflow.TaskFailed), string(openflow.TaskTimeout):
		return levelError
	case string(openflow.TaskCanceled):
		return levelWarning
	}
	return levelInfo
}
