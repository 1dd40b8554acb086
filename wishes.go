package openflow

// Wishes are what a component asks for beyond what every container has: a place to compute, and the base layer of its node.
// The site's policy says what it gets of that; see site/approval.
type Wishes struct {
	Capabilities []string // of Linux, such as NET_BIND_SERVICE
	Mounts       []string // paths in the container at which it expects files of the site
	Networks     []string // of the site's runtime
	Environment  []string // names of variables whose values the site gives
	Cores        int      // at least; 0: what the run has
	Memory       int64    // bytes, at least
	Processes    int      // and threads, at least
	Disk         int64    // bytes that it writes, at least
}

// Mount is a folder or file of a machine that a container reads.
type Mount struct {
	Host      string // whole path on the machine
	Container string // whole path in the container
}

// Confinement is what a container may have, as its site's policy says.
type Confinement struct {
	Capabilities []string
	Mounts       []Mount // read-only
	Networks     []string
	Environment  []string // "NAME=value"
	Cores        int      // at most, like what follows; 0: no bound
	Memory       int64    // bytes
	Processes    int64
	Disk         int64
	Log          int64
	Stored       int64
}

// Vulnerability is a known weakness of something that an image or program is made of.
type Vulnerability struct {
	ID       string
	Aliases  []string // what others call it
	Package  string   // "Go golang.org/x/net", "Debian openssl", "PyPI requests"
	Version  string   // that is there
	Severity Severity // empty: nobody has rated it
	Fixed    []string // versions in which it is mended; none: nobody has yet
	Summary  string
}
