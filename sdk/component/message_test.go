package component_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
)

const (
	pathPush   = "/v1/interconn/chan/push"
	pathPop    = "/v1/interconn/chan/pop"
	pathStatus = "/v2/worker/task/status"
)

// at makes a component whose parties run different functions.
func at(roles map[openflow.Role]func(context.Context, *component.Task) error) component.Component {
	c := component.Component{Name: "test", Run: func(ctx context.Context, t *component.Task) error { return roles[t.Role()](ctx, t) }}
	for r := range roles {
		c.Roles = append(c.Roles, r)
	}
	slices.Sort(c.Roles)
	return c
}

// Every fault hits pushes and pops again and again; the receiver must not notice.
func TestMessagesArriveOnceAndInOrderWhateverFails(t *testing.T) {
	const count = 60
	sizes := func(i int) int { return []int{0, 1, 1000, 100 << 10}[i%4] } // the last one travels as protobuf
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
			for i := range count {
				for _, tag := range []string{"a", "b~/ü"} {
					if err := t.Send(ctx, host, tag, bytes.Repeat([]byte{byte(i)}, sizes(i))); err != nil {
						return err
					}
				}
			}
			return nil
		},
		openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
			for _, tag := range []string{"b~/ü", "a"} {
				for i := range count {
					got, err := t.Receive(ctx, guest, tag)
					if err != nil {
						return err
					}
					if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, sizes(i))) {
						return fmt.Errorf("message %d of %s has %d bytes", i, tag, len(got))
					}
				}
			}
			return nil
		},
	})
	for name, faults := range map[string][]componenttest.Fault{
		"none": nil,
		"replies lost": {
			{Path: pathPush, Kind: componenttest.DropReply, From: 1, Every: 3}, {Path: pathPop, Kind: componenttest.DropReply, From: 2, Every: 3},
		},
		"unavailable": {{Path: "/v1", Kind: componenttest.Unavailable, Every: 4}},
		"refused":     {{Path: "/v1", Kind: componenttest.Refuse, Every: 5}},
		"restarts":    {{Path: pathPush, Kind: componenttest.Restart, From: 20, Every: 50}, {Path: pathPop, Kind: componenttest.Restart, From: 40}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := componenttest.RunOK(t, componenttest.Case{Component: c, Parties: []openflow.Party{guest, host}, Faults: faults})
			require.Len(t, r.Messages(), 2*count)
			if faults != nil {
				require.Greater(t, r.Requests(pathPush), 2*count, "the faults have hit")
			}
		})
	}
}

func TestLargeMessagesTravelInPieces(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), (40<<20)/16)
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
			if err := t.Send(ctx, host, "big", big); err != nil {
				return err
			}
			return t.Send(ctx, host, "big", []byte("next"))
		},
		openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
			got, err := t.Receive(ctx, guest, "big")
			if err != nil {
				return err
			}
			next, err := t.Receive(ctx, guest, "big")
			if !bytes.Equal(got, big) || string(next) != "next" {
				return fmt.Errorf("got %d bytes and then %q", len(got), next)
			}
			return err
		},
	})
	r := componenttest.RunOK(t, componenttest.Case{
		Component: c, Parties: []openflow.Party{guest, host},
		Faults: []componenttest.Fault{{Path: pathPush, Kind: componenttest.DropReply, From: 2}},
	})
	require.Len(t, r.Messages(), 4)
	for _, m := range r.Messages() {
		require.LessOrEqual(t, len(m.Payload), 16<<20+1)
		require.Equal(t, "guest-9999~host-10000~big", m.Topic)
	}
}

