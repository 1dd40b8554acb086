package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"openflow"
	"openflow/runtime/driver"
)

// Registration is what is to be registered, and what is said of it besides.
type Registration struct {
	// What is the whole path of a program or of an image's archive, on this machine, or the reference of an image.
	What string
	// Name and Version are whose it must say to be; empty: whoever it says. What cannot say so itself is of these.
	Name, Version string
	// Interpreter runs the code of a folder, or of an image, that keeps FATE's component contract: a whole path, or in an image a name. Empty: what is
	// registered is a program of its own.
	Interpreter string
	Dialect     openflow.Dialect // of its containers; empty: the usual one
	// Descriptions are given beside an image, which is not asked for those components then.
	Descriptions []json.RawMessage
	// Papers are what the operator has of its publisher: a signature, an SBOM.
	Papers openflow.Papers
	User   string // who registers it, as the audit names them
}

// Register registers a program or an image, for as long as it stays as it is. It is run to describe itself where its tasks will
// run, and isolated as they are; twice, because a description that changes says nothing. The same again changes nothing. Errors:
// CodeInvalid (what is named, what it says, or the dialect); CodePermission (nothing would isolate it); CodeNotFound and
// CodeUnavailable (the image cannot be had). CodeConflict: the provider has something else in that version, or this in another
// dialect, or it described itself otherwise. Of what is refused nothing stays here.
func (g *Registry) Register(ctx context.Context, n Registration) (openflow.ProviderRecord, []openflow.ComponentRecord, error) {
	r, list, err := g.register(ctx, n)
	if err != nil {
		if wrong := g.discard(ctx, r); wrong != nil {
			err = stays(err, wrong)
		}
	}
	return r, list, err
}

// stays is an error that leaves something behind.
func stays(err, wrong error) error {
	var known *openflow.Error
	if !errors.As(err, &known) {
		return err
	}
	said := *known
	said.Message += "; what it has brought here could not be removed: " + wrong.Error()
	return &said
}

func (g *Registry) register(ctx context.Context, n Registration) (openflow.ProviderRecord, []openflow.ComponentRecord, error) {
	r, said, papers, err := g.examine(ctx, n)
	if err != nil {
		return r, nil, err
	}
	if err := g.believe(ctx, n, r); err != nil {
		return r, nil, err
	}
	// Now it is known whose it is, and what it wishes for.
	papers, err = g.judge(ctx, r, said.Components, papers)
	if err != nil {
		return r, nil, err
	}
	before, err := g.Rows.Components(ctx, r.Name, r.Version)
	if err != nil {
		return r, nil, err
	}
	failed := map[string]string{}
	if len(before) == 0 {
		failed = g.startUp(ctx, r, said.Components)
	}
	if err := g.Rows.AddProvider(ctx, r, said.Components, papers); err != nil {
		return r, nil, err
	}
	if r, err = g.Rows.Provider(ctx, r.Name, r.Version); err != nil {
		return r, nil, err
	}
	list, err := g.Rows.Components(ctx, r.Name, r.Version)
	if err != nil {
		return r, list, err
	}
	if len(before) > 0 { // what it lacked, such as a signature, it may have now
		if err := g.look(ctx, r, list); err != nil {
			return r, list, err
		}
		list, err = g.Rows.Components(ctx, r.Name, r.Version)
		return r, list, err
	}
	for _, c := range list {
		g.tell(ctx, openflow.ComponentChange{Component: c.Name, Provider: c.Provider, To: c.Standing.State, By: n.User, At: c.Standing.Since})
	}
	if len(failed) == 0 {
		return r, list, nil
	}
	if _, err := g.fail(ctx, r, failed); err != nil {
		return r, list, err
	}
	list, err = g.Rows.Components(ctx, r.Name, r.Version)
	return r, list, err
}

