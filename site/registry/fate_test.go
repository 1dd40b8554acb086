package registry

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// An image is taken for FATE-Flow's when nothing says that it keeps our contract, and its command is a Python.
func TestImagesOfFATE(t *testing.T) {
	for name, c := range map[string]struct {
		img  driver.Image
		want string
	}{
		"a wrapper":             {driver.Image{Command: []string{"/venv/bin/python", "/fate_flow/executor.py"}}, "/venv/bin/python"},
		"a version of Python":   {driver.Image{Command: []string{"python3.8", "x.py"}}, "python3.8"},
		"another command":       {driver.Image{Command: []string{"/components"}}, ""},
		"a shell":               {driver.Image{Command: []string{"/bin/sh", "-c", "python x.py"}}, ""},
		"an entry point":        {driver.Image{Entrypoint: []string{"python"}, Command: []string{"python"}}, ""},
		"made for our contract": {driver.Image{Command: []string{"python"}, Labels: map[string]string{contractLabel: "1"}}, ""},
		"nothing":               {driver.Image{}, ""},
	} {
		require.Equal(t, c.want, codeIn(c.img), name)
	}
}