func TestPartiesOfOneSiteTalkToEachOther(t *testing.T) {
	arbiter := openflow.Party{Role: openflow.RoleArbiter, ID: host.ID}
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
			return t.SendJSON(ctx, t.PartiesOf(openflow.RoleArbiter)[0], "sum", map[string]int{"n": 7})
		},
		openflow.RoleArbiter: func(ctx context.Context, t *component.Task) error {
			var got struct{ N int }
			if err := t.ReceiveJSON(ctx, host, "sum", &got); err != nil || got.N != 7 {
				return fmt.Errorf("got %v: %w", got, err)
			}
			return nil
		},
	})
	componenttest.RunOK(t, componenttest.Case{Component: c, Parties: []openflow.Party{host, arbiter}})
}

func TestOnlyOtherPartiesOfTheTaskCanBeAddressed(t *testing.T) {
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
			for _, p := range []openflow.Party{guest, {Role: openflow.RoleHost, ID: "1"}, {Role: openflow.RoleGuest, ID: host.ID}} {
				if err := t.Send(ctx, p, "x", nil); openflow.CodeOf(err) != openflow.CodeInvalid {
					return fmt.Errorf("sending to %s: %w", p, err)
				}
				if _, err := t.Receive(ctx, p, "x"); openflow.CodeOf(err) != openflow.CodeInvalid {
					return fmt.Errorf("receiving from %s: %w", p, err)
				}
			}
			return nil
		},
		openflow.RoleHost: func(context.Context, *component.Task) error { return nil },
	})
	componenttest.RunOK(t, componenttest.Case{Component: c, Parties: []openflow.Party{guest, host}})
}

func TestStoppingATaskEndsItsWait(t *testing.T) {
	waiting := make(chan struct{})
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
			close(waiting)
			_, err := t.Receive(ctx, host, "never")
			return err
		},
		openflow.RoleHost: func(context.Context, *component.Task) error { return nil },
	})
	node := componenttest.NewNode(t)
	e := node.Start(t.Context(), componenttest.Case{Component: c, Parties: []openflow.Party{guest, host}})
	<-waiting
	e.Stop(guest)
	r := e.Wait()
	require.Equal(t, component.ExitCanceled, r.Parties[guest].ExitCode)
	require.Empty(t, r.Parties[guest].Status, "the node knows that it stopped the task")
	require.Equal(t, openflow.TaskSuccess, r.Parties[host].Status)
}

func TestASilentNodeIsGivenUpAfterThePatience(t *testing.T) {
	c := at(map[openflow.Role]func(context.Context, *component.Task) error{
		openflow.RoleGuest: func(ctx context.Context, t *component.Task) error { return t.Send(ctx, host, "x", nil) },
		openflow.RoleHost:  func(context.Context, *component.Task) error { return nil },
	})
	r := componenttest.Run(t, componenttest.Case{
		Component: c, Parties: []openflow.Party{guest, host}, Patience: 100 * time.Millisecond,
		Faults: []componenttest.Fault{{Path: pathPush, Kind: componenttest.Unavailable, Every: 1}},
	})
	require.Equal(t, component.ExitFailed, r.Parties[guest].ExitCode)
	require.Regexp(t, `^message "x" to host 10000: tried for 100ms: (the )?node `, r.Parties[guest].Error)
}

