package registry

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"openflow"
)

// ProbeEvery is how often a node looks whether the images of its providers are there, and which probes are due.
const ProbeEvery = 10 * time.Second

// maxFolder is how many files of a folder are registered.
const maxFolder = 200

// folderUser is who has registered what was in the folder.
const folderUser = "components-folder"

// RegisterFolder registers every file of a folder, in the order of their names: programs, and archives of images. What is
// registered already is not asked again. Folders in it and hidden files are passed over. It tells what could not be registered, and why. Errors: CodeInvalid (there is no such folder,
// or it has too many files), the context's.
func (g *Registry) RegisterFolder(ctx context.Context, folder string) (wrong []string, err error) {
	path, err := filepath.Abs(folder)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "folder of components %q: %w", folder, err)
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "folder of components: %w", err).WithHint("name one that this node's user may read")
	}
	var files []string
	for _, entry := range list {
		if !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && !isPaper(entry.Name()) {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	if len(files) > maxFolder {
		return nil, openflow.Errorf(openflow.CodeInvalid, "folder of components %s has %d files, more than %d", path, len(files), maxFolder)
	}
	known, err := g.Rows.Providers(ctx)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		r, err := g.Machine.Inspect(ctx, file)
		if err == nil && slices.ContainsFunc(known, func(p openflow.ProviderRecord) bool {
			return p.Place == r.Place && p.Digest == r.Digest && p.Archive == r.Archive
		}) {
			continue
		}
		if err == nil {
			var papers openflow.Papers
			if papers, err = beside(file); err == nil {
				_, _, err = g.Register(ctx, Registration{What: file, Papers: papers, User: folderUser})
			}
		}
		if ctx.Err() != nil {
			return wrong, ctx.Err()
		}
		if err != nil {
			wrong = append(wrong, "not registered from the folder of components: "+err.Error())
		}
	}
	return wrong, nil
}
