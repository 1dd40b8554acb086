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

// FolderActor is who has registered what was in the folder, for the audit.
const FolderActor = "components-folder"

// RegisterFolder registers every file of a folder, in the order of their names: programs, and archives of images. What is
// registered already is not asked again. Folders in it and hidden files are passed over. It tells what is registered now, for the
// audit, and what could not be, with the reason. Errors: CodeInvalid (there is no such folder, or it has too many files), the
// context's.
func (g *Registry) RegisterFolder(ctx context.Context, folder string) (made []openflow.ProviderRecord, wrong []string, err error) {
	path, err := filepath.Abs(folder)
	if err != nil {
		return nil, nil, openflow.Errorf(openflow.CodeInvalid, "folder of components %q: %w", folder, err)
	}
	if clean, err := filepath.EvalSymlinks(path); err == nil {
		path = clean // as places of providers are
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, openflow.Errorf(openflow.CodeInvalid, "folder of components: %w", err).WithHint("name one that this node's user may read")
	}
	var files []string
	for _, entry := range list {
		if !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") && !isPaper(entry.Name()) {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	if len(files) > maxFolder {
		return nil, nil, openflow.Errorf(openflow.CodeInvalid, "folder of components %s has %d files, more than %d", path, len(files), maxFolder)
	}
	known, err := g.Rows.Providers(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		r, err := g.Machine.Inspect(ctx, file, "")
		if err == nil && slices.ContainsFunc(known, func(p openflow.ProviderRecord) bool {
			here := p.Place == r.Place && p.Archive == r.Archive
			return p.Kind == r.Kind && p.Digest == r.Digest && (here || p.Place != r.Place && slices.Contains(files, p.Place)) // once is enough
		}) {
			continue
		}
		if err == nil {
			var papers openflow.Papers
			if papers, err = beside(file); err == nil {
				if r, _, err = g.Register(ctx, Registration{What: file, Papers: papers, User: FolderActor}); err == nil {
					made = append(made, r)
				}
			}
		}
		if ctx.Err() != nil {
			return made, wrong, ctx.Err()
		}
		if err != nil {
			wrong = append(wrong, filepath.Base(file)+" is not registered from the folder of components: "+err.Error())
		}
	}
	return made, wrong, nil
}
