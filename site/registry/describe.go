package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/description/interop"
	"openflow/runtime/driver"
	"openflow/site/jobcheck"
)

// What a program may take to describe itself. It is believed to be hostile.
const (
	maxComponents = 200
	maxList       = 64 << 10 // bytes of its list
	maxValues     = 500_000  // of all descriptions: names, values, brackets
	atOnce        = 8        // questions at a time
)

// How long a program may take: for one answer, and for all of them. A runtime that isolates makes a container for each. Before that
// the program is brought to the runtime, which copies up to a gigabyte: that is this node's work, and not the program's.
var (
	answersWithin  = 20 * time.Second
	describeWithin = 90 * time.Second
	broughtWithin  = 10 * time.Minute
)

// slower is how much more time code has that an interpreter runs: it loads its libraries for each answer, which takes seconds of a core.
// So fewer questions are put at a time.
const (
	slower       = 6
	atOnceOfCode = 2
)

// patience is how long one answer may take, and all of them, and how many questions are put at a time.
func patience(r openflow.ProviderRecord) (one, all time.Duration, questions int) {
	if r.Interpreter != "" {
		return slower * answersWithin, slower * describeWithin, atOnceOfCode
	}
	return answersWithin, describeWithin, atOnce
}

// Description is what a program says of itself.
type Description struct {
	Provider   openflow.ProviderRef // without a device
	Components []openflow.ComponentRecord
}

// Machine is what the registry asks of the machine that it is on.
type Machine interface {
	// Inspect looks at what is to be registered: a program, an archive of an image, or an image by its reference. It brings
	// nothing here: an image that is not here has no digest. The interpreter runs its code, where it is a folder of code, or an image of it.
	Inspect(ctx context.Context, what, interpreter string) (openflow.ProviderRecord, error)
	// Fetch brings an image that was inspected to where it runs.
	Fetch(ctx context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, driver.Image, error)
	// Discard removes again what Fetch and Ready have brought, and nothing that was there before.
	Discard(ctx context.Context, r openflow.ProviderRecord) error
	// Ready brings what a provider's runs are started with to where they are, unless it is there. That may take long.
	Ready(ctx context.Context, r openflow.ProviderRecord) (image string, err error)
	// Ask runs a provider's program with these arguments where its runs do, isolated as they are; see programs.Programs.
	Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error)
}

// Describe asks a program which components it has, what they are, and whose. All components must be of one provider. Errors:
// CodeInvalid, with what is wrong of the answers; those of Machine.
//
// Spec: fate-flow-api §3.3.1.
func Describe(ctx context.Context, on Machine, r openflow.ProviderRecord) (Description, error) {
	p := &asking{on: on, of: r}
	return p.all(ctx)
}