// examine looks at what is to be registered, and has it describe itself.
func (g *Registry) examine(ctx context.Context, n Registration) (openflow.ProviderRecord, Description, openflow.Papers, error) {
	r, papers := openflow.ProviderRecord{}, n.Papers
	if n.Name != "" {
		if err := openflow.CheckIdentifier("provider", n.Name); err != nil {
			return r, Description{}, papers, err
		}
	}
	speaks, err := g.Speaks(n.Dialect)
	if err != nil {
		return r, Description{}, papers, err
	}
	if r, papers, err = g.inspect(ctx, n); err != nil { // before anything of it is pulled or loaded
		return r, Description{}, papers, err
	}
	r, img, err := g.Machine.Fetch(ctx, r)
	if err != nil {
		return r, Description{}, papers, err
	}
	r.Dialect, r.AddedBy = speaks, n.User
	if r.Kind == openflow.ProviderImage && r.Interpreter == "" {
		r.Interpreter = codeIn(img)
	}
	if papers, err = g.judge(ctx, r, nil, papers); err != nil { // before anything of it runs
		return r, Description{}, papers, err
	}
	p, err := g.questions(r, img, n)
	if err != nil {
		return r, Description{}, papers, err
	}
	said, err := p.all(ctx)
	if err != nil {
		return r, said, papers, err
	}
	again, err := p.all(ctx)
	if err != nil {
		return r, said, papers, err
	}
	if what := differs(said, again); what != "" {
		return r, said, papers, refused(r.Place, "%s in another way when it was asked a second time", what)
	}
	r.Name, r.Version = said.Provider.Name, said.Provider.Version
	return r, said, papers, nil
}

// differs names what two descriptions do not have in common; empty: they are the same.
func differs(a, b Description) string {
	if a.Provider != b.Provider || len(a.Components) != len(b.Components) {
		return "it describes its components"
	}
	for i, c := range a.Components {
		if c.Name != b.Components[i].Name || !c.DescribedAs(b.Components[i]) {
			return fmt.Sprintf("it describes component %q", c.Name)
		}
	}
	return ""
}

// questions are what is asked, and what is known without. An image has an entry point, which answers. One without, as they are
// made for FATE-Flow, names its components in labels.
//
// Spec: fate-flow-api §1.6, §3.3.2.
func (g *Registry) questions(r openflow.ProviderRecord, img driver.Image, n Registration) (*asking, error) {
	p := &asking{on: g.Machine, of: r}
	if r.Kind != openflow.ProviderImage {
		return p, nil
	}
	if said := img.Labels[contractLabel]; said != "" && said != contractVersion {
		return p, openflow.Errorf(openflow.CodeInvalid, "%s was made for version %q of the contract, and this node has %s",
			r.Place, openflow.Cut(openflow.Readable(said), 40), contractVersion).WithHint(mend)
	}
	if len(img.Volumes) > 0 {
		return p, unkept(r.Place, "it wants volumes, and containers have none: %s", strings.Join(img.Volumes, ", "))
	}
	p.labelled, p.mute = labelled(img.Labels), len(img.Entrypoint) == 0
	if r.Interpreter != "" { // its own entry point is not used
		if p.mute = false; len(n.Descriptions) > 0 {
			return p, openflow.Errorf(openflow.CodeInvalid, "the code of %s describes itself, so that no description is given beside it", r.Place).
				WithHint("leave the descriptions out")
		}
		return p, nil
	}
	if len(n.Descriptions) > 0 {
		p.given = map[string]json.RawMessage{}
		for _, text := range n.Descriptions {
			name, err := nameIn(text)
			if err != nil {
				return p, refused(r.Place, "%v", err)
			}
			if _, twice := p.given[name]; twice {
				return p, refused(r.Place, "component %q is described twice", openflow.Cut(name, 80))
			}
			if len(p.labelled) > 0 && !slices.Contains(p.labelled, name) {
				return p, refused(r.Place, "component %q is described beside it, and its labels name others: %s", openflow.Cut(name, 80),
					openflow.Cut(strings.Join(p.labelled, ", "), 200))
			}
			p.given[name] = text
		}
	}
	switch {
	case len(img.Entrypoint) > 0:
		return p, nil
	case len(img.Command) == 0:
		return p, unkept(r.Place, "it has neither an entry point nor a command, so that nothing of it can be run")
	case len(p.labelled) == 0 && len(p.given) == 0:
		return p, unkept(r.Place, "it has no entry point that could be asked, and no label component.1.name")
	}
	return p, p.describeLabels(n)
}

