package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/jobcheck"
)

// What a program may take to describe itself. It is believed to be hostile.
const (
	maxComponents  = 200
	maxList        = 64 << 10 // bytes of its list
	maxDescription = 1 << 20  // bytes of one description
	maxNesting     = 64       // of a description
	maxTokens      = 500_000  // of all descriptions: names, values, brackets
	maxParameters  = 200      // of one component
	atOnce         = 8        // questions at a time
)

// How long a program may take: for one answer, and for all of them. A runtime that isolates makes a container for each.
var (
	answersWithin  = 20 * time.Second
	describeWithin = 90 * time.Second
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

// Machine is what the registry asks of the machine that it is on.
type Machine interface {
	// Inspect looks at what is to be registered: a program, an archive of an image, or an image by its reference.
	Inspect(ctx context.Context, what string) (openflow.ProviderRecord, driver.Image, error)
	// Ready checks that what runs are started with is there, and brings it to the runtime.
	Ready(ctx context.Context, r openflow.ProviderRecord) (string, error)
	// Ask runs a provider's program with these arguments where its runs do, isolated as they are; see programs.Programs.
	Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error)
}

// Describe asks a program which components it has, what they are, and whose. All components must be of one provider. Errors:
// CodeInvalid, with what is wrong of the answers; those of Machine.
//
// Spec: fate-flow-api §3.3.1.
func Describe(ctx context.Context, on Machine, r openflow.ProviderRecord) (Description, error) {
	return asking{on: on, of: r}.all(ctx)
}

func (p asking) all(ctx context.Context) (Description, error) {
	d, r := Description{}, p.of
	ctx, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	names, err := p.names(ctx)
	if err != nil {
		return d, err
	}
	raw, docs, left := make([][]byte, len(names)), make([]document, len(names)), new(atomic.Int64)
	left.Store(maxTokens)
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, name := range names {
		group.Go(func() (err error) {
			raw[i], docs[i], err = p.describe(limited, name, left)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return d, err
	}
	for i, name := range names {
		ref := docs[i].provider()
		if i == 0 {
			d.Provider = ref
		}
		if ref != d.Provider {
			return d, refused(r.Place, "component %q is of provider %s, and others are of %s", name, ref, d.Provider)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw[i]); err != nil {
			return d, refused(r.Place, "component %q: %v", name, err)
		}
		d.Components = append(d.Components, openflow.ComponentRecord{Name: name, Provider: ref, Description: compact.Bytes()})
	}
	return d, nil
}

// Whose asks a program for the provider of its first component. Errors: those of Describe.
func Whose(ctx context.Context, on Machine, r openflow.ProviderRecord) (openflow.ProviderRef, error) {
	p := asking{on: on, of: r}
	ctx, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	names, err := p.list(ctx)
	if err != nil {
		return openflow.ProviderRef{}, err
	}
	left := new(atomic.Int64)
	left.Store(maxTokens)
	_, doc, err := p.describe(ctx, names[0], left)
	if err != nil {
		return openflow.ProviderRef{}, err
	}
	return doc.provider(), nil
}

// asking is a program that is asked what it is.
type asking struct {
	on Machine
	of openflow.ProviderRecord

	labelled []string                   // components that the labels of an image name; they are not asked for
	given    map[string]json.RawMessage // descriptions that are given beside an image; their components are not asked
}

// names are those of the components, from wherever they are known.
func (p asking) names(ctx context.Context) ([]string, error) {
	switch {
	case len(p.labelled) > 0:
		return p.checked(p.labelled)
	case len(p.given) > 0:
		return p.checked(slices.Sorted(maps.Keys(p.given)))
	}
	return p.list(ctx)
}

// describe asks what one component is.
func (p asking) describe(ctx context.Context, name string, left *atomic.Int64) ([]byte, document, error) {
	raw, err := []byte(p.given[name]), error(nil)
	if raw == nil {
		raw, err = p.ask(ctx, maxDescription, "desc", "--name", name)
	}
	if err != nil {
		return nil, document{}, err
	}
	if err := ctx.Err(); err != nil { // reading takes time too
		return nil, document{}, refused(p.of.Place, "%v: %s are allowed for all answers", err, describeWithin)
	}
	doc, err := read(p.of.Place, name, raw, left)
	return raw, doc, err
}

// provider is whose the component is.
func (d document) provider() openflow.ProviderRef {
	return openflow.ProviderRef{Name: d.Component.Provider, Version: d.Component.Version}
}

// list asks for the names of the components, each of which may come once.
func (p asking) list(ctx context.Context) ([]string, error) {
	program := p.of.Place
	raw, err := p.ask(ctx, maxList, "list")
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
	return p.checked(append(said.Own, said.Foreign...))
}

// checked refuses a list of names that no program can have.
func (p asking) checked(names []string) ([]string, error) {
	program := p.of.Place
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

// ask gives what the program writes when it is run with these arguments, at most that many bytes, and in time.
func (p asking) ask(ctx context.Context, most int, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	said, err := p.on.Ask(ctx, p.of, most, args...)
	what := strings.Join(args, " ")
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, refused(p.of.Place, "it takes too long to answer %q: %s are allowed, and %s for all answers", what, answersWithin, describeWithin)
	case err != nil:
		return nil, err
	case said.TooMuch:
		return nil, refused(p.of.Place, "it answers %q with more than %d bytes", what, most)
	case said.ExitCode != 0:
		if text := openflow.FirstLine(openflow.Readable(strings.ToValidUTF8(string(said.Complaint), ""))); text != "" {
			return nil, refused(p.of.Place, "asked %q: exit status %d: %s", what, said.ExitCode, text)
		}
		return nil, refused(p.of.Place, "asked %q: exit status %d", what, said.ExitCode)
	}
	return said.Text, nil
}
