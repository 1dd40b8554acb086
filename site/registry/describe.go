package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/site/jobcheck"
)

// What a program may take to describe itself. It is believed to be hostile.
const (
	maxComponents  = 200
	maxList        = 64 << 10 // bytes of its list
	maxDescription = 1 << 20  // bytes of one description
	maxComplaint   = 2 << 10  // bytes of what it writes beside
	maxNesting     = 64       // of a description
	maxTokens      = 500_000  // of all descriptions: names, values, brackets
	maxParameters  = 200      // of one component
	asked          = 8        // questions at a time
)

// How long a program may take: for one answer, and for all of them.
var (
	answersWithin  = 10 * time.Second
	describeWithin = time.Minute
)

// Description is what a program says of itself.
type Description struct {
	Provider   openflow.ProviderRef // without a device
	Components []openflow.ComponentRecord
}

// document is a component's own description as far as it is read here.
//
// Spec: fate-flow-api §3.11.
type document struct {
	Component *struct {
		Name     string `json:"name"`
		Provider string `json:"provider"`
		Version  string `json:"version"`
		jobcheck.Component
	} `json:"component"`
}

// Describe asks a program which components it has, what they are, and whose. It runs as this user, without the environment
// of the node. All components must be of one provider. Errors: CodeInvalid, with what is wrong of the answers.
//
// Spec: fate-flow-api §3.3.1.
func Describe(ctx context.Context, program string) (Description, error) {
	d := Description{}
	ctx, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	names, err := list(ctx, program)
	if err != nil {
		return d, err
	}
	raw, docs, left := make([][]byte, len(names)), make([]document, len(names)), new(atomic.Int64)
	left.Store(maxTokens)
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(asked)
	for i, name := range names {
		group.Go(func() (err error) {
			if raw[i], err = ask(limited, program, maxDescription, "desc", "--name", name); err != nil {
				return err
			}
			if err := limited.Err(); err != nil { // reading takes time too
				return refused(program, "%v: %s are allowed for all answers", err, describeWithin)
			}
			docs[i], err = read(program, name, raw[i], left)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return d, err
	}
	for i, name := range names {
		c := docs[i].Component
		ref := openflow.ProviderRef{Name: c.Provider, Version: c.Version}
		if i == 0 {
			d.Provider = ref
		}
		if ref != d.Provider {
			return d, refused(program, "component %q is of provider %s, and others are of %s", name, ref, d.Provider)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw[i]); err != nil {
			return d, refused(program, "component %q: %v", name, err)
		}
		d.Components = append(d.Components, openflow.ComponentRecord{Name: name, Provider: ref, Description: compact.Bytes()})
	}
	return d, nil
}

// list asks for the names of the components, each of which may come once.
func list(ctx context.Context, program string) ([]string, error) {
	raw, err := ask(ctx, program, maxList, "list")
	if err != nil {
		return nil, err
	}
	var said struct {
		Own     []string `json:"buildin"`
		Foreign []string `json:"thirdparty"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, refused(program, "its list of components is not readable: %v", err)
	}
	names := append(said.Own, said.Foreign...)
	if len(names) == 0 || len(names) > maxComponents {
		return nil, refused(program, "it has %d components, and 1 to %d are allowed", len(names), maxComponents)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if err := openflow.CheckIdentifier("component", name); err != nil {
			return nil, refused(program, "the name of a component, %q, is not valid", openflow.Cut(name, 80))
		}
		if seen[name] {
			return nil, refused(program, "it has component %q twice", name)
		}
		seen[name] = true
	}
	return names, nil
}

// read checks the description of one component. All of them share what is left.
func read(program, name string, raw []byte, left *atomic.Int64) (document, error) {
	var doc document
	if err := plain(raw, left); err != nil {
		return doc, refused(program, "the description of component %q %v", name, err)
	}
	err := json.Unmarshal(raw, &doc)
	switch {
	case err != nil:
		return doc, refused(program, "the description of component %q is not readable: %v", name, err)
	case doc.Component == nil || doc.Component.Name != name:
		return doc, refused(program, "it describes another component than %q", name)
	case len(doc.Component.Parameters) > maxParameters:
		return doc, refused(program, "component %q has %d parameters, and %d are allowed", name, len(doc.Component.Parameters), maxParameters)
	case openflow.CheckProvider(doc.Component.Provider, doc.Component.Version) != nil:
		return doc, refused(program, "component %q is of provider %q in version %q, which no provider can be", name,
			openflow.Cut(doc.Component.Provider, 80), openflow.Cut(doc.Component.Version, 80))
	}
	for _, role := range doc.Component.Roles {
		if !role.Valid() {
			return doc, refused(program, "component %q names a role that there is not: %q", name, openflow.Cut(string(role), 80))
		}
	}
	return doc, nil
}

// plain refuses text that would do something where people read it, nesting that has no end, and more than is left.
func plain(raw []byte, left *atomic.Int64) error {
	if !utf8.Valid(raw) {
		return errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	depth := 0
	for {
		token, err := dec.Token()
		switch t := token.(type) {
		case nil:
			if errors.Is(err, io.EOF) {
				return nil
			}
		case json.Delim:
			if depth++; t == '}' || t == ']' {
				depth -= 2
			}
		case string:
			if t = strings.ReplaceAll(t, "\t", " "); openflow.Readable(t) != t {
				return errors.New("has control characters")
			}
		}
		if err != nil {
			return fmt.Errorf("is not readable: %w", err)
		}
		if depth > maxNesting {
			return fmt.Errorf("is nested deeper than %d", maxNesting)
		}
		if left.Add(-1) < 0 {
			return fmt.Errorf("is too long: all descriptions have more than %d names and values", maxTokens)
		}
	}
}

// refused is what is wrong with a program's answers. Whoever has registered it reads it, and no other party.
func refused(program, format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, "%s does not describe its components: %s", program, openflow.Heard(fmt.Sprintf(format, args...))).
		WithHint("docs/providers.md says what a program answers; of our own one: build it with make build")
}

// errTooMuch ends a program that says more than may be read.
var errTooMuch = errors.New("too much")

// ask runs the program with these arguments and gives what it writes, at most that many bytes. It ends with all that it
// has started, and in time.
func ask(ctx context.Context, program string, most int, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	ctx, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	said, complaint := &bounded{most: most, full: func() { enough(errTooMuch) }}, &bounded{most: maxComplaint}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = said, complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = end, time.Second
	err := cmd.Run()
	if cmd.Process != nil {
		_ = end() // what it has left behind; mostly there is nothing
	}
	what := strings.Join(args, " ")
	switch {
	case errors.Is(context.Cause(ctx), errTooMuch):
		return nil, refused(program, "it answers %q with more than %d bytes", what, most)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, refused(program, "it takes too long to answer %q: %s are allowed, and %s for all answers", what, answersWithin, describeWithin)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, refused(program, "asked %q: %v: %s", what, err, openflow.FirstLine(openflow.Readable(strings.ToValidUTF8(complaint.text.String(), ""))))
	}
	return said.text.Bytes(), nil
}

// bounded keeps the beginning of what is written. Its buffer is a member: one that is embedded would be filled past Write.
type bounded struct {
	text bytes.Buffer
	most int
	full func() // is called when more comes; nil: the rest is dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.text.Len()
	b.text.Write(p[:min(room, len(p))])
	if len(p) > room && b.full != nil {
		b.full()
		return 0, errTooMuch
	}
	return len(p), nil
}
