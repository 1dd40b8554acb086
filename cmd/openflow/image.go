package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"openflow/docker/image"
)

func imageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "image PROGRAM FILE",
		Short: "Make an image of a program of components",
		Long: `Make an archive of an image that holds one static program and nothing else, for provider register. Neither a builder nor a
daemon is needed, and no node is asked. The same program makes the same image. A FILE that is there is replaced.`,
		Example: `  openflow image ./acme acme.tar
  openflow provider register acme.tar`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := image.Write(args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s holds image %s\n", args[1], id)
			}
			return err
		},
	}
}
