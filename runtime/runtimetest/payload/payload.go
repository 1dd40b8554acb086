// Package payload is the program that the conformance suite runs as a container: its first argument says what to do.
// The fake runtime calls [Run]; runtime/runtimetest/payload/run wraps it into the executable for the others. It imports
// the standard library only, so that the executable stays small and starts fast.
package payload

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exit codes of the payload itself.
const (
	ExitUsage      = 2   // unknown or malformed arguments
	ExitTerminated = 143 // it was asked to end, by TERM
)

// dialTimeout is how long "dial" tries: a firewall that drops packets answers nothing at all.
const dialTimeout = 2 * time.Second

// Run does what args say and returns the exit code; ctx ends when the program gets TERM.
//
//	exit N        end with code N
//	print N       N numbered lines to each of stdout and stderr
//	env           the environment, sorted, one entry a line
//	args ...      the remaining arguments, one a line
//	hang          print "ready", end with ExitTerminated when asked to
//	stubborn      print "ready", ignore TERM
//	unprepared    print "ready", leave TERM to the Go runtime
//	oom           take memory until stopped
//	dial ADDRESS  connect by TCP; code 0 when something accepted
//	listen PORT   print "ready", and greet everybody who connects by TCP
//	chat ADDRESS  connect by TCP, and say something again and again
//	read FILE     read the file; code 0 when that worked
//	write FILE    create the file; code 0 when that worked
//	status KEY... print these lines of /proc/self/status
func Run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return ExitUsage
	}
	switch what, rest := args[0], args[1:]; what {
	case "exit":
		return number(rest)
	case "print":
		return lines(number(rest), stdout, stderr)
	case "env":
		env = slices.Sorted(slices.Values(env))
		return list(env, stdout)
	case "args":
		return list(rest, stdout)
	case "hang":
		_ = list([]string{"ready"}, stdout) // a lost line fails the test that reads it
		<-ctx.Done()
		return ExitTerminated
	case "stubborn":
		_ = list([]string{"ready"}, stdout)
		select {}
	case "unprepared":
		signal.Reset(syscall.SIGTERM)
		_ = list([]string{"ready"}, stdout)
		select {}
	case "oom":
		return exhaust(ctx)
	case "dial":
		return dial(ctx, rest)
	case "listen":
		return listen(ctx, rest, stdout)
	case "chat":
		return chat(ctx, rest)
	case "read":
		return read(rest)
	case "write":
		return write(rest)
	case "status":
		return status(rest, stdout)
	}
	return ExitUsage
}

func number(args []string) int {
	if len(args) != 1 {
		return ExitUsage
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return ExitUsage
	}
	return n
}

func lines(n int, stdout, stderr io.Writer) int {
	for i := range n {
		if _, err := fmt.Fprintf(stdout, "out %d\n", i); err != nil {
			return 1
		}
		if _, err := fmt.Fprintf(stderr, "err %d\n", i); err != nil {
			return 1
		}
	}
	return 0
}

func list(entries []string, w io.Writer) int {
	for _, e := range entries {
		if _, err := fmt.Fprintln(w, e); err != nil {
			return 1
		}
	}
	return 0
}

// exhaust writes to every page it takes: memory that is only reserved counts for nothing.
func exhaust(ctx context.Context) int {
	var hoard [][]byte
	for ctx.Err() == nil {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		hoard = append(hoard, block)
	}
	return len(hoard) % 2
}

func listen(ctx context.Context, args []string, stdout io.Writer) int {
	if len(args) != 1 {
		return ExitUsage
	}
	l, err := net.Listen("tcp", ":"+args[0])
	if err != nil {
		return 1
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	_ = list([]string{"ready"}, stdout)
	for {
		conn, err := l.Accept()
		if err != nil {
			return ExitTerminated
		}
		_, _ = io.WriteString(conn, "hello\n")
		_ = conn.Close()
	}
}

func chat(ctx context.Context, args []string) int {
	if len(args) != 1 {
		return ExitUsage
	}
	conn, err := net.DialTimeout("tcp", args[0], dialTimeout)
	if err != nil {
		return 1
	}
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for {
		if _, err := io.WriteString(conn, "x"); err != nil {
			return 1
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return ExitTerminated
		}
	}
}

func write(args []string) int {
	if len(args) != 1 {
		return ExitUsage
	}
	if err := os.WriteFile(args[0], nil, 0o600); err != nil {
		return 1
	}
	return 0
}

func read(args []string) int {
	if len(args) != 1 {
		return ExitUsage
	}
	if _, err := os.ReadFile(args[0]); err != nil {
		return 1
	}
	return 0
}

func status(keys []string, stdout io.Writer) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 1
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && slices.Contains(keys, key) {
			_ = list([]string{key + " " + strings.Join(strings.Fields(value), " ")}, stdout) // as in hang
		}
	}
	return 0
}

func dial(ctx context.Context, args []string) int {
	if len(args) != 1 {
		return ExitUsage
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", args[0])
	if err != nil {
		return 1
	}
	_ = conn.Close() // connecting was the question
	return 0
}
