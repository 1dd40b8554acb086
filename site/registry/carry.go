package registry

import (
	"context"
	"fmt"
	"log/slog"

	"openflow"
)

// Carrier is the part of the catalogue that has what earlier releases have registered.
type Carrier interface {
	Store
	SetDescription(ctx context.Context, c openflow.ComponentRecord) error
}

// Carry reads the descriptions that release 0.1.0 has kept as components gave them. A component whose description is not
// understood any more is unloaded, and the log says so.
func Carry(ctx context.Context, rows Carrier, log *slog.Logger) error {
	list, err := rows.Providers(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		components, err := rows.Components(ctx, p.Name, p.Version)
		if err != nil {
			return err
		}
		for _, c := range components {
			if c.Form != "" {
				continue
			}
			if err := carry(ctx, rows, c, log); err != nil {
				return fmt.Errorf("component %s of provider %s: %w", c.Name, c.Provider, err)
			}
		}
	}
	return nil
}

func carry(ctx context.Context, rows Carrier, c openflow.ComponentRecord, log *slog.Logger) error {
	read, err := Read(c.Description)
	if err == nil && read.Name == c.Name {
		read.Provider = c.Provider
		return rows.SetDescription(ctx, read)
	}
	log.ErrorContext(ctx, "a component of an earlier release is unloaded: its description is not understood; remove its provider and register it again",
		"component", c.Name, "provider", c.Provider, "err", err)
	_, err = rows.ChangeComponents(ctx, openflow.ComponentCall{
		Provider: c.Provider, Component: c.Name, Event: openflow.ComponentUnload, By: "upgrade", Reason: "its description is not understood",
	})
	return err
}