// all asks for all components. They must be of one provider.
func (p *asking) all(ctx context.Context) (Description, error) {
	d, r := Description{}, p.of
	p.left.Store(maxValues)
	if err := p.ready(ctx); err != nil {
		return d, err
	}
	_, within, questions := patience(r)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	names, err := p.names(ctx)
	if err != nil {
		return d, err
	}
	d.Components = make([]openflow.ComponentRecord, len(names))
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(questions)
	for i, name := range names {
		group.Go(func() (err error) {
			d.Components[i], err = p.describe(limited, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Description{}, err
	}
	d.Provider = d.Components[0].Provider
	asked := 0
	for _, c := range d.Components {
		if (p.mute || p.apart || r.Interpreter != "") && resident(c) {
			return d, unkept(r.Place, "component %q is resident, and an image without an entry point that answers serves no runs", c.Name)
		}
		asked += len(c.Probes)
		if asked > openflow.MaxProbes {
			return d, refused(r.Place, "its components have more than %d probes together", openflow.MaxProbes)
		}
		if c.Provider != d.Provider {
			return d, refused(r.Place, "component %q is of provider %s, and others are of %s", c.Name, c.Provider, d.Provider)
		}
	}
	return d, nil
}

// resident reports whether one container may serve many runs of a component.
func resident(c openflow.ComponentRecord) bool { return c.Way == openflow.WayResident }

// Whose asks a program for the provider of its first component. Errors: those of Describe.
func Whose(ctx context.Context, on Machine, r openflow.ProviderRecord) (openflow.ProviderRef, error) {
	p := &asking{on: on, of: r}
	p.left.Store(maxValues)
	if err := p.ready(ctx); err != nil {
		return openflow.ProviderRef{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	names, err := p.list(ctx)
	if err != nil {
		return openflow.ProviderRef{}, err
	}
	c, err := p.describe(ctx, names[0])
	return c.Provider, err
}

// asking is a program that is asked what it is.
type asking struct {
	on Machine
	of openflow.ProviderRecord

	labelled []string                   // components that the labels of an image name; they are not asked for
	given    map[string]json.RawMessage // descriptions that are given beside an image; their components are not asked
	named    []string                   // components of which a label says the name, and nothing says more

	apart bool // it was found not to describe itself, so that given descriptions count

	mute bool // an image without an entry point: its command is run as it is, whatever it is asked

	left atomic.Int64 // how many values all its descriptions may still have
}

// onlyItself refuses descriptions that are given beside an image which describes itself: runs have what is in the image.
func (p *asking) onlyItself(ctx context.Context) error {
	if len(p.given) == 0 || p.mute || p.apart {
		return nil
	}
	names, err := p.list(ctx)
	if err == nil {
		return openflow.Errorf(openflow.CodeInvalid, "%s describes itself, as %s, so that no description is given beside it", p.of.Place,
			openflow.Cut(strings.Join(names, ", "), 200)).WithHint("leave --description out")
	}
	if openflow.CodeOf(err) != openflow.CodeInvalid {
		return err
	}
	p.apart = true
	return nil
}

// names are those of the components, from wherever they are known.
func (p *asking) names(ctx context.Context) ([]string, error) {
	if err := p.onlyItself(ctx); err != nil {
		return nil, err
	}
	switch {
	case len(p.labelled) > 0:
		return p.checked(p.labelled)
	case len(p.given) > 0:
		return p.checked(slices.Sorted(maps.Keys(p.given)))
	}
	return p.list(ctx)
}

// describe asks what one component is.
func (p *asking) describe(ctx context.Context, name string) (openflow.ComponentRecord, error) {
	raw, err := []byte(p.given[name]), error(nil)
	if raw == nil {
		raw, err = p.ask(ctx, description.MaxBytes, "desc", "--name", name)
		if openflow.CodeOf(err) == openflow.CodeInvalid && slices.Contains(p.labelled, name) {
			err = openflow.Errorf(openflow.CodeInvalid, "a label of the image names component %q: %w", name, err)
		}
	}
	if err != nil {
		return openflow.ComponentRecord{}, err
	}
	if err := ctx.Err(); err != nil { // reading takes time too
		_, within, _ := patience(p.of)
		return openflow.ComponentRecord{}, refused(p.of.Place, "%v: %s are allowed for all answers", err, within)
	}
	c, err := p.read(name, raw)
	switch {
	case slices.Contains(p.named, name):
		c.Form = formLabel
	case err == nil && c.Form == foreignForm:
		c.Warnings = append([]string{foreignStart}, c.Warnings...)
	}
	return c, err
}

// The InterOp standard has a form of descriptions, and a way to start images of its own, which this node has not.
const (
	foreignForm  = "interop"
	foreignStart = "it describes itself as the InterOp standard has it, and is started as FATE-Flow has it: an image that reads the standard's variables does not run here"
)

// list asks for the names of the components, each of which may come once.
func (p *asking) list(ctx context.Context) ([]string, error) {
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
func (p *asking) checked(names []string) ([]string, error) {
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

// forms are those in which components may describe themselves.
var forms = []description.Form{fate.Form{}, interop.Form{}}

// Read reads the description of one component, in any form. Errors: CodeInvalid, as the end of a sentence about it.
func Read(raw []byte) (openflow.ComponentRecord, error) {
	doc, err := description.Parse(raw)
	if err != nil {
		return openflow.ComponentRecord{}, err
	}
	return known(doc)
}

func known(doc description.Document) (openflow.ComponentRecord, error) {
	c, err := doc.Record(forms...)
	if err == nil {
		_, err = jobcheck.Of(c) // what jobs could not be checked with
	}
	return c, err
}

// read reads the description of the component of that name. All of a program share what is left.
func (p *asking) read(name string, raw []byte) (openflow.ComponentRecord, error) {
	var c openflow.ComponentRecord
	doc, err := description.Parse(raw)
	if err == nil && p.left.Add(-int64(doc.Values)) < 0 {
		err = openflow.Errorf(openflow.CodeInvalid, "is too long: all descriptions have more than %d names and values", maxValues)
	}
	if err == nil {
		c, err = known(doc)
	}
	if err != nil {
		return c, refused(p.of.Place, "the description of component %q %v", name, err)
	}
	if c.Name != name {
		return c, refused(p.of.Place, "it describes another component than %q", name)
	}
	return c, nil
}

// refused is what is wrong with a program's answers. Whoever has registered it reads it, and no other party.
func refused(program, format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, "%s does not describe its components: %s", program, openflow.Heard(fmt.Sprintf(format, args...))).
		WithHint("docs/spec/algorithm-image.md says what it answers; openflow component check holds it against that, point by point")
}

// unkept is what is wrong with an image itself, whatever it answers.
func unkept(image, format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, "%s does not keep the contract of images: %s", image, openflow.Heard(fmt.Sprintf(format, args...))).
		WithHint("docs/spec/algorithm-image.md says what an image must be; openflow component check holds it against that, point by point")
}

// ready brings the program to the runtime, so that what it takes to answer is its own time.
func (p *asking) ready(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, broughtWithin)
	defer cancel()
	_, err := p.on.Ready(limited, p.of)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return openflow.Errorf(openflow.CodeDeadline, "%s could not be brought to the runtime within %s: %w", p.of.Place, broughtWithin, err).
			WithHint("see how busy the machine and its runtime are: openflow doctor")
	}
	return err
}

// ask gives what the program writes when it is run with these arguments, at most that many bytes, and in time.
func (p *asking) ask(ctx context.Context, most int, args ...string) ([]byte, error) {
	within, all, _ := patience(p.of)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	said, err := p.on.Ask(ctx, p.of, most, args...)
	what := strings.Join(args, " ")
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, refused(p.of.Place, "it takes too long to answer %q: %s are allowed, and %s for all answers", what, within, all)
	case openflow.CodeOf(err) == openflow.CodeInvalid:
		return nil, refused(p.of.Place, "asked %q: %v", what, err)
	case err != nil:
		return nil, err
	case said.TooMuch:
		return nil, refused(p.of.Place, "it answers %q with more than %d bytes", what, most)
	case said.ExitCode != 0:
		return nil, refused(p.of.Place, "asked %q: %v", what, exited(said))
	}
	return said.Text, nil
}

// exited is how a program has ended that has not answered, with its complaint in one line.
func exited(said driver.Answer) error {
	if text := complaint(said); text != "" {
		return fmt.Errorf("exit status %d: %s", said.ExitCode, text)
	}
	return fmt.Errorf("exit status %d", said.ExitCode)
}

// traceback begins what Python writes when a program of it fails. Its last line is the cause.
const traceback = "Traceback (most recent call last):"

// complaint is the line of what a program complains of that names the cause: the first, and of a traceback the last.
func complaint(said driver.Answer) string {
	text := strings.TrimSpace(openflow.Readable(strings.ToValidUTF8(string(said.Complaint), "")))
	if strings.HasPrefix(text, traceback) {
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	return openflow.FirstLine(text)
}