func TestTheNodesVerdictOnAMessage(t *testing.T) {
	for code, want := range map[string]struct {
		repeated bool
		code     openflow.Code
	}{
		"E0000000700": {true, ""}, "E0000000601": {true, ""}, "E0000000503": {true, ""}, "E0000000607": {true, ""},
		"E0000000608": {false, openflow.CodeCanceled}, "E0000000403": {false, openflow.CodePermission},
		"E0000000400": {false, openflow.CodeInvalid}, "E0000000618": {false, openflow.CodeNotFound}, "E0000000500": {false, openflow.CodeInternal},
	} {
		for _, path := range []string{pathPush, pathPop} {
			t.Run(code+path, func(t *testing.T) {
				t.Parallel()
				check := func(err error) error {
					if openflow.CodeOf(err) != want.code {
						return fmt.Errorf("code %s: %w", openflow.CodeOf(err), err)
					}
					if err != nil && want.code != openflow.CodeInternal && strings.Contains(err.Error(), code) {
						return fmt.Errorf("people do not know the code: %w", err)
					}
					if ended := want.code == openflow.CodeCanceled; openflow.IsConsequence(err) != ended {
						return fmt.Errorf("the end of a session is a consequence of another party's, and nothing else: %w", err)
					}
					return nil
				}
				c := at(map[openflow.Role]func(context.Context, *component.Task) error{
					openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
						err := t.Send(ctx, host, "x", []byte("y"))
						if path == pathPush {
							return check(err)
						}
						return err
					},
					openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
						if path == pathPush && !want.repeated {
							return nil
						}
						_, err := t.Receive(ctx, guest, "x")
						return check(err)
					},
				})
				r := componenttest.RunOK(t, componenttest.Case{
					Component: c, Parties: []openflow.Party{guest, host},
					Faults: []componenttest.Fault{{Path: path, Kind: componenttest.Verdict, Code: code}},
				})
				if want.repeated {
					require.Equal(t, 2, r.Requests(path))
				}
			})
		}
	}
}

// A receiver that knows how long a message is does not take a longer one, however many chunks that comes in.
func TestReceiveUpTo(t *testing.T) {
	const limit = 1000
	for name, tc := range map[string]struct {
		size int
		code openflow.Code
	}{
		"as long as allowed": {limit, ""}, "empty": {0, ""}, "too long": {limit + 1, openflow.CodeInvalid},
		"several chunks": {40 << 20, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			var failed error
			c := at(map[openflow.Role]func(context.Context, *component.Task) error{
				openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
					return t.Send(ctx, host, "a", make([]byte, tc.size))
				},
				openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
					got, failed = t.ReceiveUpTo(ctx, guest, "a", limit)
					return nil
				},
			})
			componenttest.RunOK(t, componenttest.Case{Component: c, Parties: []openflow.Party{guest, host}})
			require.Equal(t, tc.code, openflow.CodeOf(failed), "%v", failed)
			if tc.code == "" {
				require.Len(t, got, tc.size)
			}
		})
	}
}

// A message that somebody else has sent is refused where another party's is awaited, also one of another role of the same site and
// one of another party in the same role. What is right still comes, whole and in order.
func TestMessagesOfOthersAreRefused(t *testing.T) {
	second := openflow.Party{Role: guest.Role, ID: "10002"}
	arbiter := openflow.Party{Role: openflow.RoleArbiter, ID: guest.ID}
	for _, source := range []openflow.Party{second, arbiter, host, {Role: openflow.RoleGuest, ID: "666"}} {
		t.Run(source.String(), func(t *testing.T) {
			var refused error
			var got []string
			c := at(map[openflow.Role]func(context.Context, *component.Task) error{
				openflow.RoleGuest: func(ctx context.Context, t *component.Task) error {
					return errors.Join(t.Send(ctx, host, "a", []byte(t.Party().String()+" 1")), t.Send(ctx, host, "a", []byte(t.Party().String()+" 2")))
				},
				openflow.RoleArbiter: func(context.Context, *component.Task) error { return nil },
				openflow.RoleHost: func(ctx context.Context, t *component.Task) error {
					_, refused = t.Receive(ctx, guest, "a")
					for _, from := range []openflow.Party{guest, second, guest, second} {
						text, err := t.Receive(ctx, from, "a")
						if err != nil {
							return err
						}
						got = append(got, string(text))
					}
					return nil
				},
			})
			componenttest.RunOK(t, componenttest.Case{
				Component: c, Parties: []openflow.Party{guest, second, host, arbiter},
				Strays: []componenttest.Stray{{From: guest, To: host, Source: source, Tag: "a", Payload: []byte("a lie")}},
			})
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(refused))
			require.ErrorContains(t, refused, "it is from "+source.String()+", and that of "+guest.String()+" is awaited")
			require.Equal(t, []string{"guest 9999 1", "guest 10002 1", "guest 9999 2", "guest 10002 2"}, got)
		})
	}
}
