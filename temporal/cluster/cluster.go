// Package cluster connects to a Temporal cluster that runs elsewhere: the site's own, or one of "openflow temporal".
//
// The embedded server makes namespace and search attributes in its own store, before it starts. Here both are asked for
// through the cluster's API. It may be asked for what is there already, and takes some seconds to know what is new.
// Start reading at [Dial].
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"openflow"
	"openflow/store/encrypted"
)

const (
	dialTimeout = 10 * time.Second
	// patience is how long a cluster may take until all its parts know a new namespace or attribute: a cache is refreshed
	// every ten seconds as shipped.
	patience = time.Minute
	look     = 200 * time.Millisecond
	// quiet is after which silence the cluster is asked whether it is there, and answer how long it may take. A cluster takes
	// more than one question in ten seconds for an attack.
	quiet  = 15 * time.Second
	answer = 5 * time.Second
)

// Options say which cluster and as whom.
type Options struct {
	Address   string // host:port of the frontend
	Namespace string // default "openflow"; made when it is missing

	// CA, Certificate and Key are PEM files. With any of them, or with TLS, the connection uses TLS: CA says whom to
	// trust instead of the system's list, Certificate and Key are shown to the cluster. ServerName is what the cluster's
	// certificate must name, when that is not the host of Address.
	TLS                  bool
	CA, Certificate, Key string
	ServerName           string

	// Token is sent with every call; empty: none.
	Token string `json:"-"`

	// Retention is how long closed workflows stay visible; 0 leaves what the cluster has, or 72 h for a new namespace.
	Retention time.Duration
	// SearchAttributes exist after Dial; another type for an existing name is CodeConflict.
	SearchAttributes map[string]enumspb.IndexedValueType

	Interceptors []interceptor.ClientInterceptor // of the client and its workers

	Identity string       // names the process in histories
	Logger   *slog.Logger // default slog.Default()
}

func (o Options) withDefaults() (Options, error) {
	if o.Address == "" {
		return o, openflow.Errorf(openflow.CodeInvalid, "temporal cluster: no address given").WithHint("for example: 127.0.0.1:7233")
	}
	if (o.Certificate == "") != (o.Key == "") {
		return o, openflow.Errorf(openflow.CodeInvalid, "temporal cluster: a certificate and its key go together")
	}
	if o.Namespace == "" {
		o.Namespace = "openflow"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// Dial connects, makes the namespace when it is missing, brings its retention and search attributes up to date, and
// returns a client once the cluster serves the namespace. The caller closes the client.
//
// Errors: CodeInvalid (options, certificates), CodeUnavailable (no answer, TLS not agreed), CodeUnauthorized and
// CodePermission (the cluster does not accept us), CodeConflict (an attribute has another type), CodeDeadline.
func Dial(ctx context.Context, o Options) (sdkclient.Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	settings, handshakes, err := o.settings()
	if err != nil {
		return nil, err
	}
	connecting, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := sdkclient.DialContext(connecting, settings)
	if err != nil {
		return nil, o.explain("connect", handshakes.cause(err))
	}
	if err := o.prepare(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// MaxReply is the largest message that a connection for the Temporal UI takes, in bytes: a page of a long history.
const MaxReply = 64 << 20

// Conn is a connection of its own to the cluster's frontend, for the Temporal UI. It connects when it is used first.
// Errors: CodeInvalid (options, certificates).
func Conn(o Options) (*grpc.ClientConn, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	secure, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	conn, err := grpc.NewClient(o.Address,
		grpc.WithTransportCredentials(transport), WithDeadlines(),
		grpc.WithPerRPCCredentials(bearer(o.Token)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxReply)))
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "temporal cluster at %s: %w", o.Address, err)
	}
	return conn, nil
}

// bearer sends a token with every call, as the SDK's client does; none when it is empty.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Whether the way is safe is the operator's affair.
func (b bearer) RequireTransportSecurity() bool { return false }

// settings are those of the SDK, and the handshakes of its connections if they use TLS.
func (o Options) settings() (settings sdkclient.Options, h handshakes, err error) {
	settings = sdkclient.Options{
		HostPort: o.Address, Namespace: o.Namespace, Identity: o.Identity, Logger: sdklog.NewStructuredLogger(o.Logger),
		Interceptors: o.Interceptors,
	}
	secure, err := o.tlsConfig()
	if err != nil {
		return settings, h, err
	}
	settings.ConnectionOptions.KeepAliveTime, settings.ConnectionOptions.KeepAliveTimeout = quiet, answer
	settings.ConnectionOptions.TLS, settings.ConnectionOptions.TLSDisabled = secure, secure == nil
	settings.ConnectionOptions.DialOptions = []grpc.DialOption{WithDeadlines()}
	if secure != nil {
		h = newHandshakes(secure)
		settings.ConnectionOptions.DialOptions = append(settings.ConnectionOptions.DialOptions, grpc.WithTransportCredentials(h))
	}
	if o.Token != "" {
		settings.Credentials = sdkclient.NewAPIKeyStaticCredentials(o.Token)
	}
	return settings, h, nil
}

// tlsConfig reads the files; nil without TLS.
func (o Options) tlsConfig() (*tls.Config, error) {
	if !o.TLS && o.CA == "" && o.Certificate == "" {
		return nil, nil
	}
	c, err := encrypted.Files{CA: o.CA, Certificate: o.Certificate, Key: o.Key}.Config(o.ServerName)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "temporal cluster: %w", err)
	}
	return c, nil
}

