package cli

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/site/trust/publisher"
)

// signatureEnding is what minisign puts behind the name of what it has signed.
const signatureEnding = ".minisig"

// maxKeyFile is how many bytes of a file with a key are read.
const maxKeyFile = 4 << 10

func providerKeyCommand(o *options) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "key",
		Short: "Make a publisher's key",
		Long: `Make the key with which a publisher of programs or images signs them. It is of minisign's form: minisign can use it, and
sign and verify can use one of minisign's. Two files are written, NAME.key for the publisher alone, and NAME.pub, whose second line
sites put into images.publishers of their policy. No node is asked. Read the four words to them on the telephone.`,
		Example: `  openflow provider key --out acme`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			k, public, private, err := publisher.GenerateKey()
			if err != nil {
				return err
			}
			if err := writeNew(out+".key", private, 0o600); err != nil {
				return err
			}
			if err := writeNew(out+".pub", public, 0o644); err != nil {
				return errors.Join(err, os.Remove(out+".key"))
			}
			return o.show(c, keyShown(k.Public()), func(w io.Writer) {
				line(w, "key "+k.Public().Describe()+" is in "+out+".key; give sites the line in "+out+".pub:")
				line(w, k.Public().String())
			})
		},
	}
	c.Flags().StringVar(&out, "out", "publisher", "name of the two files, without their ending")
	return c
}

// shownKey is a publisher's key as it is shown.
type shownKey struct {
	ID    string `json:"id"`
	Words string `json:"words"`
	Key   string `json:"key"`
}

func keyShown(k publisher.Key) shownKey { return shownKey{k.ID(), k.Words(), k.String()} }

// writeNew writes a file that is not there yet: a key that is in use must not be lost.
func writeNew(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return openflow.Errorf(openflow.CodeConflict, "file for a key: %w", err).WithHint("name another one with --out")
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

const whatIsSigned = `FILE is a program, or an archive of
an image. DIGEST is what a node shows of either, or the ID of an image as "docker image inspect --format '{{.Id}}' IMAGE" prints
it: sha256: and 64 digits.`

func providerSignCommand(o *options) *cobra.Command {
	var key, password, comment, out string
	c := &cobra.Command{
		Use:   "sign FILE|DIGEST",
		Short: "Sign a program or an image, as its publisher",
		Long: `Sign a program or an image, as its publisher. ` + whatIsSigned + `
The signature is of minisign's form and is written to FILE.minisig, or to standard output for a digest. No node is asked.`,
		Example: `  openflow provider sign acme.tar --key acme.key --comment "acme psi 1.2"
  openflow provider sign sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef --key acme.key`,
		Args: positional("FILE|DIGEST"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := privateKey(key, password)
			if err != nil {
				return err
			}
			m, isFile, err := message(args[0])
			if err != nil {
				return err
			}
			text, err := k.Sign(m, comment)
			if err != nil {
				return err
			}
			if out == "" && isFile {
				out = args[0] + signatureEnding
			}
			if out == "" {
				return o.show(c, map[string]string{"signature": text}, func(w io.Writer) {
					for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
						line(w, l)
					}
				})
			}
			if err := os.WriteFile(out, []byte(text), 0o644); err != nil { //nolint:gosec // a signature is for everybody
				return openflow.Errorf(openflow.CodeInvalid, "signature: %w", err)
			}
			return o.show(c, map[string]string{"file": out, "key": k.Public().ID()}, func(w io.Writer) {
				line(w, "signed with key "+k.Public().Describe()+": "+out)
			})
		},
	}
	c.Flags().StringVar(&key, "key", "publisher.key", "file with the private key, of ours or of minisign's")
	c.Flags().StringVar(&password, "password-file", "", "file with the password of the key, if it has one")
	c.Flags().StringVar(&comment, "comment", "", "one line that is signed too, such as name and version (default: the time)")
	c.Flags().StringVar(&out, "out", "", "file of the signature")
	return c
}

// privateKey reads a publisher's private key.
func privateKey(path, passwordFile string) (publisher.Private, error) {
	text, err := readBounded("key", path, maxKeyFile)
	if err != nil {
		return publisher.Private{}, err
	}
	var password []byte
	if passwordFile != "" {
		if password, err = readBounded("password", passwordFile, maxKeyFile); err != nil {
			return publisher.Private{}, err
		}
	}
	return publisher.ParsePrivate(text, strings.TrimRight(string(password), "\r\n"))
}

// message is what is signed: the text of a digest, or a file.
func message(what string) (m publisher.Message, isFile bool, err error) {
	if text, err := publisher.ImageText(what); err == nil {
		return publisher.Text(text), false, nil
	}
	f, err := os.Open(what)
	if err != nil {
		return m, true, openflow.Errorf(openflow.CodeInvalid, "what is signed: %w", err).WithHint("name a file, or a digest: sha256: and 64 digits")
	}
	m, err = publisher.Measure(f)
	if err = errors.Join(err, f.Close()); err != nil {
		err = openflow.Errorf(openflow.CodeInvalid, "what is signed: %w", err)
	}
	return m, true, err
}

func providerVerifyCommand(o *options) *cobra.Command {
	var keys []string
	var signature string
	c := &cobra.Command{
		Use:   "verify FILE|DIGEST",
		Short: "Verify a publisher's signature, as a node would",
		Long: `Verify a publisher's signature, as a node would. ` + whatIsSigned + `
A key is the line of a publisher that begins with RW, or a file that holds it. Several may be given. No node is asked. With exit
code 1 the content is another one, or the key is.`,
		Example: `  openflow provider verify acme.tar --key acme.pub`,
		Args:    positional("FILE|DIGEST"),
		RunE: func(c *cobra.Command, args []string) error {
			m, isFile, err := message(args[0])
			if err != nil {
				return err
			}
			if signature == "" && isFile {
				signature = args[0] + signatureEnding
			}
			if signature == "" || len(keys) == 0 {
				return usagef("name the publisher's key with --key, and for a digest the signature with --signature")
			}
			text, err := readBounded("signature", signature, publisher.MaxSignature)
			if err != nil {
				return err
			}
			s, err := publisher.ParseSignature(string(text))
			if err != nil {
				return err
			}
			known, err := publicKeys(keys)
			if err != nil {
				return err
			}
			proof, err := publisher.Verify(m, s, known)
			if err != nil {
				return err
			}
			return o.show(c, map[string]any{"key": keyShown(proof.Key), "comment": proof.Comment}, func(w io.Writer) {
				line(w, "signed by key "+proof.Key.Describe()+": "+proof.Comment)
			})
		},
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "a publisher's public key, or a file with it; may be repeated")
	c.Flags().StringVar(&signature, "signature", "", "file of the signature (default: FILE.minisig)")
	return c
}

// publicKeys reads keys, or the files that hold them.
func publicKeys(list []string) ([]publisher.Key, error) {
	keys := make([]publisher.Key, len(list))
	for i, what := range list {
		k, err := publisher.ParseKey(what)
		if err != nil {
			text, unread := readBounded("key", what, maxKeyFile)
			if unread != nil {
				return nil, err
			}
			if k, err = publisher.ParseKey(string(text)); err != nil {
				return nil, err
			}
		}
		keys[i] = k
	}
	return keys, nil
}
