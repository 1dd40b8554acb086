package trust

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Root is sent to the owner and never told to take what is a service's; another user may have it given.
func TestWhatToDoAboutAFileOfAnotherUser(t *testing.T) {
	const nobodys, nameless = 65534, 4711001
	for name, c := range map[string]struct {
		owner uint32
		me    int
		says  string
		gives bool
	}{
		"root":                    {nobodys, 0, "sudo -u 'nobody' before the command", false},
		"root, an owner no more":  {nameless, 0, "sudo -u '#4711001'", false},
		"a user":                  {nobodys, 1000, "sudo -u 'nobody'", true},
		"a user, an owner so too": {nameless, 1000, "sudo -u '#4711001'", true},
	} {
		t.Run(name, func(t *testing.T) {
			text := leave("/h/node.key", c.owner, c.me)
			require.Contains(t, text, c.says)
			if c.gives {
				require.Contains(t, text, "sudo chown -R 1000 /h/node.key")
			} else {
				require.NotContains(t, text, "chown")
			}
		})
	}
}
