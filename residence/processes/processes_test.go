//go:build linux

package processes_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/residence"
	"openflow/residence/processes"
)

// The test's own program is the server, its runs, and what they start.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		os.Exit(m.Run())
	}
	roles := map[string]func() int{"server": serve, "run": run, "linger": linger, "double": double}
	os.Exit(roles[os.Args[1]]())
}

func serve() int {
	f, err := processes.Serve(os.Args[0], "run")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(l.Addr())
	_ = http.Serve(l, residence.New(os.Getenv(residence.Key), 8, f.Start))
	return 1
}

// run does what its variable DO says.
func run() int {
	if os.Getenv("DO") == "slow" { // to settle
		fmt.Println(os.Getpid())
		return endure()
	}
	if err := processes.Settle(); err != nil {
		fmt.Println(err)
		return 99
	}
	switch do, with, _ := strings.Cut(os.Getenv("DO"), " "); do {
	case "tell":
		fmt.Println(strings.Join(os.Environ(), "\n"))
		fmt.Fprintln(os.Stderr, os.Getpid(), os.Getppid())
		return 7
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		return endure()
	case "write":
		if err := os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), "left"), nil, 0o600); err != nil {
			return 1
		}
		fmt.Println(os.Getenv("TMPDIR"))
	case "worth":
		text, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			return 1
		}
		fmt.Print(string(text))
	case "leave": // and end
		return start("linger")
	case "hang":
		return max(start("double"), wait())
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		if start("linger") == 0 {
			fmt.Println("ready", os.Getpid())
			return endure()
		}
	case "peek":
		_, err := os.ReadFile("/proc/" + with + "/environ")
		fmt.Println(errors.Is(err, os.ErrPermission))
	}
	return 0
}

// start lets something run in a session of its own, and waits until it has said that it does.
func start(role string) int {
	cmd := exec.Command(os.Args[0], role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	heard, err := cmd.StdoutPipe()
	if err != nil {
		return 98
	}
	cmd.Stderr = os.Stderr // it holds that of the run
	if err := cmd.Start(); err != nil {
		return 98
	}
	line, err := bufio.NewReader(heard).ReadString('\n')
	if err != nil {
		return 98
	}
	fmt.Print(line)
	return 0
}

func wait() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("ready", os.Getpid())
	<-term
	return 143
}

// linger ignores what it is asked, and does not end by itself.
func linger() int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	fmt.Println(os.Getpid())
	return endure()
}

// endure lasts until a signal ends the process. A select without cases is an error to the runtime where nothing else goes on.
func endure() int {
	for {
		_ = syscall.Pause() // a signal that is ignored
	}
}

// double starts what lingers, and leaves it to whom it may concern.
func double() int { return start("linger") }

type server struct {
	base, program string
	pid           int
}

