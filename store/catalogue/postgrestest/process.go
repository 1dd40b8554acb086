package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// account is whom the server runs as: nil for ourselves, or, when we are root, Debian's postgres or else nobody.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// process is a running server.
type process struct {
	command *exec.Cmd
	log     string
	done    chan struct{}
}

// launch starts c so that the kernel ends it when this process dies without having done so. The kernel watches the
// thread that started it, which therefore stays until the end.
func launch(c *exec.Cmd, log string) (*process, error) {
	as, err := account()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGINT}
	p := &process{command: c, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer out.Close()
		defer close(p.done)
		err := c.Start()
		started <- err
		if err == nil {
			_ = c.Wait() // how it ended is in its log
		}
	}()
	return p, <-started
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// end asks for a fast shutdown and kills what has not followed in time.
func (p *process) end(within time.Duration) error {
	_ = p.command.Process.Signal(syscall.SIGINT) // it may have ended by itself
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		_ = p.command.Process.Kill() // it has just been found alive
		<-p.done
		return fmt.Errorf("postgres did not stop: %s", p.output())
	}
}
