package launcher

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"openflow"
	"openflow/description"
	"openflow/sdk/component"
	"openflow/sdk/wire"
)

// Argument is the first argument of a program that contains the launcher, by which a node asks for it.
const Argument = "fate"

// maxList bounds the list of a provider's components, in bytes.
const maxList = 64 << 10

// Main answers what a node asks of a component's program (docs/spec/algorithm-image.md §3), for one that keeps FATE's contract.
// The arguments are "--python PROGRAM" and "--path FOLDER", which both may be left out, and what is asked: "list", "desc --name NAME" or
// "run". Without a folder the code is where the interpreter finds it by itself, as in an image. It returns the exit code.
//
// Spec: fate-flow-api §3.3.1.
func Main(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(Argument, flag.ContinueOnError)
	flags.SetOutput(stderr)
	var p python
	flags.StringVar(&p.path, "path", "", "folder of the provider's code")
	flags.StringVar(&p.program, "python", "", "interpreter that runs it")
	if err := flags.Parse(args); err != nil {
		return component.ExitUsage
	}
	p.log = stderr
	if p.program == "" {
		p.program = found(env("PATH"))
	}
	rest := flags.Args()
	var err error
	switch {
	case len(rest) == 0 || len(rest) == 1 && rest[0] == "run":
		return run(ctx, p, env, stderr)
	case len(rest) == 1 && rest[0] == "list":
		err = p.answer(ctx, stdout, maxList, list, "list")
	case len(rest) == 3 && rest[0] == "desc" && rest[1] == "--name":
		err = p.answer(ctx, stdout, description.MaxBytes, nil, "desc", "--name", rest[2])
	default:
		err = openflow.Errorf(openflow.CodeInvalid, "arguments %q are not understood", rest)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return component.ExitUsage
	}
	return component.ExitSuccess
}

// list makes one list of names, each once: FATE lists a component that a test registers anew under both heads.
func list(raw []byte) ([]byte, error) {
	var said struct {
		Own     []string `yaml:"buildin"`
		Foreign []string `yaml:"thirdparty"`
	}
	err := wire.BoundedYAML(raw)
	if err == nil {
		err = yaml.Unmarshal(raw, &said)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the list of its components is not readable: %w", err)
	}
	names := slices.Concat(said.Own, said.Foreign)
	slices.Sort(names)
	return json.Marshal(map[string]any{"buildin": slices.Compact(names), "thirdparty": []string{}})
}

// answer passes on what the component's own program answers. It is asked for a file, since importing a library may print.
func (p python) answer(ctx context.Context, to io.Writer, most int64, read func([]byte) ([]byte, error), args ...string) error {
	work, err := os.MkdirTemp("", "fate-")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "no temporary folder: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // it is temporary
	root, err := os.OpenRoot(work)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the temporary folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	p.work = work
	if err := p.components(ctx, append(args, "--save", filepath.Join(work, "answer"))...); err != nil {
		return err
	}
	raw, err := readFile(root, "answer", most)
	if err == nil && read != nil {
		raw, err = read(raw)
	}
	if err == nil {
		_, err = to.Write(append(raw, '\n'))
	}
	return err
}
