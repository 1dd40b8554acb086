package doctor

import (
	"fmt"
	"io/fs"
	"os"
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
	spaceNeeded  = 128 << 20 // a node does not start with less
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
		return fail("components", fmt.Sprint(err), "put openflow-components beside openflow, or name it with --components")
	}
	return ok("components", "algorithms come from "+path)
}

// Docker is what the Docker daemon looks like from the node. A node with another runtime has no use for it.
type Docker struct {
	Used        bool
	Err         error // the daemon does not answer
	Engine, API string
	Image       string
	HasImage    bool
	Network     string
	Firewalled  bool     // rules keep containers from everything but the base layer
	Firewall    error    // why not
	Reachable   []string // what containers reach on this host without the rules
}

// oldestAPI is the first API version that the client speaks with: Docker 19.03.
const oldestAPI = "1.40"

// Examine makes the checks of the daemon.
func (d Docker) Examine() []openflow.Finding {
	if !d.Used {
		return []openflow.Finding{warn("isolation", "the process runtime isolates nothing: tasks run as the node's user",
			"use --runtime docker for algorithms and partners that are not trusted")}
	}
	if d.Err != nil {
		return []openflow.Finding{fail("docker", fmt.Sprint(d.Err), "start the Docker daemon: running jobs wait for it")}
	}
	return []openflow.Finding{d.daemon(), d.image(), d.network()}
}

func (d Docker) daemon() openflow.Finding {
	detail := fmt.Sprintf("Docker %s answers (API %s)", d.Engine, d.API)
	if olderAPI(d.API) {
		return fail("docker", detail, "update Docker to 19.03 or later")
	}
	return ok("docker", detail)
}

func olderAPI(version string) bool {
	var a, b, x, y int
	if _, err := fmt.Sscanf(version, "%d.%d", &a, &b); err != nil {
		return false // a version that is written otherwise is newer
	}
	_, _ = fmt.Sscanf(oldestAPI, "%d.%d", &x, &y) // a constant
	return a < x || a == x && b < y
}

func (d Docker) image() openflow.Finding {
	if !d.HasImage {
		return fail("image", "the daemon has lost the algorithms' image "+d.Image, "restart the node: it loads the image again")
	}
	return ok("image", "the algorithms' image is there")
}

func (d Docker) network() openflow.Finding {
	switch {
	case d.Firewalled:
		return ok("network", "containers reach the base layer and nothing else: the network "+d.Network+" is internal, and rules close this host")
	case len(d.Reachable) == 0 && d.Firewall != nil:
		return warn("network", fmt.Sprintf("no rules close this host (%v); nothing else listens where containers could reach it", d.Firewall),
			"let the node run with CAP_NET_ADMIN, so that it stays so")
	}
	return warn("network", fmt.Sprintf("no rules close this host (%v); containers reach %s", d.Firewall, strings.Join(d.Reachable, ", ")),
		"let the node run with CAP_NET_ADMIN, or bind what is listed to 127.0.0.1")
}

// Networks checks for those that nodes have left on this machine's daemon: gone are the ones whose home is no more,
// others those of all other nodes. A daemon has room for a limited number, thirty where it may choose the addresses.
func Networks(gone []string, others int) openflow.Finding {
	switch {
	case len(gone) > 0:
		return warn("networks", fmt.Sprintf("%d container networks belong to nodes that are gone: %s", len(gone), few(gone)),
			"openflow uninstall --gone removes them with their firewall rules, as does the next start of a node")
	case others > manyNetworks:
		return warn("networks", fmt.Sprintf("%d container networks belong to other nodes on this daemon", others),
			"of nodes that are no longer used: openflow uninstall --home DIR, or docker network rm")
	}
	return ok("networks", fmt.Sprintf("%d container networks belong to other nodes, none to one that is gone", others))
}

// manyNetworks is when a daemon may soon have no room for more.
const manyNetworks = 20

// Orphans checks for containers of this node that no run needs. The sweep of every minute removes them.
func Orphans(names []string) openflow.Finding {
	if len(names) == 0 {
		return ok("orphans", "every container belongs to a run")
	}
	return warn("orphans", fmt.Sprintf("%d containers belong to no run: %s", len(names), few(names)),
		"they are removed within a minute; if not, read the node's log and remove them with docker rm")
}

// few is a list that fits a line.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
