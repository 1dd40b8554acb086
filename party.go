package openflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PartyID names an institution's site, such as "9999".
type PartyID string

// Role is the part that a party plays in a job.
type Role string

// The roles. RoleLocal is the one party of a job that stays at home, such as an upload.
const (
	RoleGuest   Role = "guest"
	RoleHost    Role = "host"
	RoleArbiter Role = "arbiter"
	RoleLocal   Role = "local"
)

// Valid reports whether r is one of the four roles.
func (r Role) Valid() bool {
	return slices.Contains([]Role{RoleGuest, RoleHost, RoleArbiter, RoleLocal}, r)
}

// Party is a party in its role. One site may play several roles in one job.
type Party struct {
	Role Role
	ID   PartyID
}

// String renders "guest 9999".
func (p Party) String() string { return string(p.Role) + " " + string(p.ID) }

// JobID names a job. Its scheduler's node makes sure that it is unique there.
type JobID string

// TaskName is the name that the DAG gives a task, such as "psi_0".
type TaskName string

// TaskID is JobID and TaskName together, in FATE-Flow's form.
//
// Spec: fate-flow-api §4.8.
type TaskID string

// RunID names one run of a task at one party in one role, whoever schedules it: what a container reports under. It
// is private to the site; [TaskKey.RunID] makes it and [ParseRunID] reads it.
//
// Spec: fate-flow-api §4.8 (execution_id = party_task_id), whose form it has up to the '@' (docs/divergences.md).
type RunID string

// SessionID names the exchange of messages of one task version; it is equal at all its parties. [TaskKey.SessionID] makes
// it and [ParseSessionID] reads it.
//
// Spec: fate-flow-api §4.8 (federation_id), interop-transport §8.
type SessionID string

// TaskKey identifies one run: everything idempotent is keyed by it. Scheduler is part of it because schedulers make job
// IDs, and two of them may make the same one.
type TaskKey struct {
	Scheduler PartyID
	Job       JobID
	Task      TaskName
	Version   int // counts from 0; a retry is a new version
	Party     Party
}

// JobKey is what the row of the run's job at its party is found by.
func (k TaskKey) JobKey() JobKey { return JobKey{Scheduler: k.Scheduler, Job: k.Job, Party: k.Party} }

// TaskID is "<job>_<task>", which is one task among those of one scheduler.
func (k TaskKey) TaskID() TaskID { return TaskID(string(k.Job) + "_" + string(k.Task)) }

// apart stands between the parts of an identity, because no name holds it; see CheckIdentifier.
const apart = "@"

// SessionID is "<job>_<task>_<version>@<scheduler>", or without a scheduler, FATE-Flow's "<job>_<task>_<version>".
func (k TaskKey) SessionID() SessionID {
	id := string(k.TaskID()) + "_" + strconv.Itoa(k.Version)
	if k.Scheduler != "" {
		id += apart + string(k.Scheduler)
	}
	return SessionID(id)
}

// RunID is "<job>_<task>_<version>@<scheduler>@<role>_<party>".
func (k TaskKey) RunID() RunID {
	return RunID(string(k.TaskID()) + "_" + strconv.Itoa(k.Version) + apart + string(k.Scheduler) + apart +
		string(k.Party.Role) + "_" + string(k.Party.ID))
}

// ParseSessionID is the inverse of SessionID: a run without its party. The scheduler is empty in the form of FATE-Flow,
// which names none. Errors: CodeInvalid.
func ParseSessionID(id SessionID) (TaskKey, error) {
	run, scheduler, named := strings.Cut(string(id), apart)
	job, rest, _ := strings.Cut(run, "_") // a job ID holds no '_'; see CheckJobID
	end := strings.LastIndexByte(rest, '_')
	k := TaskKey{Scheduler: PartyID(scheduler), Job: JobID(job)}
	ok := end > 0 && identifiable(job) && (!named || identifiable(scheduler))
	if ok {
		version, err := strconv.Atoi(rest[end+1:])
		k.Task, k.Version = TaskName(rest[:end]), version
		ok = err == nil && identifiable(rest[:end]) && strconv.Itoa(version) == rest[end+1:] && version >= 0
	}
	if !ok {
		return TaskKey{}, Errorf(CodeInvalid, "%q is not the ID of a session", id)
	}
	return k, nil
}

