package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"sync"

	"openflow"
	"openflow/sdk/wire"
)

// Columns says what the columns of a file are. The zero value takes the first column as the id and all others as float32
// features. What is not said of the file itself is guessed where it is sure, and told in the answer; docs/data.md.
//
// Spec: fate-components §3.1, §4.2.
type Columns struct {
	SampleID     string            `json:"sample_id_name,omitempty"` // identifies rows; empty: as MatchID, or the first column
	MatchID      string            `json:"match_id_name,omitempty"`  // what parties match on; empty: as SampleID
	Label        string            `json:"label_name,omitempty"`     // empty: none
	LabelType    string            `json:"label_type,omitempty"`     // empty: int32
	Weight       string            `json:"weight_name,omitempty"`    // empty: none
	DType        string            `json:"-"`                        // of features; empty: float32
	DTypes       map[string]string `json:"-"`                        // of single features
	Delimiter    string            `json:"delimiter,omitempty"`      // empty: guessed
	Decimal      string            `json:"decimal,omitempty"`        // "." or ","; empty: a point
	Encoding     string            `json:"encoding,omitempty"`       // empty: UTF-8, or what a byte order mark says
	NAValues     []string          `json:"na_values,omitempty"`      // cells that mean "missing"
	Head         *bool             `json:"head,omitempty"`           // the first line names the columns; nil: unless it looks like data
	Header       []string          `json:"header,omitempty"`         // names of the columns, for a file without a first line of names
	Format       string            `json:"input_format,omitempty"`   // dense, sparse, tag or libsvm; empty: dense
	TagWithValue *bool             `json:"tag_with_value,omitempty"`
	TagDelimiter string            `json:"tag_value_delimiter,omitempty"` // between an index or a tag and its value; empty: a colon
	ExtendSID    bool              `json:"extend_sid,omitempty"`          // make sample ids instead of reading them
}

// MarshalJSON writes the meta object of an upload. Its dtype is a name, or an object of columns where some have their
// own.
func (c Columns) MarshalJSON() ([]byte, error) {
	type plain Columns
	out := struct {
		plain
		DType any `json:"dtype,omitempty"`
	}{plain: plain(c)}
	if c.DType != "" {
		out.DType = c.DType
	}
	if len(c.DTypes) > 0 {
		types := maps.Clone(c.DTypes)
		if c.DType != "" {
			types["*"] = c.DType
		}
		out.DType = types
	}
	return json.Marshal(out)
}

// Upload is a file of rows on its way to a table.
type Upload struct {
	Table    openflow.TableName // a table of that name is replaced
	Columns  Columns
	Rows     io.Reader
	Size     int64            // of Rows, in bytes; 0: not known
	Progress func(sent int64) // told the bytes of Rows sent so far, from another goroutine; may be nil
}

// Uploaded is the answer to an upload.
type Uploaded struct {
	JobID openflow.JobID `json:"job_id"` // the record of the upload
	wire.Uploaded
}

// Upload streams a file of rows, CSV or what else docs/data.md names, into a table of the node. Memory does not grow
// with the file; nothing of a file that is refused or breaks off is kept. Errors: CodeInvalid names the line.
//
// Spec: fate-flow-api §1.4 #24.
func (c *Client) Upload(ctx context.Context, u Upload) (Uploaded, error) {
	form, contentType, err := u.form()
	if err != nil {
		return Uploaded{}, err
	}
	rows := &counter{r: u.Rows, told: u.Progress}
	r := request{
		method: http.MethodPost, path: "/v2/data/component/upload/file", header: http.Header{"Content-Type": {contentType}},
		body: io.MultiReader(bytes.NewReader(form.before), rows, bytes.NewReader(form.after)), size: -1,
	}
	if u.Size > 0 {
		r.size = u.Size + int64(len(form.before)+len(form.after))
	}
	var done Uploaded
	e, err := c.exchange(ctx, r, &done)
	if broken := rows.failure(); err != nil && broken != nil {
		return Uploaded{}, openflow.Errorf(openflow.CodeInvalid, "the rows cannot be read: %w", broken).
			WithHint("nothing was uploaded")
	}
	done.JobID = openflow.JobID(e.JobID)
	return done, err
}

// frame is a form without the rows: what comes before and after them.
type frame struct{ before, after []byte }

// form writes the fields first, because the node wants to know what the rows are before it reads them.
func (u Upload) form() (frame, string, error) {
	meta, err := json.Marshal(u.Columns)
	if err != nil {
		return frame{}, "", openflow.Errorf(openflow.CodeInvalid, "description of the columns: %w", err)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range [][2]string{{"namespace", u.Table.Namespace}, {"name", u.Table.Name}, {"meta", string(meta)}} {
		if err := w.WriteField(f[0], f[1]); err != nil {
			return frame{}, "", openflow.Errorf(openflow.CodeInternal, "form field %s: %w", f[0], err)
		}
	}
	if _, err := w.CreateFormFile("file", "rows.csv"); err != nil {
		return frame{}, "", openflow.Errorf(openflow.CodeInternal, "form: %w", err)
	}
	n := b.Len()
	if err := w.Close(); err != nil {
		return frame{}, "", openflow.Errorf(openflow.CodeInternal, "form: %w", err)
	}
	return frame{b.Bytes()[:n], b.Bytes()[n:]}, w.FormDataContentType(), nil
}

// counter tells how much has been read.
type counter struct {
	r    io.Reader
	told func(int64)
	sent int64

	mu  sync.Mutex
	err error // why no more can be read, besides the end
}

// failure is why the rows could not be read; nil: they could.
func (c *counter) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sent += int64(n)
	if c.told != nil && n > 0 {
		c.told(c.sent)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return n, err
}

// Tables lists the tables that people have put here, of one namespace or, when it is empty, of all.
func (c *Client) Tables(ctx context.Context, namespace string) ([]wire.TableInfo, error) {
	var list []wire.TableInfo
	err := c.fetch(ctx, "/openflow/v1/user/table/list", query("namespace", namespace), &list)
	return list, err
}
