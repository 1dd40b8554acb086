package embedded

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/route"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"

	"openflow"
)

// NewUI is the read-only UI of a namespace on a server that runs elsewhere, as [Server.UIHandler] is that of the embedded
// one. conn carries what the server wants to see of its clients.
func NewUI(namespace, publicPath string, conn *grpc.ClientConn) (http.Handler, error) {
	return newUI(Options{Namespace: namespace, UIPublicPath: publicPath}, conn)
}

// newUI assembles the web UI from the parts of ui-server. Its own server type is not used: it listens on a port of its
// own, which anybody on the machine reaches, and ends the process when it cannot. Here the calls to the frontend go over
// conn, which carries the token, so the token is in no HTTP request and the UI has no address.
func newUI(o Options, conn *grpc.ClientConn) (http.Handler, error) {
	provider, err := uiconfig.NewConfigProviderWithRefresh(&uiconfig.Config{
		TemporalGRPCAddress: conn.Target(), EnableUI: true, DefaultNamespace: o.Namespace, PublicPath: o.UIPublicPath,
		DisableWriteActions: true, // writes go through the node's API, which keeps its invariants and the audit log
		DisableNewsFetch:    true, HideLogs: true,
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "temporal ui: %w", err)
	}
	page, err := loadPage(o.UIPublicPath)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "temporal ui: %w", err)
	}

	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(middleware.Recover(), middleware.Gzip())
	readOnly := route.DisableWriteMiddleware(provider)
	service := workflowservice.NewWorkflowServiceClient(conn)
	v1 := e.Group("/api/v1", restrict(o.Namespace))
	v1.GET("/settings", api.GetSettings(provider))
	v1.GET("/ui-extensions", api.GetUIExtensions(provider, nil))
	v1.GET("/releases", func(echo.Context) error { return echo.ErrNotFound }) // would ask the internet
	v1.GET("/namespaces", listOwn(o.Namespace, service))
	v1.GET(api.WorkflowRawHistoryUrl, api.WorkflowRawHistoryHandler(service))
	v1.Any("/*", api.TemporalAPIHandler(provider, nil, conn), readOnly)
	route.SetRenderRoute(e, "/")
	e.GET("/*", echo.WrapHandler(page))

	guarded := http.NewCrossOriginProtection().Handler(guard(page.policy, e))
	return mount(o.UIPublicPath, guarded), nil
}

// restrict refuses calls of the API that are not about the namespace, because the token may open others of the same cluster.
// The path is compared as both routers behind it read it, without unescaping, which they do differently.
func restrict(namespace string) echo.MiddlewareFunc {
	const prefix = "/api/v1"
	own := prefix + "/namespaces/" + url.PathEscape(namespace)
	about := []string{ // no namespace
		prefix + "/settings", prefix + "/ui-extensions", prefix + "/releases", prefix + "/cluster-info", prefix + "/system-info",
		prefix + "/namespaces", // see listOwn
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			path := echo.GetPath(c.Request())
			if path == own || strings.HasPrefix(path, own+"/") || slices.Contains(about, path) {
				return next(c)
			}
			return echo.NewHTTPError(http.StatusForbidden, "this UI shows the namespace "+namespace+" only")
		}
	}
}

// listOwn answers the list of namespaces with the UI's own.
func listOwn(namespace string, service workflowservice.WorkflowServiceClient) echo.HandlerFunc {
	return func(c echo.Context) error {
		own, err := service.DescribeNamespace(c.Request().Context(), &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
		if err != nil {
			return echo.NewHTTPError(http.StatusBadGateway, err.Error())
		}
		list := &workflowservice.ListNamespacesResponse{Namespaces: []*workflowservice.DescribeNamespaceResponse{own}}
		b, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(list)
		if err != nil {
			return err
		}
		return c.JSONBlob(http.StatusOK, b)
	}
}

// mount serves h below prefix, and sends the prefix itself to the folder of that name.
func mount(prefix string, h http.Handler) http.Handler {
	stripped := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == prefix:
			http.Redirect(w, r, prefix+"/", http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, prefix+"/"): // not /temporality
			stripped.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// guard sets the security headers and takes from requests what is not the UI's business: the node's own credentials, and
// whatever the gateway would pass on to the frontend as metadata.
func guard(policy string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")

		r = r.Clone(r.Context())
		for name := range r.Header {
			if name == "Authorization" || name == "Cookie" || strings.HasPrefix(name, "Grpc-Metadata-") ||
				strings.HasPrefix(name, "Authorization-") {
				r.Header.Del(name)
			}
		}
		h.ServeHTTP(w, r)
	})
}
