package sdk

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// Apps lists the apps of the node: of a kind, or all with an empty one. No token is among what it tells.
func (c *Client) Apps(ctx context.Context, kind openflow.AppKind) ([]wire.App, error) {
	var list []wire.App
	err := c.fetch(ctx, "/openflow/v1/user/app/list", query("kind", string(kind)), &list)
	return list, err
}

// AddApp makes an app of a client or of a peer, and returns it with its token, which is not told again. Of the kind partner it keeps
// the ID and token that the peer has given. Errors: CodeInvalid, CodeConflict (there is one of that name), CodeExhausted.
func (c *Client) AddApp(ctx context.Context, a wire.App) (wire.App, error) {
	var made wire.App
	_, err := c.tell(ctx, "/openflow/v1/user/app/add", a, &made)
	return made, err
}

// RemoveApp takes an app back: what it signs is refused from now on. CodeNotFound: there is none of that kind and name.
func (c *Client) RemoveApp(ctx context.Context, kind openflow.AppKind, name string) (wire.App, error) {
	var gone wire.App
	_, err := c.tell(ctx, "/openflow/v1/user/app/remove", wire.App{Kind: string(kind), Name: wire.Text(name)}, &gone)
	return gone, err
}
