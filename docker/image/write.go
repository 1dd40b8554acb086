package image

import (
	"errors"
	"os"
	"path/filepath"

	"openflow"
)

// alone is where the program is in an image that [Write] makes.
const alone = "/program"

// contract is the label in which an image says for which version of the contract of algorithm images it was made.
//
// Spec: algorithm-image §2.
var contract = map[string]string{"openflow.contract": "1"}

// Write makes an image of a static program, as a file that nodes register. It returns the image's ID. What is at the file is
// replaced, and whoever reads it finds all of either. Errors: CodeInvalid.
func Write(program, file string) (id string, err error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "program for an image: %w", err)
	}
	if err := CheckStatic(text); err != nil {
		return "", err
	}
	img, err := Build(text, Options{Path: alone, Labels: contract})
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
