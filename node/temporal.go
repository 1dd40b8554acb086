package node

import (
	"context"
	"net/http"

	enumspb "go.temporal.io/api/enums/v1"

	"openflow"
	"openflow/temporal/cluster"
	"openflow/temporal/embedded"
	"openflow/workflows"
)

// Temporal names the cluster that keeps a node's workflows, instead of the embedded server.
type Temporal struct {
	Address              string // host:port of its frontend; empty: embedded
	Namespace            string // of this party alone; empty: openflow-PARTY
	TLS                  bool   // also with any of the three files, which are PEM
	CA, Certificate, Key string
	Token                string `json:"-"`
}

// openTemporal starts the embedded server, or connects to the cluster.
func (n *Node) openTemporal(ctx context.Context) error {
	attributes := map[string]enumspb.IndexedValueType{}
	for _, k := range workflows.Attributes() {
		attributes[k.GetName()] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	open := n.startTemporal
	if n.config.Shared.Temporal.Address != "" {
		open = n.joinTemporal
	}
	if err := open(ctx, attributes); err != nil {
		return err
	}
	n.onClose("temporal client", func(context.Context) error { n.client.Close(); return nil })
	return nil
}

func (n *Node) startTemporal(ctx context.Context, attributes map[string]enumspb.IndexedValueType) error {
	interceptors, err := n.traces.Interceptors()
	if err != nil {
		return err
	}
	n.temporal, err = embedded.Start(ctx, embedded.Options{
		Dir: n.home.Path("temporal"), Synchronous: n.config.synchronous(), Retention: n.config.Retention.Workflows,
		SearchAttributes: attributes, UI: n.config.UI, UIPublicPath: uiPath, Interceptors: interceptors, Logger: n.config.Log,
	})
	if err != nil {
		return err
	}
	n.onClose("temporal", func(context.Context) error { return n.temporal.Close() })
	n.namespace, n.ui = n.temporal.Namespace(), n.temporal.UIHandler()
	n.client, err = n.temporal.Dial(ctx, n.identity(), cluster.Quiet(n.config.Log))
	return err
}

func (n *Node) joinTemporal(ctx context.Context, attributes map[string]enumspb.IndexedValueType) error {
	t := n.config.Shared.Temporal
	if n.namespace = t.Namespace; n.namespace == "" {
		n.namespace = "openflow-" + string(n.config.Party)
	}
	interceptors, err := n.traces.Interceptors()
	if err != nil {
		return err
	}
	o := cluster.Options{
		Address: t.Address, Namespace: n.namespace, TLS: t.TLS, CA: t.CA, Certificate: t.Certificate, Key: t.Key, Token: t.Token,
		Retention: n.config.Retention.Workflows, SearchAttributes: attributes, Interceptors: interceptors,
		Identity: n.identity(), Logger: cluster.Quiet(n.config.Log),
	}
	n.ui = http.NotFoundHandler()
	if n.config.UI {
		conn, err := cluster.Conn(o)
		if err != nil {
			return err
		}
		n.onClose("connection of the temporal ui", func(context.Context) error { return conn.Close() })
		if n.ui, err = embedded.NewUI(n.namespace, uiPath, conn); err != nil {
			return err
		}
	}
	if n.client, err = cluster.Dial(ctx, o); err != nil {
		return openflow.About(openflow.AboutSite, err)
	}
	return nil
}
