// Package postgrestest gives tests a PostgreSQL server of their own: one per test process, started when the first test
// asks for a database, and gone with the process, however that ends.
//
// A test package calls [Stop] from its TestMain. Tests take a database by [Database]; one that stops or restarts the
// server takes a server to itself by [Start]. Where PostgreSQL is not installed, tests fail: tests/services/postgres.sh
// installs it.
package postgrestest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"openflow/temporal/loopback"
)

const (
	superuser = "openflow"
	password  = "a-test's/p@ss+word?" // with what a URL must escape
	within    = 3 * time.Minute       // for the server to start or stop; the machine may be busy
)

var (
	sharedMu sync.Mutex
	shared   *Server
)

// Database makes an empty database on the server of this test process and returns its URL, postgres://…
func Database(tb testing.TB) string {
	tb.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared == nil {
		s, err := newServer(nil)
		if err != nil {
			tb.Fatal(err)
		}
		shared = s
	}
	return shared.Database(tb)
}

// Stop ends the server of this test process, if a test has started it, and removes its folder.
func Stop() {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared != nil {
		_ = shared.remove() // tests are over: nobody to tell
		shared = nil
	}
}

// Server is a PostgreSQL server on loopback, with its data in a temporary folder.
type Server struct {
	bin, dir  string
	files     *Files // nil: it speaks no TLS
	port      int
	databases atomic.Int64

	mu      sync.Mutex
	process *process // nil while it is stopped
}

// Start runs a server for one test, which may stop and start it again.
func Start(tb testing.TB) *Server { return begin(tb, nil) }

// Files are PEM files for a server that speaks TLS.
type Files struct {
	Certificate, Key string
	Callers          string // authority of those who must show a certificate; empty: nobody must
}

// StartTLS is [Start] for a server that speaks TLS to those who want it.
func StartTLS(tb testing.TB, f Files) *Server { return begin(tb, &f) }

func begin(tb testing.TB, f *Files) *Server {
	tb.Helper()
	s, err := newServer(f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func newServer(f *Files) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "openflow-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, files: f}
	if err = s.initialize(); err == nil {
		err = s.startAnywhere()
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// programs finds the folder of initdb and postgres: Debian keeps them out of the search path.
func programs() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed; run: bash tests/services/postgres.sh")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// initialize makes the server's files. The server refuses to run as root, so they belong to whom [account] names.
func (s *Server) initialize() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return err
	}
	as, err := account()
	if err != nil {
		return err
	}
	if as != nil {
		if err := errors.Join(os.Chown(s.dir, int(as.Uid), int(as.Gid)), os.Chown(secret, int(as.Uid), int(as.Gid))); err != nil {
			return err
		}
	}
	c := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", superuser, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.files == nil {
		return nil
	}
	return s.encrypt(as)
}

// encrypt gives the server its files, as its own: it refuses others' keys. Who comes without TLS is let in by the password alone.
func (s *Server) encrypt(as *syscall.Credential) error {
	rules := "hostnossl all all all scram-sha-256\nhostssl all all all scram-sha-256"
	settings := "ssl=on\nssl_cert_file='server.pem'\nssl_key_file='server.key'\n"
	files := map[string]string{"server.pem": s.files.Certificate, "server.key": s.files.Key}
	if s.files.Callers != "" {
		rules += " clientcert=verify-ca"
		settings += "ssl_ca_file='callers.pem'\n"
		files["callers.pem"] = s.files.Callers
	}
	texts := map[string]string{"pg_hba.conf": rules + "\n", "postgresql.auto.conf": settings}
	for name, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		texts[name] = string(text)
	}
	for name, text := range texts {
		path := filepath.Join(s.data(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if as == nil {
			continue
		}
		if err := os.Chown(path, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	return nil
}

// startAnywhere starts the server for the first time, at another port where somebody else was faster.
func (s *Server) startAnywhere() error {
	const attempts = 3
	var failed error
	for range attempts {
		ports, err := loopback.FreePorts(1, nil)
		if err != nil {
			return err
		}
		s.port = ports[0]
		if failed = s.start(); failed == nil || s.process == nil || !s.process.ended() {
			return failed
		}
	}
	return failed
}

func (s *Server) start() error {
	c := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir, "-h", "127.0.0.1",
		"-p", strconv.Itoa(s.port), "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "autovacuum=off")
	c.Dir = s.dir
	p, err := launch(c, filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	s.process = p
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(within)
	for {
		err := db.Ping() //nolint:noctx // bounded by the deadline
		switch {
		case err == nil:
			return nil
		case p.ended():
			return fmt.Errorf("postgres ended: %s", p.output())
		case time.Now().After(deadline):
			return fmt.Errorf("postgres does not answer: %w\n%s", err, p.output())
		}
		time.Sleep(20 * time.Millisecond) // between two looks; it has no way to tell us
	}
}

// URL is the address of a database of the server, with user and password.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), RawQuery: "sslmode=disable"}
	return u.String()
}

// Password is the secret in every URL, which no error or log may contain.
func (s *Server) Password() string { return password }

// Database makes an empty database and returns its URL. It is not dropped: the whole server goes.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(tb.Context(), "create database "+name+" template template0"); err != nil {
		tb.Fatal(err)
	}
	return s.URL(name)
}

// Stop ends the server as an administrator would who is in a hurry: connections are cut, nothing is lost.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.stop(); err != nil {
		tb.Fatal(err)
	}
}

// Restart starts a stopped server again, on its port and data.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.end(within)
	s.process = nil
	return err
}

func (s *Server) remove() error {
	return errors.Join(s.stop(), os.RemoveAll(s.dir))
}
