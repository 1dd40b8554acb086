package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/docker/image"
)

// contract is the label in which an image says for which version of docs/spec/algorithm-image.md it was made.
var contract = map[string]string{"openflow.contract": "1"}

// inImage is where the program is in its image.
const inImage = "/program"

// imageShown is an image that was made.
type imageShown struct {
	File string `json:"file"`
	ID   string `json:"id"` // of the image: the digest of its configuration
}

func providerImageCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "image PROGRAM FILE",
		Short: "Make an image of a program",
		Long: `Make an archive of an image that holds one static program and nothing else, for provider register. Neither a builder nor a
daemon is needed, and no node is asked. The same program makes the same image. A FILE that is there is replaced.`,
		Example: `  openflow provider image ./acme acme.tar
  openflow provider register acme.tar`,
		Args: positional("PROGRAM", "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := makeImage(args[0], args[1])
			if err != nil {
				return err
			}
			return o.show(c, imageShown{args[1], id}, func(w io.Writer) { line(w, args[1]+" holds image "+id) })
		},
	}
}

// makeImage writes the archive beside its name first, so that whoever reads it finds all of it.
func makeImage(program, file string) (id string, err error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "program for an image: %w", err)
	}
	if err := image.CheckStatic(text); err != nil {
		return "", err
	}
	img, err := image.Build(text, image.Options{Path: inImage, Labels: contract})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".image-")
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "archive of the image: %w", err).WithHint("name a file in a folder that you may write")
	}
	_, err = f.Write(img.Tar)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return "", errors.Join(openflow.Errorf(openflow.CodeInvalid, "archive of the image: %w", err), os.Remove(f.Name()))
	}
	return img.ID, nil
}
