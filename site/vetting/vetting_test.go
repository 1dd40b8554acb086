package vetting_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archive/tar"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/sbom"
	"openflow/site/trust/publisher"
	"openflow/site/vetting"
)

// rows hold one provider.
type rows struct {
	provider   openflow.ProviderRecord
	components []openflow.ComponentRecord
	papers     openflow.Papers
	hold       chan struct{} // until it is closed, nothing is read; nil: it is
}

func (r *rows) Provider(_ context.Context, name, version string) (openflow.ProviderRecord, error) {
	if name != r.provider.Name || version != r.provider.Version {
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeNotFound, "none")
	}
	return r.provider, nil
}

func (r *rows) Components(context.Context, string, string) ([]openflow.ComponentRecord, error) {
	return r.components, nil
}

func (r *rows) Papers(context.Context, openflow.ProviderRecord) (openflow.Papers, error) {
	if r.hold != nil {
		<-r.hold
	}
	return r.papers, nil
}

// keep does what the catalogue does.
func (r *rows) keep(p openflow.Papers) {
	r.papers = p.Beside(r.papers)
	r.provider.Papers = digest(fmt.Sprint(r.papers))
}

// world is a site with a program of acme, and what judges it.
type world struct {
	*vetting.Vetter
	rows *rows
	now  time.Time
	key  publisher.Private
}

func newWorld(t *testing.T, content string, change func(*openflow.SitePolicy)) *world {
	t.Helper()
	key, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "acme")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
	w := &world{rows: &rows{provider: openflow.ProviderRecord{
		Name: "acme", Version: "1", Kind: openflow.ProviderProgram, Place: path, Digest: digest(content), AddedAt: time.Unix(1, 0),
	}}, now: time.Unix(1000, 0), key: key}
	w.Vetter = &vetting.Vetter{Policy: openflow.DefaultSitePolicy(), Rows: w.rows, Now: func() time.Time { return w.now }, Temp: t.TempDir()}
	if change != nil {
		change(&w.Policy)
	}
	return w
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// register does what the registry does.
func (w *world) register(t *testing.T, given openflow.Papers) error {
	t.Helper()
	nameless := w.rows.provider
	nameless.Name, nameless.Version = "", ""
	papers, err := w.Judge(t.Context(), nameless, nil, given)
	if err == nil {
		papers, err = w.Judge(t.Context(), w.rows.provider, w.rows.components, papers)
	}
	if err == nil {
		w.rows.keep(papers)
	}
	return err
}

// launch asks what the container of a run may have.
func (w *world) launch(t *testing.T, component string) (openflow.Confinement, error) {
	t.Helper()
	return w.Approve(t.Context(), openflow.TaskRecord{Provider: "acme:1@docker", Component: component})
}

func signed(t *testing.T, k publisher.Private, m publisher.Message) openflow.Papers {
	t.Helper()
	text, err := k.Sign(m, "acme 1")
	require.NoError(t, err)
	return openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: text}}}
}

// The file may have been signed, or the text of its digest. Both are good at each launch, when the file may be gone.
func TestSignatureOfAFileOrOfItsDigest(t *testing.T) {
	for name, of := range map[string]func(content string) publisher.Message{
		"the file": publisher.Text, "its digest": func(content string) publisher.Message { return publisher.Text(digest(content) + "\n") },
	} {
		t.Run(name, func(t *testing.T) {
			content := strings.Repeat("program", 30_000)
			w := newWorld(t, content, nil)
			w.Policy.Images.Publishers = []string{"acme " + w.key.Public().String()}
			require.ErrorContains(t, w.register(t, openflow.Papers{}), "policy.images.publishers: it has no signature")
			require.ErrorContains(t, w.register(t, signed(t, w.key, of(content+"x"))), "policy.images.publishers: ")
			require.NoError(t, w.register(t, signed(t, w.key, of(content))))
			require.NoError(t, os.Remove(w.rows.provider.Place))
			_, err := w.launch(t, "psi")
			require.NoError(t, err)
			report, err := w.Report(t.Context(), w.rows.provider.Ref())
			require.NoError(t, err)
			require.Equal(t, w.key.Public(), report.Verdict.Signer.Key)
			require.Equal(t, "acme 1", report.Verdict.Signer.Comment)
		})
	}
}

