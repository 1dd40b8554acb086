package doctor

import (
	"cmp"
	"errors"
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
	spaceGone    = 16 << 20  // a database may not be able to write with less
	spaceNeeded  = 128 << 20 // a node takes nothing new with less
	spaceWelcome = 2 << 30
)

// Disk checks room for data.
func Disk(s Space) openflow.Finding {
	detail := fmt.Sprintf("%d MiB are free for the home folder", s.Free>>20)
	switch {
	case s.Err != nil:
		return fail("disk", fmt.Sprint(s.Err), "check that the home folder's disk is mounted")
	case s.Free < spaceGone:
		return fail("disk", detail, "free space: stop jobs and delete tables; where that fails for lack of space, restart the node, which then gives up the rest of its reserve")
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
// empty where there is none. folder says why nothing can be compared with the vulnerabilities that it names.
func Policy(file string, changed bool, err, folder error) openflow.Finding {
	switch {
	case err != nil:
		return fail("policy", fmt.Sprint(err), "mend the file (openflow policy check FILE): the node would not start again with it")
	case changed:
		return warn("policy", "the policy file has changed since the node started and is not in force", "restart the node; openflow policy show tells what it goes by")
	case folder != nil:
		detail, remedy := folder.Error(), "put the folder back, or leave images.vulnerabilities out of the policy"
		var said *openflow.Error
		if errors.As(folder, &said) && said.Hint != "" {
			bare := *said
			bare.Hint = ""
			detail, remedy = bare.Error(), said.Hint
		}
		return fail("policy", detail, remedy)
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

// Provider is what is known of a further provider.
type Provider struct {
	Wrong   error // with what it runs
	Refused error // by the policy, or because that cannot be applied
	Exposed bool  // it runs with all that the node's user may do
}

// Providers checks further providers.
func Providers(known map[openflow.ProviderRef]Provider) []openflow.Finding {
	if len(known) == 0 {
		return []openflow.Finding{ok("providers", "no provider is registered beside the built-in one")}
	}
	var list []openflow.Finding
	for _, ref := range slices.SortedFunc(maps.Keys(known), func(a, b openflow.ProviderRef) int { return strings.Compare(a.String(), b.String()) }) {
		check := "provider " + ref.String()
		if err := cmp.Or(known[ref].Wrong, known[ref].Refused); err != nil {
			remedy := "put back what was registered; until then its runs fail here"
			switch {
			case openflow.CodeOf(err) == openflow.CodePermission:
				remedy = "its runs fail here; see docs/providers.md on trust"
			case known[ref].Wrong == nil:
				remedy = "until that is mended, its runs fail here; see docs/policy.md"
			}
			list = append(list, fail(check, fmt.Sprint(err), remedy))
			continue
		}
		if known[ref].Exposed {
			list = append(list, warn(check, "its program runs as the node's user, and can read the node's key: this runtime isolates nothing, and --trust-provider names it",
				"use --runtime docker, and leave --trust-provider out"))
			continue
		}
		list = append(list, ok(check, "what it runs is what was registered"))
	}
	return list
}

// Failed tells of the components that have failed, of each provider and reason once. Those that it does not fail are passed over.
func Failed(list []openflow.ComponentRecord) []openflow.Finding {
	type why struct {
		of     openflow.ProviderRef
		reason string
	}
	names := map[why][]string{}
	for _, c := range list {
		if c.Standing.State == openflow.ComponentFailed {
			key := why{c.Provider, c.Standing.Reason}
			names[key] = append(names[key], c.Name)
		}
	}
	var found []openflow.Finding
	for _, key := range slices.SortedFunc(maps.Keys(names), func(a, b why) int {
		return cmp.Or(strings.Compare(a.of.String(), b.of.String()), strings.Compare(a.reason, b.reason))
	}) {
		slices.Sort(names[key])
		found = append(found, fail("components of "+key.of.String(), fmt.Sprintf("%s: FAILED, no new jobs: %s", few(names[key]), key.reason),
			"they are loaded by themselves once that is mended; openflow component show says how each stands"))
	}
	return found
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
