package component

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/residence/processes"
)

// The exit codes of a component's process.
const (
	ExitSuccess  = 0
	ExitFailed   = 1   // the component failed, or the node refused to hear how it ended
	ExitUsage    = 2   // the process was started wrongly; no node knows about it
	ExitCanceled = 143 // it was asked to end (SIGTERM)
)

// Program is what an image or executable holds: components, and whose they are. Nodes register it under the name and version
// of its provider, which are 1 to 64 letters, digits and "_.+-".
type Program struct {
	Provider   string
	Version    string
	Components []Component
}

// Main is the main function of the program. It does not return. Arguments: none or "run" runs the task in the environment;
// "desc --name NAME" prints a component's description; "list" prints the names. "works --name NAME" tells whether a component can
// work, and "serve" serves runs of those that are resident.
func (p Program) Main() {
	if err := processes.Settle(); err != nil {
		fmt.Fprintln(os.Stderr, "this run is less apart from others than it should be:", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends a component that ignores the first
	if cores, err := strconv.Atoi(os.Getenv("OPENFLOW_CORES")); err == nil && cores > 0 {
		runtime.GOMAXPROCS(cores) // a process that is no container would otherwise take the whole machine
	}
	code := p.command(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	os.Exit(code)
}

func (p Program) command(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 0 || len(args) == 1 && args[0] == "run":
		return p.RunTo(ctx, stderr, env)
	case len(args) == 1 && args[0] == residence.Argument:
		return p.serve(ctx, env, newLog(env("OPENFLOW_LOG"), stderr))
	case len(args) == 1 && args[0] == "list":
		err = p.list(stdout)
	case len(args) == 3 && args[0] == worksArgument && args[1] == "--name":
		return p.works(ctx, args[2], stderr)
	case len(args) == 3 && args[0] == "desc" && args[1] == "--name":
		var text []byte
		if text, err = p.Describe(args[2]); err == nil {
			_, err = stdout.Write(append(text, '\n'))
		}
	default:
		err = openflow.Errorf(openflow.CodeInvalid, "arguments %q are not understood", strings.Join(args, " ")).
			WithHint("use run, list, or desc --name NAME")
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return ExitUsage
	}
	return ExitSuccess
}

// worksArgument is the command by which a component is asked whether it works.
const worksArgument = "works"

// works asks a component. One that nobody can ask is a usage error.
func (p Program) works(ctx context.Context, name string, stderr io.Writer) int {
	i := slices.IndexFunc(p.Components, func(c Component) bool { return c.Name == name && c.Works != nil })
	if i < 0 {
		fmt.Fprintf(stderr, "no component %q of this image can be asked whether it works\n", name)
		return ExitUsage
	}
	if err := p.Components[i].Works(ctx); err != nil {
		fmt.Fprintln(stderr, err)
		return ExitFailed
	}
	return ExitSuccess
}

// Run runs the task that the environment describes (CONFIG, OPENFLOW_CREDENTIAL, OPENFLOW_CORES), reports its end to the
// node, and returns the exit code for the process. The end of ctx stops it with ExitCanceled.
//
// OPENFLOW_LOG=json makes the log JSON lines. OPENFLOW_PATIENCE, a duration such as 90s, replaces the 30 minutes for
// which the kit repeats a request that its node does not serve. TRACEPARENT makes requests part of the job's trace.
func (p Program) Run(ctx context.Context, env func(string) string) int {
	return p.RunTo(ctx, os.Stderr, env)
}

// RunTo is Run with the log in to instead of standard error.
func (p Program) RunTo(ctx context.Context, to io.Writer, env func(string) string) int {
	log := newLog(env("OPENFLOW_LOG"), to)
	t, err := newTask(env, log)
	if err != nil {
		log.Error("task cannot be started", "error", err)
		return ExitUsage
	}
	t.program = p
	err = t.choose()
	if err == nil {
		log.Info("task runs", "task", t.config.RunID, "component", t.component.Name, "stage", t.Stage(), "cores", t.cores)
		err = t.guard(func() error {
			t.dropAbsent(ctx)
			return t.component.Run(ctx, t)
		})
	}
	if err != nil && ctx.Err() != nil {
		log.Warn("task was stopped", "error", err)
		return ExitCanceled
	}
	return t.report(ctx, err)
}

// traceParent is a W3C trace context. What is none is not passed on: a trace must not be able to fail a task.
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

func newLog(format string, w io.Writer) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

func newTask(env func(string) string, log *slog.Logger) (*Task, error) {
	c, err := parseConfig(env("CONFIG"))
	if err != nil {
		return nil, err
	}
	cores, patience := 1, defaultPatience
	if s := env("OPENFLOW_CORES"); s != "" {
		if cores, err = strconv.Atoi(s); err != nil || cores < 1 {
			return nil, openflow.Errorf(openflow.CodeInvalid, "OPENFLOW_CORES is %q, want a whole number from 1", s)
		}
	}
	if s := env("OPENFLOW_PATIENCE"); s != "" {
		if patience, err = time.ParseDuration(s); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "OPENFLOW_PATIENCE is %q, want a duration such as 90s", s)
		}
	}
	node, err := newClient(c.nodeURL(), env("OPENFLOW_CREDENTIAL"), patience, log)
	if node != nil && traceParent.MatchString(env("TRACEPARENT")) {
		node.trace = env("TRACEPARENT")
	}
	if err != nil {
		return nil, err
	}
	return &Task{config: c, node: node, cores: cores, log: log}, nil
}

