package s3

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"openflow"
	"openflow/store/encrypted"
)

// Options say where the objects are.
type Options struct {
	Endpoint string          // host or host:port of the server
	Plain    bool            // http instead of https; for trials on one machine
	Files    encrypted.Files // for TLS
	Region   string          // empty: AWS_REGION, or what the server says
	Bucket   string          // exists already
	Prefix   string          // path below which the keys are, without slashes at its ends; may be empty

	// Without an AccessKey, the three come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	AccessKey    string
	SecretKey    string `json:"-"`
	SessionToken string `json:"-"`

	// Spool is the folder where an object is kept while its hash is not known yet; default os.TempDir(). It needs space
	// for the objects that are stored at one time.
	Spool string

	transport http.RoundTripper // tests only
}

// String names the place without the secret, for errors and logs.
func (o Options) String() string {
	return "s3://" + strings.TrimSuffix(o.Endpoint+"/"+o.Bucket+"/"+o.Prefix, "/")
}

const urlHint = "use s3://KEY:SECRET@HOST:PORT/BUCKET/PREFIX?region=…&ca=FILE; escape special characters of the secret, " +
	"or leave KEY:SECRET@ out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

func invalid(format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, "object store: "+format, args...).WithHint(urlHint)
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixPart = regexp.MustCompile(`^[A-Za-z0-9_.=-]+$`)
	hostName   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
)

// ParseURL reads s3://KEY:SECRET@HOST:PORT/BUCKET/PREFIX?region=…&tls=false, or with ca=FILE, cert=FILE and cert_key=FILE. Everything but host and bucket may be left
// out. CodeInvalid says what is wrong, without the secret.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(text, "s3://") { // err holds the text, and that the secret
		return Options{}, invalid("the URL is not an s3:// URL")
	}
	if openflow.StraySecret(text, u) || strings.Contains(text, "#") {
		return Options{}, invalid("the URL has an @ or # outside of KEY:SECRET@")
	}
	o := Options{Endpoint: u.Host}
	if u.User != nil {
		o.AccessKey = u.User.Username()
		o.SecretKey, _ = u.User.Password()
		if o.AccessKey == "" || o.SecretKey == "" {
			return Options{}, invalid("the URL has a key without a secret, or a secret without a key")
		}
	}
	path := strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "/")
	o.Bucket, o.Prefix, _ = strings.Cut(path, "/")
	if err := o.readQuery(u.RawQuery); err != nil {
		return Options{}, err
	}
	return o, o.check()
}

func (o *Options) readQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid("what follows the ? of the URL cannot be read")
	}
	o.Files = encrypted.Take(values)
	for name, v := range values {
		if len(v) != 1 {
			return invalid("%.20q is in the URL more than once", name)
		}
		switch name {
		case "region":
			o.Region = v[0]
		case "tls":
			tls, err := strconv.ParseBool(v[0])
			if err != nil {
				return invalid("tls=%.20q of the URL is neither true nor false", v[0])
			}
			o.Plain = !tls
		default:
			return invalid("%.20q of the URL is not known, only region, tls, ca, cert and cert_key are", name)
		}
	}
	return nil
}

// check refuses what a server would answer in its own way, and keys that would leave the prefix.
func (o Options) check() error {
	if !hostName.MatchString(o.Endpoint) {
		return invalid("%.60q is not HOST or HOST:PORT", o.Endpoint)
	}
	if o.Plain && o.Files != (encrypted.Files{}) {
		return invalid("the URL names files for TLS, and asks for none")
	}
	if !bucketName.MatchString(o.Bucket) || strings.Contains(o.Bucket, "..") {
		return invalid("%.80q is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes", o.Bucket)
	}
	if o.Prefix == "" {
		return nil
	}
	for part := range strings.SplitSeq(o.Prefix, "/") {
		if !prefixPart.MatchString(part) || strings.Trim(part, ".") == "" {
			return invalid("prefix %.80q: each of its parts is made of letters, digits and _ . = -", o.Prefix)
		}
	}
	return nil
}

// withDefaults fills in what the environment says.
func (o Options) withDefaults() (Options, error) {
	if o.AccessKey == "" {
		o.AccessKey, o.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		o.SessionToken = os.Getenv("AWS_SESSION_TOKEN")
	}
	if o.AccessKey == "" || o.SecretKey == "" {
		return o, invalid("%s: no key and secret given", o)
	}
	if o.Region == "" {
		o.Region = os.Getenv("AWS_REGION")
	}
	if o.Region == "" && !strings.HasSuffix(strings.Split(o.Endpoint, ":")[0], ".amazonaws.com") {
		o.Region = "us-east-1" // what other servers take when they have none; saves asking
	}
	if o.Spool == "" {
		o.Spool = os.TempDir()
	}
	return o, o.check()
}
