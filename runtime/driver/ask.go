package driver

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"

	"openflow"
)

// Question is what a program is asked before it is trusted with anything: it runs once, and what it writes is the answer.
type Question struct {
	Image   string   // what Bring has returned
	Command []string // its arguments
	Most    int      // bytes of the answer: a program that says more is ended
}

// Answer is what a program has said.
type Answer struct {
	Text      []byte // what it wrote to its standard output
	Complaint []byte // the beginning of what it wrote to its standard error
	ExitCode  int    // as in Status
	TooMuch   bool   // it said more than it may, and was ended
}

// maxComplaint is how many bytes of a program's standard error an answer has.
const maxComplaint = 2 << 10

// Hearing takes down an answer, and calls enough once the program has said more than it may.
type Hearing struct {
	Text, Complaint Taken
}

// NewHearing is of a question that may be answered with that many bytes.
func NewHearing(q Question, enough func()) *Hearing {
	return &Hearing{Text: Taken{most: q.Most, full: enough}, Complaint: Taken{most: maxComplaint}}
}

// Answer is what has been heard of a program that has ended with that code.
func (h *Hearing) Answer(exitCode int) Answer {
	return Answer{Text: h.Text.text.Bytes(), Complaint: h.Complaint.text.Bytes(), ExitCode: exitCode, TooMuch: h.Text.over}
}

// Taken keeps the beginning of what is written. Its buffer is a member: one that is embedded would be filled past Write.
type Taken struct {
	text bytes.Buffer
	most int
	over bool
	full func() // is called when more comes; nil: the rest is dropped
}

var errEnough = errors.New("the program says more than it may")

// Write implements io.Writer.
func (t *Taken) Write(p []byte) (int, error) {
	room := t.most - t.text.Len()
	t.text.Write(p[:min(room, len(p))])
	if len(p) > room && t.full != nil {
		t.over = true
		t.full()
		return 0, errEnough
	}
	return len(p), nil
}

// lastWords is how long what a program has written may take to be read after its end: seconds on a busy machine. What it
// has left behind may hold its pipes for ever.
const lastWords = 5 * time.Second

// AskHere asks a program of this machine as a process of this user, for runtimes that isolate nothing. It sees no variable
// of this process. Image is its path.
func AskHere(ctx context.Context, q Question) (Answer, error) {
	limited, enough := context.WithCancel(ctx)
	defer enough()
	heard := NewHearing(q, enough)
	cmd := exec.CommandContext(limited, q.Image, q.Command...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = &heard.Text, &heard.Complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = end, lastWords
	err := cmd.Run()
	if cmd.Process == nil {
		if ctx.Err() != nil {
			return Answer{}, ctx.Err()
		}
		return Answer{}, openflow.Errorf(openflow.CodeInvalid, "%s cannot be run: %w", q.Image, err)
	}
	_ = end() // what it has left behind; mostly there is nothing
	answer := heard.Answer(exitCode(cmd))
	switch {
	case answer.TooMuch:
		return answer, nil
	case ctx.Err() != nil:
		return Answer{}, ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		return Answer{}, openflow.Errorf(openflow.CodeInvalid, "%s has left programs behind that hold its output", q.Image)
	}
	return answer, nil
}

// exitCode is that of a program that has ended; 128 and the signal for one that a signal ended.
func exitCode(cmd *exec.Cmd) int {
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}