// pythons are what images made for FATE-Flow run.
var pythons = regexp.MustCompile(`^python(3(\.\d{1,2})?)?$`)

// codeIn is the interpreter of an image that is made for FATE-Flow: one without an entry point, whose command is an interpreter that runs
// FATE-Flow's own wrapper. Empty: it is none.
//
// Spec: fate-flow-api §3.3.2.
func codeIn(img driver.Image) string {
	if len(img.Entrypoint) > 0 || len(img.Command) == 0 || img.Labels[contractLabel] != "" || !pythons.MatchString(path.Base(img.Command[0])) {
		return ""
	}
	return img.Command[0]
}

// everyone is all roles.
var everyone = []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal}

// formLabel is the form of a component that has no description, but for its name in a label of an image.
const formLabel = "label"

// describeLabels makes up for an image that nobody can ask: a component of which only the name is known takes part in every
// role, and has neither parameters nor inputs nor outputs.
func (p *asking) describeLabels(n Registration) error {
	for _, name := range p.labelled {
		if _, known := p.given[name]; known {
			continue
		}
		if n.Name == "" || n.Version == "" {
			return openflow.Errorf(openflow.CodeInvalid, "a label of %s names component %q, and nothing says whose that is", p.of.Place, openflow.Cut(name, 80)).
				WithHint("say it with --name and --version, or give the description of each component in a label, with --description FILE")
		}
		text, err := json.Marshal(map[string]any{"component": map[string]any{
			"name": name, "provider": n.Name, "version": n.Version, "description": "", "labels": []string{}, "roles": everyone,
			"parameters": map[string]any{}, "input_artifacts": map[string]any{}, "output_artifacts": map[string]any{},
		}, "schema_version": "v1"})
		if err != nil {
			return err
		}
		if p.given == nil {
			p.given = map[string]json.RawMessage{}
		}
		p.given[name], p.named = text, append(p.named, name)
	}
	return nil
}

var componentLabel = regexp.MustCompile(`^component\.(\d{1,4})\.name$`)

// labelled are the components that labels name, in the order of their numbers.
func labelled(labels map[string]string) []string {
	type numbered struct {
		number int
		name   string
	}
	var found []numbered
	for key, name := range labels {
		if m := componentLabel.FindStringSubmatch(key); m != nil {
			n, _ := strconv.Atoi(m[1]) // up to four digits
			found = append(found, numbered{n, name})
		}
	}
	slices.SortFunc(found, func(a, b numbered) int { return a.number - b.number })
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.name
	}
	return names
}

// nameIn finds which component a description is of.
func nameIn(text json.RawMessage) (string, error) {
	c, err := Read(text)
	if c.Name == "" {
		return "", openflow.Errorf(openflow.CodeInvalid, "a description that is given beside it names no component")
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "the description of component %q that is given beside it %v", openflow.Cut(c.Name, 80), err)
	}
	return c.Name, nil
}

// believe compares whose it says to be with what the operator expects. Nobody else takes the built-in provider's name. FATE's own is for
// code that keeps FATE's contract: unmodified pipelines carry it, and mean that from then on.
func (g *Registry) believe(ctx context.Context, n Registration, r openflow.ProviderRecord) error {
	if n.Name != "" && r.Name != n.Name || n.Version != "" && r.Version != n.Version {
		return openflow.Errorf(openflow.CodeInvalid, "%s says that it is of provider %s, not of %s", r.Place, r.Ref(),
			openflow.ProviderRef{Name: n.Name, Version: n.Version}).
			WithHint("see whose it is, and give that name")
	}
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return err
	}
	taken := func(p openflow.ProviderRecord) bool { return p.Kind == openflow.ProviderBuiltIn && p.Name == r.Name }
	if r.Name == foreign && r.Interpreter == "" || slices.ContainsFunc(list, taken) {
		return openflow.Errorf(openflow.CodeInvalid, "the name %q stands for the built-in provider", r.Name).
			WithHint("build it with a provider name of its own")
	}
	return nil
}