// choose finds the component and checks that it can run here with these inputs.
//
// Spec: fate-components §1.2.
func (t *Task) choose() error {
	components := t.program.Components
	i := slices.IndexFunc(components, func(c Component) bool { return c.Name == t.config.Component })
	if i < 0 {
		return public(openflow.CodeNotFound, "component %q is not in this image", t.config.Component).
			WithHint("it has %s", strings.Join(names(components), ", "))
	}
	t.component = components[i]
	if !slices.Contains(t.component.Roles, t.Role()) {
		return public(openflow.CodeInvalid, "role %q not supported for component %q", t.Role(), t.component.Name)
	}
	if !slices.Contains(t.component.stages(), t.Stage()) {
		return public(openflow.CodeInvalid, "stage %q not supported for component %q", t.Stage(), t.component.Name)
	}
	agreed, own := openflow.Protocol(t.config.Protocol), t.component.protocols(t.program)
	if agreed != (openflow.Protocol{}) && !slices.Contains(own, agreed) {
		return public(openflow.CodeInvalid, "protocol %s not supported for component %q", agreed, t.component.Name)
	}
	for _, a := range t.component.Inputs {
		_, active := t.component.artifact(t.component.Inputs, a.Key, t.Role(), t.Stage())
		if active && !a.Optional && !t.HasInput(a.Key) {
			return public(openflow.CodeInvalid, "input %q of component %q is required", a.Key, t.component.Name)
		}
	}
	return nil
}

// public is an error whose whole text other parties may read.
func public(code openflow.Code, format string, args ...any) *openflow.Error {
	e := openflow.Errorf(code, format, args...)
	return e.WithPublic("%s", e.Message)
}

// maxReport is how many bytes of an error are logged and reported. The error may hold what a peer has said, and a node does
// not read a report of any size.
const maxReport = 64 << 10

// report tells the node how the task ended and gives the process's exit code. The report is repeated until the node
// has it, also after the task was asked to end. Of an error, the node tells the other parties its code and what was
// marked with WithPublic; the text itself is for this party's users.
func (t *Task) report(ctx context.Context, failure error) int {
	body := map[string]any{"execution_id": t.config.RunID, "status": openflow.TaskSuccess, "error": ""}
	code := ExitSuccess
	if failure != nil {
		text := openflow.Cut(failure.Error(), maxReport)
		t.log.Error("task failed", "error", text)
		body["status"], body["error"], code = openflow.TaskFailed, text, ExitFailed
		told := openflow.CauseOf(failure)
		body["code"], body["public"], body["consequence"] = told.Code, openflow.Cut(told.Text, maxReport), told.Consequence
	}
	r := request{method: http.MethodPost, path: "/v2/worker/task/status", json: body}
	if err := t.node.call(context.WithoutCancel(ctx), r, nil); err != nil {
		t.log.Error("the node did not take the report of the task's end", "error", err)
		return ExitFailed
	}
	return code
}

// guard turns a panic in an algorithm into an error; the log has the stack.
func (t *Task) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = openflow.Errorf(openflow.CodeInternal, "component panicked: %v", p).WithPublic("the component panicked")
			t.log.Error("component panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return f()
}

func names(components []Component) []string {
	var out []string
	for _, c := range components {
		out = append(out, c.Name)
	}
	return out
}
