package doctor

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"openflow"
)

// Space is a file system. Inodes are zero where it has no fixed number of them.
type Space struct {
	Free, FreeInodes, Inodes uint64
	Err                      error
}

// Free space of the home folder's disk, in bytes.
const (
	spaceNeeded  = 128 << 20 // a node takes nothing new with less
	spaceWelcome = 2 << 30
)

// Disk checks room for data.
func Disk(s Space) openflow.Finding {
	detail := fmt.Sprintf("%d MiB are free for the home folder", s.Free>>20)
	switch {
	case s.Err != nil:
		return fail("disk", fmt.Sprint(s.Err), "check that the home folder's disk is mounted")
	case s.Free < spaceNeeded:
		return fail("disk", detail, "free space: without 128 MiB nothing new is taken on")
	case s.Free < spaceWelcome:
		return warn("disk", detail, "free space: tables, models and logs need it")
	}
	return ok("disk", detail)
}

// Inodes checks room for files: objects and messages are many small ones.
func Inodes(s Space) openflow.Finding {
	if s.Inodes == 0 || s.Err != nil {
		return ok("inodes", "this file system has no fixed number of files")
	}
	left := float64(s.FreeInodes) / float64(s.Inodes) * 100
	detail := fmt.Sprintf("room for %d more files (%.0f %%)", s.FreeInodes, left)
	switch {
	case s.FreeInodes < 1000:
		return fail("inodes", detail, "remove small files on this disk, or make the file system anew with more inodes")
	case left < 5:
		return warn("inodes", detail, "remove small files on this disk before there is no room for objects")
	}
	return ok("inodes", detail)
}

// slowSync is a disk on which every job would feel each commit.
const slowSync = 250 * time.Millisecond

// Sync checks that the disk takes what is written, for good.
func Sync(took time.Duration, err error) openflow.Finding {
	switch {
	case err != nil:
		return fail("fsync", fmt.Sprintf("the home folder's disk does not take a write: %v", err), "check the disk, its mount and its space (dmesg)")
	case took > slowSync:
		return warn("fsync", fmt.Sprintf("a write needs %s to be on the disk", took.Round(time.Millisecond)),
			"use a local disk; network disks make every step of a job slow")
	}
	return ok("fsync", fmt.Sprintf("a write is on the disk after %s", took.Round(100*time.Microsecond)))
}

// WriteFile writes, syncs and removes a small file, for [Sync].
func WriteFile(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, "doctor-")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err = f.WriteString("openflow doctor\n"); err == nil {
		err = f.Sync()
	}
	took = time.Since(begin)
	if e := f.Close(); err == nil {
		err = e
	}
	if e := os.Remove(f.Name()); err == nil {
		err = e
	}
	return took, err
}

// Home checks the layout of the home folder.
func Home(format, newest int) openflow.Finding {
	if format < newest {
		return warn("home format", fmt.Sprintf("its format is %d, this version writes %d", format, newest), "restart the node: it brings the folder up to date")
	}
	return ok("home format", fmt.Sprintf("has format %d", format))
}

// OwnKey checks the node's key: that the file is closed to others and still holds the key that the node signs with.
func OwnKey(info fs.FileInfo, stored, running string, err error) openflow.Finding {
	switch {
	case err != nil:
		return fail("own key", fmt.Sprint(err), "restore node.key from a backup before the node is restarted")
	case info.Mode().Perm()&0o077 != 0:
		return fail("own key", fmt.Sprintf("node.key is open to other users (mode %04o)", info.Mode().Perm()),
			"chmod 600 node.key; if somebody may have read it, make a new one and give it to every peer")
	case stored != running:
		return fail("own key", "node.key is not the key that this node runs with",
			"restore the file, or restart and give the new key to every peer: openflow site rotate")
	}
	return ok("own key", "node.key is closed to other users and in use")
}

// Policy checks the site's policy file: that the next start can read it, and that it is what the node goes by. file is
// empty where there is none.
func Policy(file string, changed bool, err error) openflow.Finding {
	switch {
	case err != nil:
		return fail("policy", fmt.Sprint(err), "mend the file (openflow policy check FILE): the node would not start again with it")
	case changed:
		return warn("policy", "the policy file has changed since the node started and is not in force", "restart the node; openflow policy show tells what it goes by")
	case file == "":
		return ok("policy", "there is no policy file: the defaults hold")
	}
	return ok("policy", file+" is in force")
}

// Components checks the algorithms' binary.
func Components(path string, err error) openflow.Finding {
	if err != nil {
		return fail("components", fmt.Sprint(err), "put openflow-components beside openflow, or name it with --components; then restart the node")
	}
	return ok("components", "algorithms come from "+path)
}

// Providers checks the programs of further providers, of which err says what is wrong. What of them is exposed runs with all
// that the node's user may do.
func Providers(wrong map[openflow.ProviderRef]error, exposed map[openflow.ProviderRef]bool) []openflow.Finding {
	if len(wrong) == 0 {
		return []openflow.Finding{ok("providers", "no provider is registered beside the built-in one")}
	}
	var list []openflow.Finding
	for _, ref := range slices.SortedFunc(maps.Keys(wrong), func(a, b openflow.ProviderRef) int { return strings.Compare(a.String(), b.String()) }) {
		check := "provider " + ref.String()
		if err := wrong[ref]; err != nil {
			remedy := "put back what was registered; until then its runs fail here"
			if openflow.CodeOf(err) == openflow.CodePermission {
				remedy = "its runs fail here; see docs/providers.md on trust"
			}
			list = append(list, fail(check, fmt.Sprint(err), remedy))
			continue
		}
		if exposed[ref] {
			list = append(list, warn(check, "its program runs as the node's user, and can read the node's key: this runtime isolates nothing, and --trust-provider names it",
				"use --runtime docker, and leave --trust-provider out"))
			continue
		}
		list = append(list, ok(check, "what it runs is what was registered"))
	}
	return list
}

// Orphans checks for containers of this node that no run needs. The sweep of every minute removes them.
func Orphans(names []string) openflow.Finding {
	if len(names) == 0 {
		return ok("orphans", "every container belongs to a run")
	}
	return warn("orphans", fmt.Sprintf("%d containers belong to no run: %s", len(names), few(names)),
		"they are removed within a minute; if not, read the node's log and remove them by hand")
}

// few is a list that fits a line.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
