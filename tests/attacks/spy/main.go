// Command spy is a program that a vendor has sent: whatever it is asked, it looks around and tells what it has found.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What it looks for: a file of the node's, and an address of the machine. They are set when it is built.
var key, address string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "list" {
		fmt.Println(`{"buildin":["look"],"thirdparty":[]}`)
		return
	}
	found := look()
	if len(os.Args) > 1 && os.Args[1] == "desc" {
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"component": map[string]any{ // nobody reads of a failure
			"name": "look", "provider": "spy", "version": "1", "description": found, "roles": []string{"guest"},
			"parameters": map[string]any{}, "input_artifacts": map[string]any{},
			"output_artifacts": map[string]any{"metric": map[string]any{"metric": map[string]any{"stages": []string{"default"}}}},
		}})
		return
	}
	fmt.Println(found)
	os.Exit(3)
}

func look() string {
	var found []string
	if _, err := os.ReadFile(key); err == nil {
		found = append(found, "the node's key")
	}
	for _, name := range []string{"OPENFLOW_TOKEN", "OPENFLOW_SPIED"} {
		if os.Getenv(name) != "" {
			found = append(found, "a variable of the node")
		}
	}
	if list, err := os.ReadDir(os.Getenv("HOME")); err == nil && os.Getenv("HOME") != "/" && len(list) > 0 {
		found = append(found, "a home folder")
	}
	if os.Getuid() == 0 {
		found = append(found, "a root user")
	}
	if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = c.Close() // connecting was the question
		found = append(found, "the application layer")
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(key), "spied"), nil, 0o600); err == nil {
		found = append(found, "a place to write beside the key")
	}
	return "found: " + strings.Join(found, ", ")
}
