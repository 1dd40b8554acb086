package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"openflow"
	"openflow/runtime/driver"
)

// The contract of algorithm images is docs/spec/algorithm-image.md.
const (
	contractVersion = "1"
	contractLabel   = "openflow.contract" // in which an image may say which version it was made for
)

// held are the findings of an image that is held against the contract.
type held struct {
	list []openflow.Finding
}

const mend = "mend the image; docs/spec/algorithm-image.md has the contract"

func (h *held) ok(point, format string, args ...any) {
	h.list = append(h.list, openflow.Finding{Check: point, Verdict: openflow.VerdictOK, Detail: fmt.Sprintf(format, args...)})
}

func (h *held) fail(point, format string, args ...any) {
	h.list = append(h.list, openflow.Finding{Check: point, Verdict: openflow.VerdictFail, Detail: fmt.Sprintf(format, args...), Remedy: mend})
}

func (h *held) warn(point, remedy, format string, args ...any) {
	h.list = append(h.list, openflow.Finding{Check: point, Verdict: openflow.VerdictWarn, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}

// judge is ok, or what err says of it.
func (h *held) judge(point string, err error, detail string) bool {
	if err == nil {
		h.ok(point, "%s", detail)
		return true
	}
	remedy := mend
	var said *openflow.Error
	if errors.As(err, &said) && said.Hint != "" {
		remedy = said.Hint
		err = errors.New(said.Message)
	}
	h.list = append(h.list, openflow.Finding{Check: point, Verdict: openflow.VerdictFail, Detail: err.Error(), Remedy: remedy})
	return false
}

// Hold holds an image or program against the contract, point by point, and registers nothing. It is run to describe itself, and
// with arguments that it must refuse. Nothing of it stays here. Errors: CodeInvalid (the dialect or a name), the context's; what
// does not hold is none.
//
// Spec: algorithm-image §10.
func (g *Registry) Hold(ctx context.Context, n Registration) (found []openflow.Finding, err error) {
	speaks, err := g.Speaks(n.Dialect)
	if err != nil {
		return nil, err
	}
	h := &held{}
	r, papers, err := g.inspect(ctx, n) // before anything of it is pulled or loaded
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if openflow.CodeOf(err) == openflow.CodePermission {
		h.judge("policy", err, "")
		return h.list, nil
	}
	defer func() {
		if wrong := g.discard(ctx, r); wrong != nil && err == nil {
			h.warn("nothing stays", "remove it by hand", "what was brought here could not be removed: %v", wrong)
			found = h.list
		}
	}()
	var img driver.Image
	if err == nil {
		r, img, err = g.Machine.Fetch(ctx, r)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !h.judge("content", err, "it can be read to its end, and is what its hashes say: "+r.Digest) {
		return h.list, nil
	}
	r.Dialect = speaks
	if r.Kind == openflow.ProviderImage && r.Interpreter == "" {
		r.Interpreter = codeIn(img)
	}
	if r.Kind == openflow.ProviderImage && r.Interpreter == "" {
		h.image(img)
	}
	if n.Papers, err = g.judge(ctx, r, nil, papers); !h.judge("policy", err, "the site's policy lets it run") {
		return h.list, ctx.Err()
	}
	p, err := g.questions(r, img, n)
	var said []openflow.ComponentRecord
	if err == nil {
		said, err = g.describes(ctx, h, p, n)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		h.judge("description", err, "")
		return h.list, nil
	}
	if r.Kind == openflow.ProviderProgram || r.Interpreter == "" && len(img.Entrypoint) > 0 {
		p.refuses(ctx, h)
	}
	stay := slices.DeleteFunc(slices.Clone(said), func(c openflow.ComponentRecord) bool { return !resident(c) })
	if ctx.Err() == nil && len(stay) > 0 {
		if err := p.resides(ctx, h, g, stay); err != nil && ctx.Err() == nil {
			h.judge("resident", err, "")
		}
	}
	h.askProbes(ctx, slices.DeleteFunc(slices.Clone(said), resident), func(ctx context.Context, probe openflow.ComponentProbe) (error, bool) {
		return g.answer(ctx, p.of, "", probe)
	})
	return h.list, ctx.Err()
}

// image looks at the configuration of an image.
func (h *held) image(img driver.Image) {
	names := labelled(img.Labels)
	switch {
	case len(img.Entrypoint) > 0:
		h.ok("entry point", "%s", openflow.Line(strings.Join(img.Entrypoint, " ")))
	case len(img.Command) > 0:
		h.warn("entry point", "give it an ENTRYPOINT, so that it can describe itself",
			"it has none: its command %q is run as it is, and nobody asks it", openflow.Line(strings.Join(img.Command, " ")))
	default:
		h.fail("entry point", "it has neither an entry point nor a command")
	}
	switch {
	case len(names) == 1:
		h.ok("labels", "they name a component: %s", openflow.Line(names[0]))
	case len(names) > 1:
		h.ok("labels", "they name %d components", len(names))
	case len(img.Entrypoint) > 0:
		h.ok("labels", "they name no components: its entry point is asked")
	default:
		h.ok("labels", "they name no components")
	}
	switch said := img.Labels[contractLabel]; said {
	case "":
		h.warn("contract version", "add the label "+contractLabel+"="+contractVersion, "it does not say for which version it was made; %s is meant", contractVersion)
	case contractVersion:
		h.ok("contract version", "%s", said)
	default:
		h.fail("contract version", "it was made for version %q, and this node has %s", openflow.Cut(openflow.Readable(said), 40), contractVersion)
	}
	if len(img.Volumes) > 0 {
		h.fail("files", "it wants volumes, and a container has no disk but /tmp: %s", openflow.Line(strings.Join(img.Volumes, ", ")))
	} else {
		h.ok("files", "it wants no volumes")
	}
}

// describes asks twice. An error is why it does not describe itself.
func (g *Registry) describes(ctx context.Context, h *held, p *asking, n Registration) ([]openflow.ComponentRecord, error) {
	said, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(said.Components))
	for i, c := range said.Components {
		names[i] = c.Name
	}
	slices.Sort(names)
	if p.apart {
		h.warn("described from outside", "have its entry point answer list and desc, and leave --description out",
			"its entry point does not answer list, so that the descriptions beside it count; it is started with the argument run all the same")
	}
	if slices.ContainsFunc(said.Components, func(c openflow.ComponentRecord) bool { return c.Form == foreignForm }) {
		h.warn("form of description", "see that it keeps docs/spec/algorithm-image.md §4 and §7 when it runs; no check shows that", "%s", foreignStart)
	}
	h.ok("description", "as nobody, without a network, on a read-only root: %s", openflow.Line(strings.Join(names, ", ")))
	again, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	if what := differs(said, again); what != "" {
		h.fail("same answers", "%s in another way when it is asked a second time", what)
	} else {
		h.ok("same answers", "it describes itself alike when it is asked a second time")
	}
	of := p.of
	of.Name, of.Version = said.Provider.Name, said.Provider.Version
	h.judge("provider", g.believe(ctx, n, of), of.Ref().String())
	_, err = g.judge(ctx, of, said.Components, n.Papers) // as it is registered: by its name, and with what it wishes for
	h.judge("wishes", err, "the site's policy gives provider "+of.Name+" what its components wish for")
	return said.Components, nil
}

// refuses runs it with what it must not take: a command and a component that there are not, and a run without configuration.
func (p *asking) refuses(ctx context.Context, h *held) {
	for _, wrong := range []struct {
		point string
		args  []string
	}{
		{"unknown commands", []string{"no-such-command"}},
		{"unknown components", []string{"desc", "--name", "no-such-component"}},
		{"runs without configuration", []string{"run"}},
	} {
		limited, cancel := context.WithTimeout(ctx, answersWithin)
		said, err := p.on.Ask(limited, p.of, maxList, wrong.args...)
		late := limited.Err() != nil
		cancel()
		what := strings.Join(wrong.args, " ")
		switch {
		case ctx.Err() != nil:
			return
		case late:
			h.fail(wrong.point, "%q has not ended after %s", what, answersWithin)
		case err != nil:
			h.judge(wrong.point, err, "")
		case said.TooMuch || said.ExitCode == 0:
			h.fail(wrong.point, "%q ends with exit code 0, as if something had been done", what)
		default:
			h.ok(wrong.point, "%q ends with exit code %d", what, said.ExitCode)
		}
	}
}
