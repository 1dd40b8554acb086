// Command toyprogram is a provider's program whose containers speak the toy of docs/add-a-dialect.md, and nothing else. It has
// one component, toil, which ends as its parameter says.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"openflow/sdk/httpclient"
)

func main() {
	switch os.Args[1] {
	case "list":
		fmt.Println(`{"buildin": ["toil"], "thirdparty": []}`)
	case "desc":
		fmt.Println(`{"component": {"name": "toil", "provider": "toilers", "version": "1.0.0", "roles": ["guest", "host"],
			"parameters": {"word": {"default": "done", "optional": true, "type_meta": {"type": "string"}}},
			"output_artifacts": {"metric": {"metric": {"optional": true, "stages": ["default"]}}}}, "schema_version": "v1"}`)
	case "run":
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func run() error {
	var work struct {
		Party      string
		Component  string
		Parameters struct{ Word string }
		Report     string
		Credential string
	}
	if err := json.Unmarshal([]byte(os.Getenv("TOY")), &work); err != nil {
		return fmt.Errorf("nobody told me my work: %w", err)
	}
	if told := os.Getenv("CONFIG"); told != "" {
		return fmt.Errorf("somebody speaks another dialect: %s", told)
	}
	fmt.Println(work.Party, "does", work.Component)
	word := work.Parameters.Word
	if word == "" {
		word = "done"
	}
	body, err := json.Marshal(map[string]string{"word": word})
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, work.Report, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+work.Credential)
	answer, err := httpclient.New(httpclient.Options{}).Do(r)
	if err != nil {
		return err
	}
	var said struct{ No *struct{ Message string } }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.No != nil {
		return fmt.Errorf("the node says %v, %w", said.No, err)
	}
	return answer.Body.Close()
}