// While a key is changed, what the next key has signed is added; once the old key is out of the policy, it counts no more.
func TestKeysChange(t *testing.T) {
	w := newWorld(t, "program", nil)
	next, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	old := "acme " + w.key.Public().String()
	w.Policy.Images.Publishers = []string{old}
	require.NoError(t, w.register(t, signed(t, w.key, publisher.Text("program"))))
	w.Policy.Images.Publishers = []string{old, "acme " + next.Public().String()}
	_, err = w.launch(t, "psi")
	require.NoError(t, err)
	w.Policy.Images.Publishers = []string{"acme " + next.Public().String()}
	_, err = w.launch(t, "psi")
	require.ErrorContains(t, err, "policy.images.publishers: the signature names key "+w.key.Public().ID())
	require.NoError(t, w.register(t, signed(t, next, publisher.Text("program"))))
	_, err = w.launch(t, "psi")
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, w.register(t, signed(t, next, publisher.Text("program"))))
	}
	require.LessOrEqual(t, len(w.rows.papers.Signatures), 8)
}

// What one replica of the node is given of a provider, another knows at its next launch: a signature of the next key, and parts
// with a vulnerability.
func TestPapersThatAnotherReplicaIsGiven(t *testing.T) {
	w := newWorld(t, "program", nil)
	next, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	old := "acme " + w.key.Public().String()
	w.Policy.Images.Publishers = []string{old}
	require.NoError(t, w.register(t, signed(t, w.key, publisher.Text("program"))))
	other := &vetting.Vetter{Policy: w.Policy, Rows: w.rows, Now: w.Now}
	other.Policy.Images.Publishers = []string{"acme " + next.Public().String()}
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(other.Stands(t.Context(), w.rows.provider)))
	w.Policy.Images.Publishers = []string{old, "acme " + next.Public().String()}
	require.NoError(t, w.register(t, signed(t, next, publisher.Text("program"))))
	require.NoError(t, other.Stands(t.Context(), w.rows.provider))

	given := []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"x","purl":"pkg:pypi/x@1"}]}`)
	more := signed(t, next, publisher.Text("program"))
	more.SBOM = given
	require.NoError(t, w.register(t, more))
	report, err := other.Report(t.Context(), w.rows.provider.Ref())
	require.NoError(t, err)
	require.Equal(t, given, report.Papers.SBOM)
}

// A file that changes between the look at it and the look at its signature is not registered.
func TestFileThatChangesMeanwhile(t *testing.T) {
	w := newWorld(t, "program", nil)
	require.NoError(t, os.WriteFile(w.rows.provider.Place, []byte("another"), 0o700))
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(w.register(t, signed(t, w.key, publisher.Text("another")))))
}

func TestSBOM(t *testing.T) {
	w := newWorld(t, "a program that says nothing", func(p *openflow.SitePolicy) { p.Images.RequireSBOM = true })
	require.ErrorContains(t, w.register(t, openflow.Papers{}), "policy.images.require_sbom")
	require.ErrorContains(t, w.register(t, openflow.Papers{SBOM: []byte("{}")}), "the SBOM cannot be read")
	given := []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"x","purl":"pkg:pypi/x@1"}]}`)
	require.NoError(t, w.register(t, openflow.Papers{SBOM: given}))
	require.Equal(t, openflow.Papers{SBOM: given, Origin: sbom.Given}, w.rows.papers)

	self, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(self)
	require.NoError(t, err)
	w = newWorld(t, string(content), func(p *openflow.SitePolicy) { p.Images.RequireSBOM = true })
	require.NoError(t, w.register(t, openflow.Papers{}))
	require.Equal(t, sbom.Derived, w.rows.papers.Origin)
	require.Contains(t, string(w.rows.papers.SBOM), "pkg:golang/stdlib@")

	// Of an image, its layers tell.
	w = newWorld(t, "", func(p *openflow.SitePolicy) { p.Images.RequireSBOM = true })
	w.has(t, nil)
	require.ErrorContains(t, w.register(t, openflow.Papers{}), "policy.images.require_sbom")
	w.has(t, map[string]string{"var/lib/dpkg/status": installed})
	require.NoError(t, w.register(t, openflow.Papers{}))
	require.Contains(t, string(w.rows.papers.SBOM), "pkg:deb/debian/openssl@3.0-1")
}