// ParseRunID is the inverse of RunID. Errors: CodeInvalid.
func ParseRunID(id RunID) (TaskKey, error) {
	end := strings.LastIndex(string(id), apart)
	if end > 0 {
		k, err := ParseSessionID(SessionID(id[:end]))
		role, party, _ := strings.Cut(string(id[end+1:]), "_")
		k.Party = Party{Role(role), PartyID(party)}
		if err == nil && k.Scheduler != "" && k.Party.Role.Valid() && identifiable(party) {
			return k, nil
		}
	}
	return TaskKey{}, Errorf(CodeInvalid, "%q is not the ID of a run", id)
}

// String names the run for people: `task "psi_0" of job 2024… (guest 9999)`; the version only when it is a retry.
func (k TaskKey) String() string {
	v := ""
	if k.Version > 0 {
		v = fmt.Sprintf(", version %d", k.Version)
	}
	return fmt.Sprintf("task %q of job %s (%s%s)", k.Task, k.Job, k.Party, v)
}

// TaskNameOf takes the task's name out of a task ID of job.
func TaskNameOf(job JobID, id TaskID) (TaskName, error) {
	name, ok := strings.CutPrefix(string(id), string(job)+"_")
	if !ok || name == "" {
		return "", Errorf(CodeInvalid, "task_id %q does not belong to job %s", id, job)
	}
	return TaskName(name), nil
}

// identifiable reports whether s may end up in paths, container names, workflow IDs and queue keys. It is written out
// because compiling an expression costs every task's process half a millisecond at its start.
func identifiable(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}

// CheckJobID refuses what cannot be the ID of a new job: besides what CheckIdentifier refuses, an ID with '_', because
// then the session of one job's task could be named like that of another's.
func CheckJobID(id JobID) error {
	if strings.Contains(string(id), "_") {
		return Errorf(CodeInvalid, "job_id %q is not a valid name", id).WithHint("a job ID holds no '_'")
	}
	return CheckIdentifier("job_id", string(id))
}

// CheckName refuses what cannot safely be the name or the namespace of a table: 1 to 128 letters and digits of any
// script, '_', '-' and '.', beginning with a letter or digit. Marks follow the letter that they belong to. Blanks,
// slashes, control characters and those that change the direction of writing are in none. kind names the field.
func CheckName(kind, s string) error {
	if !nameable(s) {
		return Errorf(CodeInvalid, "%s %q is not a valid name", kind, Cut(s, 2*maxName)).
			WithHint("use 1 to 128 letters and digits of any script, '_', '-' or '.', beginning with a letter or digit")
	}
	return nil
}

// maxName is how many characters a name may have.
const maxName = 128

func nameable(s string) bool {
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxName {
		return false
	}
	for i, c := range s {
		letter := unicode.IsLetter(c) || unicode.IsDigit(c)
		if !letter && (i == 0 || c != '_' && c != '-' && c != '.' && !unicode.IsMark(c)) {
			return false
		}
		if unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c) || unicode.Is(unicode.Variation_Selector, c) {
			return false // a name that looks like another one
		}
	}
	return true
}

// CheckIdentifier refuses what cannot safely be a job ID, task name, party ID or output key: it must match
// ^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$. kind names the field in the message.
func CheckIdentifier(kind, s string) error {
	if !identifiable(s) {
		return Errorf(CodeInvalid, "%s %q is not a valid name", kind, Cut(s, 2*maxName)).
			WithHint("use 1 to 128 of the letters a–z and A–Z, digits, '_', '-' and '.', beginning with a letter or digit")
	}
	return nil
}