// prepare leaves the namespace as the options want it, and returns when the cluster serves it.
func (o Options) prepare(ctx context.Context, c sdkclient.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := o.ensureNamespace(ctx, c); err != nil {
		return o.explain("namespace "+o.Namespace, err)
	}
	if err := o.ensureAttributes(ctx, c); err != nil {
		return o.explain("search attributes of namespace "+o.Namespace, err)
	}
	return o.explain("wait for namespace "+o.Namespace, o.await(ctx, func() (bool, error) {
		_, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: o.Namespace, PageSize: 1, Query: o.everyAttribute()})
		var space *serviceerror.NamespaceNotFound
		var attribute *serviceerror.InvalidArgument
		if errors.As(err, &space) || errors.As(err, &attribute) { // listed, and not known everywhere yet
			return false, nil
		}
		return err == nil, err
	}))
}

// everyAttribute is a query that is understood once the cluster's caches know all search attributes.
func (o Options) everyAttribute() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		parts = append(parts, "`"+name+"` IS NULL")
	}
	return strings.Join(parts, " AND ")
}

// await looks until done says yes or fails.
func (o Options) await(ctx context.Context, done func() (bool, error)) error {
	for {
		yes, err := done()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}

// defaultRetention is what a new namespace gets when the options say nothing.
const defaultRetention = 72 * time.Hour

func (o Options) ensureNamespace(ctx context.Context, c sdkclient.Client) error {
	service := c.WorkflowService()
	got, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &missing):
		retention := o.Retention
		if retention == 0 {
			retention = defaultRetention
		}
		_, err = service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: o.Namespace, Description: "federated jobs of openflow", WorkflowExecutionRetentionPeriod: durationpb.New(retention),
		})
		var faster *serviceerror.NamespaceAlreadyExists
		if errors.As(err, &faster) { // another replica
			return nil
		}
		return err
	case err != nil || o.Retention == 0 || got.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == o.Retention:
		return err
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: o.Namespace, Config: &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(o.Retention)},
	})
	return err
}

// ensureAttributes adds the search attributes that are missing and waits until the cluster lists them.
func (o Options) ensureAttributes(ctx context.Context, c sdkclient.Client) error {
	if len(o.SearchAttributes) == 0 {
		return nil
	}
	asked := false
	return o.await(ctx, func() (bool, error) {
		missing, err := o.missingAttributes(ctx, c)
		var unknown *serviceerror.NamespaceNotFound
		switch {
		case errors.As(err, &unknown):
			return false, nil
		case err != nil || len(missing) == 0:
			return err == nil, err
		case asked:
			return false, nil
		}
		_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: o.Namespace, SearchAttributes: missing,
		})
		var faster *serviceerror.AlreadyExists
		asked = err == nil || errors.As(err, &faster)
		if asked || errors.As(err, &unknown) {
			return false, nil
		}
		return false, err
	})
}

func (o Options) missingAttributes(ctx context.Context, c sdkclient.Client) (map[string]enumspb.IndexedValueType, error) {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.Namespace})
	if err != nil {
		return nil, err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, want := range o.SearchAttributes {
		switch is, ok := have.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = want
		case is != want:
			return nil, openflow.Errorf(openflow.CodeConflict, "search attribute %q is %s in namespace %s, not %s", name, is, o.Namespace, want).
				WithHint("name another namespace, or let the cluster's operator remove the attribute")
		}
	}
	return missing, nil
}

// explain gives an error of the cluster a code and says what to do.
func (o Options) explain(doing string, err error) error {
	var ours *openflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	code, hint := openflow.CodeInternal, ""
	var denied *serviceerror.PermissionDenied
	var down *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		code = openflow.CodeCanceled
	case errors.As(err, &denied):
		code, hint = openflow.CodePermission, "check the token or the certificate, and that it may register namespaces and search attributes"
	case status.Code(err) == codes.Unauthenticated:
		code, hint = openflow.CodeUnauthorized, "the cluster wants a token or a certificate"
	case errors.As(err, &certificate):
		code, hint = openflow.CodeUnavailable, "name the CA that signed the cluster's certificate, and the name in it if that is not the host's"
	case errors.As(err, &down), errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		code, hint = openflow.CodeUnavailable, "see that it runs and can be reached from here, and whether it wants TLS"
	}
	e := openflow.Errorf(code, "temporal cluster at %s: %s: %w", o.Address, doing, err)
	if hint == "" {
		return e
	}
	return e.WithHint("%s", hint)
}
