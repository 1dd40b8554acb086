// Command acme is the program of another provider, for tests. In its component greet, two parties talk. It has one that is called
// like one of ours, noop, and one whose container may stay: stay. Its version is set when it is built.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"openflow"
	"openflow/sdk/component"
)

var version = "1.0.0"

func main() {
	both := []openflow.Role{openflow.RoleGuest, openflow.RoleHost}
	var works func(context.Context) error
	if openflow.CompareVersions(version, "9") >= 0 {
		works = ails
	}
	component.Program{Provider: "acme", Version: version, Components: []component.Component{
		{Name: "greet", Description: "guest and host say hello to each other", Roles: both, Run: greet, Protocols: protocols()},
		{Name: "stay", Description: "says a word, and its container may stay for the next", Roles: both, Parameters: params{}, Run: say, Protocols: component.Alone, Resident: 4, Works: works},
		{
			Name: "tally", Description: "counts the files of a folder", Roles: both, Run: tally, Protocols: component.Alone,
			Inputs: []component.Artifact{{Key: "files", Type: component.Directory}},
		},
		{Name: "noop", Description: "says a word", Roles: both, Parameters: params{}, Run: say, Protocols: component.Alone, Works: works},
	}}.Main()
}

// ails tells whether noop and stay work, from version 9 on: 9.9.9 never does, and no version while there is a file "ails" above the folder
// of its program.
func ails(context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(filepath.Dir(self), "..", "ails"))
	switch {
	case version == "9.9.9":
		return errors.New("this version never works")
	case err == nil:
		return errors.New("it ails")
	}
	return nil
}

// protocols is what greet speaks: versions from 2.0.0 on speak 2, and those before 3.0.0 speak 1.
func protocols() []openflow.Protocol {
	one, two := openflow.Protocol{Name: "acme/greet", Version: "1"}, openflow.Protocol{Name: "acme/greet", Version: "2"}
	switch {
	case openflow.CompareVersions(version, "2") < 0:
		return []openflow.Protocol{one}
	case openflow.CompareVersions(version, "3") < 0:
		return []openflow.Protocol{two, one}
	}
	return []openflow.Protocol{two}
}

type params struct {
	Word  string `json:"word"    required:"true" doc:"what is said"`
	While string `json:"while"                  doc:"a file on whose end it waits before that"`
	Take  int    `json:"take"  min:"0" max:"65536" doc:"MiB of memory that it takes first"`
}

// taken is what a run has taken of the memory.
var taken [][]byte

func greet(ctx context.Context, t *component.Task) error {
	for _, p := range t.Parties() {
		if p == t.Party() {
			continue
		}
		if err := t.Send(ctx, p, "hello", []byte(t.Party().String())); err != nil {
			return err
		}
		heard, err := t.Receive(ctx, p, "hello")
		if err != nil {
			return err
		}
		if err := t.Metric(ctx, component.Metric{Name: "greeting", Data: map[string]string{"from": string(heard), "by": version, "speaks": t.Protocol().String()}}); err != nil {
			return err
		}
	}
	return nil
}

func say(ctx context.Context, t *component.Task) error {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	for range p.Take {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4 << 10 {
			block[i] = 1 // memory that is only reserved counts for nothing
		}
		taken = append(taken, block)
	}
	if p.While != "" {
		fmt.Println("waits")
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(p.While); errors.Is(err, fs.ErrNotExist) { // a container whose memory is used up tells of other errors
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return t.Metric(ctx, component.Metric{Name: "said", Data: map[string]string{"word": p.Word, "by": version}})
}

// tally reads the files of the folder that it is given, and tells how many there are and what they hold.
func tally(ctx context.Context, t *component.Task) (err error) {
	dir, err := t.Directory(ctx, "files")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	held := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		held[filepath.ToSlash(path[len(dir)+1:])] = string(content)
		return err
	})
	if err != nil {
		return err
	}
	return t.Metric(ctx, component.Metric{Name: "files", Data: held})
}