const installed = "Package: openssl\nVersion: 3.0-1\nStatus: install ok installed\n"

// has makes the provider an image with these files.
func (w *world) has(t *testing.T, files map[string]string) {
	t.Helper()
	w.rows.provider.Kind, w.rows.provider.Place = openflow.ProviderImage, "acme/psi:1"
	w.Layers = func(_ context.Context, id string, each func(io.Reader) error) error {
		require.Equal(t, w.rows.provider.Digest, id)
		var b bytes.Buffer
		archive := tar.NewWriter(&b)
		for name, text := range files {
			require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}))
			_, err := archive.Write([]byte(text))
			require.NoError(t, err)
		}
		require.NoError(t, archive.Close())
		return each(&b)
	}
}

// A list that somebody else has made takes away nothing that is found: neither the one in the image, nor the one beside it. A list of
// parts that cannot be compared says nothing.
func TestListsTakeNothingAway(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a.json"), []byte(
		`{"id":"CVE-1","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.1-1"}]}]}]}`), 0o600))
	const (
		nothing = `{"bomFormat":"CycloneDX","components":[{"name":"x"}]}`
		later   = `{"bomFormat":"CycloneDX","components":[{"name":"x","purl":"pkg:deb/debian/openssl@3.2-1?distro=debian-12"}]}`
		os12    = "ID=debian\nVERSION_ID=12.5\n"
	)
	for name, tc := range map[string]struct {
		files map[string]string
		given string
		want  string
	}{
		"nothing in the image":  {map[string]string{"sbom.cdx.json": nothing}, "", "policy.images.require_sbom"},
		"nothing beside it":     {nil, nothing, "policy.images.require_sbom"},
		"what is found":         {map[string]string{"var/lib/dpkg/status": installed}, "", "CVE-1"},
		"of a point release":    {map[string]string{"var/lib/dpkg/status": installed, "etc/os-release": os12}, "", "CVE-1"},
		"of no known release":   {map[string]string{"var/lib/dpkg/status": installed, "etc/os-release": "ID=debian\nVERSION_ID=99\n"}, "", "CVE-1"},
		"beside nothing":        {map[string]string{"var/lib/dpkg/status": installed, "sbom.cdx.json": nothing}, "", "CVE-1"},
		"beside a later one":    {map[string]string{"var/lib/dpkg/status": installed, "sbom.cdx.json": later}, "", "CVE-1"},
		"beside what is given":  {map[string]string{"var/lib/dpkg/status": installed}, later, "CVE-1"},
		"given, and none found": {map[string]string{"sbom.cdx.json": "no list"}, later, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "", func(p *openflow.SitePolicy) { p.Images.RequireSBOM, p.Images.Vulnerabilities = true, folder })
			w.has(t, tc.files)
			err := w.register(t, openflow.Papers{SBOM: []byte(tc.given)})
			if tc.want == "" {
				require.NoError(t, err)
				_, err = w.launch(t, "psi")
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// Before anything of it is read, the place and the signature are asked.
func TestNothingIsReadBeforeItMayCome(t *testing.T) {
	for name, change := range map[string]func(*openflow.SitePolicy){
		"registries":        func(p *openflow.SitePolicy) { p.Images.Registries = []string{"good.example"} },
		"require_signature": func(p *openflow.SitePolicy) { p.Images.RequireSignature = true },
		"publishers": func(p *openflow.SitePolicy) {
			key, _, _, err := publisher.GenerateKey()
			require.NoError(t, err)
			p.Images.Publishers = []string{"* " + key.Public().String()}
		},
	} {
		w := newWorld(t, "", change)
		w.has(t, nil)
		w.Layers = func(context.Context, string, func(io.Reader) error) error {
			t.Fatal("layers are read")
			return nil
		}
		require.ErrorContains(t, w.register(t, openflow.Papers{}), "policy.images."+name)
		notHere := w.rows.provider
		notHere.Digest = ""
		_, err := w.Admit(t.Context(), notHere, openflow.Papers{})
		require.ErrorContains(t, err, "policy.images."+name)
	}
	// What is named by a digest that the policy lists may come from anywhere.
	pinned := newWorld(t, "", func(p *openflow.SitePolicy) {
		p.Images.Registries, p.Images.Digests = nil, []string{digest("manifest")}
	})
	for place, fits := range map[string]bool{"a.example/x@" + digest("manifest"): true, "a.example/x@" + digest("other"): false, "a.example/x:1": false} {
		_, err := pinned.Admit(t.Context(), openflow.ProviderRecord{Kind: openflow.ProviderImage, Place: place}, openflow.Papers{})
		require.Equal(t, fits, err == nil, "%v", err)
	}
	// An image that is not here may come with a signature of a known key, and with no other.
	w := newWorld(t, "", func(p *openflow.SitePolicy) { p.Images.RequireSignature = true })
	w.has(t, nil)
	w.Policy.Images.Publishers = []string{"* " + w.key.Public().String()}
	notHere := w.rows.provider
	notHere.Digest = ""
	given := signed(t, w.key, publisher.Text(w.rows.provider.Digest+"\n"))
	_, err := w.Admit(t.Context(), notHere, given)
	require.NoError(t, err)
	_, err = w.Judge(t.Context(), w.rows.provider, nil, given)
	require.NoError(t, err)
	other, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	_, err = w.Admit(t.Context(), notHere, signed(t, other, publisher.Text("x")))
	require.ErrorContains(t, err, "policy.images.publishers")
}

// While a provider is looked at, launches wait no longer than they want, and those of others do not wait at all.
func TestLaunchesDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t, "program", nil)
	require.NoError(t, w.register(t, openflow.Papers{}))
	w.rows.hold = make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := w.Approve(context.WithoutCancel(t.Context()), openflow.TaskRecord{Provider: "acme:1@docker"})
		first <- err
	}()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Approve(ended, openflow.TaskRecord{Provider: "acme:1@docker"})
	require.ErrorIs(t, err, context.Canceled)
	_, err = w.Approve(t.Context(), openflow.TaskRecord{Provider: "openflow:1@docker"})
	require.NoError(t, err)
	close(w.rows.hold)
	require.NoError(t, <-first)
	_, err = w.launch(t, "psi")
	require.NoError(t, err)

	w.Policy.Images.Vulnerabilities = t.TempDir()
	_, err = w.Judge(ended, w.rows.provider, nil, openflow.Papers{SBOM: []byte(`{"bomFormat":"CycloneDX","components":[{"name":"x","purl":"pkg:pypi/x@1"}]}`)})
	require.ErrorIs(t, err, context.Canceled)
}