// begin starts a server, as the user nobody where the test may do that.
func begin(t *testing.T) server {
	dir, err := os.MkdirTemp("", "processes-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	s := server{program: filepath.Join(dir, "program")}
	require.NoError(t, os.WriteFile(s.program, text, 0o755))
	cmd := exec.Command(s.program, "server")
	cmd.Env = []string{residence.Key + "=k", residence.Address + "=x", "OF_THE_IMAGE=1", "TMPDIR=" + dir}
	cmd.Stderr = os.Stderr
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	s.base, s.pid = "http://"+strings.TrimSpace(line)+"/v1/runs", cmd.Process.Pid
	return s
}

func (s server) call(t *testing.T, method, path, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer k")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Less(t, answer.StatusCode, 300, string(text))
	return string(text)
}

// run starts a run; ready waits until it has written so many lines.
func (s server) run(t *testing.T, id, do string) {
	t.Helper()
	s.call(t, "PUT", "/"+id, `{"environment":{"DO":"`+do+`"}}`)
}

func (s server) lines(t *testing.T, id string, n int) []string {
	t.Helper()
	var lines []string
	require.Eventually(t, func() bool {
		lines = strings.Fields(s.call(t, "GET", "/"+id+"/log?stream=stdout", ""))
		return len(lines) >= n
	}, time.Minute, time.Millisecond)
	return lines
}

func (s server) end(t *testing.T, id string) residence.Run {
	t.Helper()
	var one residence.Run
	require.NoError(t, json.Unmarshal([]byte(s.call(t, "GET", "/"+id+"?wait=60", "")), &one))
	require.Equal(t, residence.Ended, one.State)
	return one
}

// gone reports whether there is no such process, not even one that nobody has waited for.
func gone(t *testing.T, pid string) bool {
	n, err := strconv.Atoi(pid)
	require.NoError(t, err)
	return errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}

func TestARunHasItsOwnVariablesOnly(t *testing.T) {
	s := begin(t)
	s.call(t, "PUT", "/a", `{"environment":{"DO":"tell","CONFIG":"{}"}}`)
	require.Equal(t, 7, s.end(t, "a").ExitCode)
	said := s.lines(t, "a", 1)
	require.Subset(t, said, []string{"DO=tell", "CONFIG={}", "OF_THE_IMAGE=1"})
	for _, entry := range said {
		name, _, _ := strings.Cut(entry, "=")
		require.NotContains(t, []string{residence.Key, residence.Address}, name)
	}
	require.Regexp(t, `^\d+ `+strconv.Itoa(s.pid)+`\n$`, s.call(t, "GET", "/a/log?stream=stderr", ""))
}

func TestOneRunEndsNoOther(t *testing.T) {
	s := begin(t)
	s.run(t, "other", "hang")
	others := s.lines(t, "other", 3)
	s.run(t, "crashes", "crash")
	require.Equal(t, 137, s.end(t, "crashes").ExitCode)

	s.run(t, "leaves", "leave")
	require.Zero(t, s.end(t, "leaves").ExitCode)
	require.True(t, gone(t, s.lines(t, "leaves", 1)[0]), "what it has left ends with it")

	s.run(t, "stubborn", "stubborn")
	left := s.lines(t, "stubborn", 3)
	s.call(t, "POST", "/stubborn/stop", `{"grace":1}`)
	require.Equal(t, 137, s.end(t, "stubborn").ExitCode)
	require.True(t, gone(t, left[0]))

	require.False(t, gone(t, others[0]), "what another run has started goes on")
	s.call(t, "POST", "/other/stop", `{"grace":60000}`)
	require.Equal(t, 143, s.end(t, "other").ExitCode)
	require.True(t, gone(t, others[0]))
}

func TestAFolderForEachRun(t *testing.T) {
	s := begin(t)
	for _, id := range []string{"a", "b"} {
		s.run(t, id, "write")
		require.Zero(t, s.end(t, id).ExitCode)
	}
	a, b := s.lines(t, "a", 1)[0], s.lines(t, "b", 1)[0]
	require.NotEqual(t, a, b)
	require.NoDirExists(t, a)
	require.NoDirExists(t, b)
}

// A run reads neither the secret of its container nor the credential of another run.
func TestSecretsAreNotRead(t *testing.T) {
	s := begin(t)
	s.run(t, "other", "hang")
	other := s.lines(t, "other", 3)[2]
	s.run(t, "slow", "slow")
	slow := s.lines(t, "slow", 1)[0] // the moment between its start and Settle lasts
	for i, pid := range []string{strconv.Itoa(s.pid), other, slow} {
		id := "peeks" + strconv.Itoa(i)
		s.run(t, id, "peek "+pid)
		require.Zero(t, s.end(t, id).ExitCode)
		require.Equal(t, []string{"true"}, s.lines(t, id, 1))
	}
	for _, id := range []string{"other", "slow"} {
		s.call(t, "POST", "/"+id+"/stop", `{"grace":1}`)
		s.end(t, id)
	}
}

// Where memory runs out, the kernel takes a run, and not the server.
func TestWhatTheKernelTakesFirst(t *testing.T) {
	s := begin(t)
	worth := func() string {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/oom_score_adj")
		require.NoError(t, err)
		return string(text)
	}
	before := worth()
	s.run(t, "a", "worth")
	require.Zero(t, s.end(t, "a").ExitCode)
	require.Equal(t, []string{"1000"}, s.lines(t, "a", 1))
	require.Equal(t, before, worth())
}
