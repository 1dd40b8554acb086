package packets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/wire/ptp/frame"
)

// Way sends requests of HTTP in packets, and makes answers of HTTP of those that come back.
type Way struct {
	Through http.RoundTripper // speaks HTTP/2 with the bridge
	Peer    openflow.PartyID  // for which the packets are
	Most    int64             // bytes of a body, either way
}

var _ http.RoundTripper = Way{}

// unsaid are headers that a packet says elsewhere, or that are of no packet.
var unsaid = []string{"Content-Type", "Dest-Party-Id", "Service", "User-Agent", "Accept-Encoding"}

// waiting is what FATE-Flow writes into its requests, in seconds.
const waiting = 10

// RoundTrip implements http.RoundTripper. A bridge that refuses a call is an error; the status of an answer in a packet is always 200.
//
// Spec: fate-flow-api §0.8.2.
func (w Way) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		b, err := io.ReadAll(io.LimitReader(r.Body, w.Most+1))
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		body = b
	}
	if int64(len(body)) > w.Most {
		return nil, fmt.Errorf("the call is larger than %s, which a packet holds", openflow.FormatBytes(w.Most))
	}
	header := r.Header.Clone()
	for _, name := range unsaid {
		header.Del(name)
	}
	if header == nil {
		header = http.Header{}
	}
	job := ""
	if strings.HasPrefix(r.URL.Path, "/v2/partner/") {
		job = jobOf(body)
	}
	text, err := Packet{Job: job, Header: header, To: string(w.Peer), Method: r.Method, Path: r.URL.Path, Body: body, Timeout: waiting}.Append(nil)
	if err != nil {
		return nil, err
	}
	answer, err := w.call(r, frame.Append(nil, text))
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/2.0", ProtoMajor: 2, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), ContentLength: int64(len(answer.Body)),
	}, nil
}

// call sends a frame to the bridge, and reads the packet that comes back.
func (w Way) call(r *http.Request, message []byte) (Packet, error) {
	at := *r.URL
	at.Path, at.RawPath, at.RawQuery = Service+Call, "", ""
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, at.String(), bytes.NewReader(message))
	if err != nil {
		return Packet{}, err
	}
	req.Header.Set("Content-Type", frame.ContentType)
	req.Header.Set("Te", "trailers")
	if end, ok := r.Context().Deadline(); ok {
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(max(time.Until(end).Milliseconds(), 1), 10)+"m")
	}
	for name, value := range routing("", string(w.Peer)) {
		req.Header.Set(name, value)
	}
	resp, err := w.Through.RoundTrip(req)
	if err != nil {
		return Packet{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read, or is of no more use
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), frame.ContentType) {
		return Packet{}, fmt.Errorf("what answers there is no bridge of packets (HTTP %d, %s)", resp.StatusCode, openflow.Heard(openflow.Cut(resp.Header.Get("Content-Type"), 80)))
	}
	answer, err := frame.Message(resp.Body, w.Most+maxHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return Packet{}, err
	}
	if _, rest := io.Copy(io.Discard, io.LimitReader(resp.Body, maxHead)); rest != nil { // the trailer stands behind it
		return Packet{}, rest
	}
	if status := said(resp, "Grpc-Status"); status != "0" {
		return Packet{}, fmt.Errorf("the bridge does not pass it on: gRPC status %s, %q", openflow.Heard(openflow.Cut(status, 20)), openflow.Heard(openflow.Cut(said(resp, "Grpc-Message"), 400)))
	}
	return Read(answer, w.Most)
}

// said is what the end of a call says, which may stand at its beginning.
func said(resp *http.Response, name string) string {
	if v := resp.Trailer.Get(name); v != "" {
		return v
	}
	return resp.Header.Get(name)
}
