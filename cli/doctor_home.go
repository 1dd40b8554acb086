package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"openflow/site/trust/certificates"
)

// Free space of the home folder's disk, in bytes.
const (
	spaceNeeded  = 128 << 20 // a node does not start with less
	spaceWelcome = 2 << 30
)

// secretFiles are those of a home folder that nobody else may read.
var secretFiles = []string{"node.key", "task.secret", "api.token", "worker.token", certificates.KeyFile}

// examineHome checks the folder, if it is on this machine; its disk too, unless the node has told of it. It changes
// nothing.
func (d *diagnosis) examineHome(home string, insisted, told bool) {
	info, err := os.Stat(home)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !insisted:
		d.add(doubt, "home", "name the node's with --home, if it is on this machine", "no folder %s; its checks are left out", home)
		return
	case err != nil:
		d.add(failed, "home", "name the node's with --home", "%v", err)
		return
	case !info.IsDir():
		d.add(failed, "home", "name the node's with --home", "%s is not a folder", home)
		return
	}
	if d.examineMode("home", home, info, "700") {
		d.add(fine, "home", "", "%s is closed to other users", home)
	}
	d.examineSecrets(home)
	if !told {
		d.examineSpace(home)
	}
}

// examineMode reports whether only the owner can use the file or folder.
func (d *diagnosis) examineMode(name, path string, info fs.FileInfo, mode string) bool {
	perm := info.Mode().Perm()
	if perm&0o077 == 0 {
		return true
	}
	d.add(failed, name, "chmod "+mode+" "+path, "%s is open to other users of this machine (mode %04o)", path, perm)
	return false
}

func (d *diagnosis) examineSecrets(home string) {
	closed := 0
	for _, name := range secretFiles {
		path := filepath.Join(home, name)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			d.add(failed, "secrets", "run it as the node's user", "%v", err)
			continue
		}
		if d.examineMode("secrets", path, info, "600") {
			closed++
		}
	}
	if closed > 0 {
		d.add(fine, "secrets", "", "%d files are closed to other users", closed)
	}
}

func (d *diagnosis) examineSpace(home string) {
	var s unix.Statfs_t
	if err := unix.Statfs(home, &s); err != nil {
		d.add(failed, "disk", "", "free space of %s: %v", home, err)
		return
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // a block size is positive
	status, remedy := fine, ""
	switch {
	case free < spaceNeeded:
		status, remedy = failed, "free space: a node does not start with less than 128 MiB"
	case free < spaceWelcome:
		status, remedy = doubt, "free space: tables, models and logs need it"
	}
	d.add(status, "disk", remedy, "%d MiB are free for %s", free>>20, home)
}