// A record that comes into the folder stops the next launch; until a while after the last look nobody looks again.
func TestVulnerabilitiesAtLaunch(t *testing.T) {
	folder := t.TempDir()
	write := func(name, fixed string) {
		text := fmt.Sprintf(`{"id":%q,"affected":[{"package":{"ecosystem":"PyPI","name":"x"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`, name, fixed)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".json"), []byte(text), 0o600))
	}
	write("PYSEC-1-1", "1.0")
	w := newWorld(t, "program", func(p *openflow.SitePolicy) { p.Images.Vulnerabilities = folder })
	given := openflow.Papers{SBOM: []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"x","purl":"pkg:pypi/x@1.0"}]}`)}
	require.NoError(t, w.register(t, given))
	_, err := w.launch(t, "psi")
	require.NoError(t, err)
	write("PYSEC-1-2", "2.0")
	_, err = w.launch(t, "psi")
	require.NoError(t, err, "looked at a moment ago")
	w.now = w.now.Add(time.Minute)
	_, err = w.launch(t, "psi")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	require.ErrorContains(t, err, "policy.images.blocking_severity")
	require.ErrorContains(t, err, "PYSEC-1-2 (unrated) in PyPI x 1.0, mended in 2.0")
	require.ErrorContains(t, w.register(t, given), "PYSEC-1-2")
	require.ErrorContains(t, w.Stands(t.Context(), w.rows.provider), "PYSEC-1-2", "so a probe finds that its components have failed")
	report, err := w.Report(t.Context(), w.rows.provider.Ref())
	require.NoError(t, err)
	require.Len(t, report.Found, 1)
	require.Error(t, report.Against)

	require.NoError(t, os.Remove(filepath.Join(folder, "PYSEC-1-2.json")))
	w.now = w.now.Add(time.Minute)
	_, err = w.launch(t, "psi")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(folder))
	w.now = w.now.Add(time.Minute)
	_, err = w.launch(t, "psi")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "a folder that is gone is not one without vulnerabilities: %v", err)
}

// What a component gets is what it asks for and its provider may have: of each component by itself.
func TestWishes(t *testing.T) {
	infer := openflow.ComponentRecord{Name: "infer", Wishes: openflow.Wishes{Mounts: []string{"/models"}, Processes: 100}}
	psi := openflow.ComponentRecord{Name: "psi", Description: json.RawMessage(`{"component":{"name":"psi","Wishes":{"mounts":["/models"]}},"COMPONENT":{"wishes":{"mounts":["/models"]}}}`)}
	w := newWorld(t, "program", nil)
	w.rows.components = []openflow.ComponentRecord{psi, infer}
	require.ErrorContains(t, w.register(t, openflow.Papers{}), "policy.containers.mounts")
	w.Policy.Containers.Mounts = []string{"acme /srv/models:/models"}
	require.NoError(t, w.register(t, openflow.Papers{}))
	got, err := w.launch(t, "infer")
	require.NoError(t, err)
	require.Equal(t, []openflow.Mount{{Host: "/srv/models", Container: "/models"}}, got.Mounts)
	got, err = w.launch(t, "psi")
	require.NoError(t, err)
	require.Empty(t, got.Mounts)
	require.EqualValues(t, 512, got.Processes)
	w.Policy.Containers.Mounts = nil
	_, err = w.launch(t, "infer")
	require.ErrorContains(t, err, "policy.containers.mounts", "also when the policy is another one since")
}

// The built-in provider is not judged, and has what all have.
func TestBuiltIn(t *testing.T) {
	w := newWorld(t, "", func(p *openflow.SitePolicy) {
		p.Images.Registries, p.Images.RequireSignature, p.Containers.MaxProcesses = nil, true, 64
	})
	got, err := w.Approve(t.Context(), openflow.TaskRecord{Provider: "openflow:1@docker", Component: "psi"})
	require.NoError(t, err)
	require.EqualValues(t, 64, got.Processes)
	_, err = w.launch(t, "psi")
	require.ErrorContains(t, err, "policy.images.registries")
	require.ErrorContains(t, err, "policy.images.require_signature")
}
