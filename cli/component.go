package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

func componentCommands(o *options) *cobra.Command {
	return group("component", "Show, load, unload and check the components of this site",
		`A component is what a task runs. Several providers may have one of the same name: a job may say which is meant, and this
site says which serves jobs that do not. A component takes jobs while it is LOADED, STARTED or STOPPED. It takes none while
it is UNLOADED, which an operator has said, or FAILED, for a reason that is shown.`,
		`  openflow component list
  openflow component unload psi --provider acme:1.2.0`,
		componentsCommand(o), componentShowCommand(o),
		componentLoadCommand(o),
		componentChangeCommand(o, "unload", "Keep new jobs from a component", "it takes no new jobs",
			`Keep new jobs from a component, or from all that a provider has. Jobs that use it go on.`,
			func(c *cobra.Command, component, provider string) ([]sdk.ComponentChange, error) {
				return o.client().UnloadComponent(c.Context(), component, provider)
			}),
		componentCheckCommand(o), componentDefaultCommand(o))
}

func componentsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the components",
		Long:    `List the components of every provider, and how each stands.`,
		Example: `  openflow component list`,
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := o.client().Components(c.Context())
			if err != nil {
				return err
			}
			return o.show(c, append([]wire.Component{}, list...), func(w io.Writer) {
				line(w, "COMPONENT", "PROVIDER", "DEFAULT", "ROLES", "STAGES", "PROTOCOLS", "RUNTIME", "STATE")
				for _, one := range list {
					line(w, one.Name, one.Provider, yesNo(one.Default), words(one.Roles), words(one.Stages), spoken(one.Protocols),
						one.Runtime+", "+string(one.Way), condition(one))
				}
			})
		},
	}
}

func componentShowCommand(o *options) *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what a component says of itself",
		Long: `Show what a component says of itself: roles, stages, protocols, parameters, inputs and outputs. Without --provider it is the
one that serves jobs which name no provider. With -o json its description is there as it was given.`,
		Example: `  openflow component show psi --provider acme`,
		Args:    positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			one, err := o.client().Component(c.Context(), args[0], provider)
			if err != nil {
				return err
			}
			return o.show(c, one, func(w io.Writer) {
				component(w, one)
			})
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "whose: name or name:version")
	return c
}

// component writes what people want to know of a component.
func component(w io.Writer, c wire.Component) {
	heading := c.Name + " of " + c.Provider
	if c.Title != "" {
		heading += ": " + c.Title
	}
	line(w, heading)
	if c.Summary != "" {
		line(w, c.Summary)
	}
	line(w, "state", condition(c))
	line(w, "roles", words(c.Roles))
	line(w, "stages", words(c.Stages))
	line(w, "speaks", spoken(c.Protocols))
	line(w, "runs on", c.Runtime+", "+way(c))
	for _, wish := range wished(c.Wishes) {
		line(w, "wishes for", wish)
	}
	for _, p := range c.Probes {
		line(w, "asked", string(p.Kind), p.String())
	}
	line(w, "described as", form(c.Form))
	for _, p := range c.Parameters {
		line(w, "parameter", p.Name, need(p.Optional), allowed(p.Schema), usual(p.Default), cmp.Or(p.Summary, p.Title))
	}
	for _, side := range []struct {
		name string
		list []wire.Artifact
	}{{"input", c.Inputs}, {"output", c.Outputs}} {
		for _, a := range side.list {
			line(w, side.name, a.Key, string(a.Kind), strings.Join(a.Types, ", "), need(a.Optional), words(a.Stages), words(a.Roles))
		}
	}
	for _, text := range c.Warnings {
		line(w, "warning", text)
	}
}

// wished tells what a component needs beyond what all have, each with its name in a description.
func wished(w openflow.Wishes) []string {
	var said []string
	for _, kind := range []struct {
		name string
		list []string
	}{{"capabilities", w.Capabilities}, {"mounts", w.Mounts}, {"networks", w.Networks}, {"environment", w.Environment}} {
		if len(kind.list) > 0 {
			said = append(said, kind.name+": "+openflow.Line(strings.Join(kind.list, ", ")))
		}
	}
	for _, amount := range []struct {
		name string
		many int64
	}{{"cores", int64(w.Cores)}, {"memory", w.Memory}, {"processes", int64(w.Processes)}, {"disk", w.Disk}} {
		if amount.many > 0 {
			said = append(said, fmt.Sprintf("%s: %d at least", amount.name, amount.many))
		}
	}
	return said
}

// way is how the runs of a component get their containers.
func way(c wire.Component) string {
	if c.Runs == 0 {
		return string(c.Way)
	}
	return fmt.Sprintf("%s, %d runs at once in each container", c.Way, c.Runs)
}

func words[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = string(one)
	}
	return strings.Join(texts, ", ")
}

// spoken names protocols. A component without any talks to no other party.
func spoken(list []wire.Protocol) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = openflow.Protocol(p).String()
	}
	return strings.Join(texts, ", ")
}

func need(optional bool) string {
	if optional {
		return "optional"
	}
	return "required"
}

// form is the form of a description.
func form(name string) string {
	if name == "label" {
		return "nothing but a name, in a label of its image: any role, no parameters, inputs or outputs"
	}
	return name
}

// usual is a default as JSON has it.
func usual(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return "default " + string(text)
}

// condition is how a component stands, since when and why.
func condition(c wire.Component) string {
	text := c.State
	if c.Since != nil {
		text += " since " + moment(c.Since)
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

func componentLoadCommand(o *options) *cobra.Command {
	var start bool
	c := componentChangeCommand(o, "load", "Let jobs use a component", "jobs may use it",
		`Let jobs use a component, or all that a provider has. What it runs is looked for, and brought back if it can be. When it is
gone or has changed, the component is FAILED. With --start its resident container runs at once, and not with the first task.`,
		func(c *cobra.Command, component, provider string) ([]sdk.ComponentChange, error) {
			if start {
				return o.client().StartComponent(c.Context(), component, provider)
			}
			return o.client().LoadComponent(c.Context(), component, provider)
		})
	c.Flags().BoolVar(&start, "start", false, "start the resident container of each component that has one, and wait until it serves")
	return c
}

func componentChangeCommand(
	o *options, verb, short, done, long string, do func(c *cobra.Command, component, provider string) ([]sdk.ComponentChange, error),
) *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use:   verb + " [NAME] [--provider PROVIDER]",
		Short: short,
		Long: long + `
Without NAME it is all that the provider has, and without --provider the only provider that has the component.`,
		Example: `  openflow component ` + verb + ` psi --provider acme:1.2.0
  openflow component ` + verb + ` --provider acme`,
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" && provider == "" {
				return usagef("name a component, or a provider with --provider")
			}
			made, err := do(c, name, provider)
			if err != nil {
				return err
			}
			return o.show(c, append([]sdk.ComponentChange{}, made...), func(w io.Writer) {
				for _, one := range made {
					line(w, "component "+one.Component+" of "+one.Provider+" is "+one.To+": "+done)
				}
				if len(made) == 0 {
					line(w, "nothing has changed")
				}
			})
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "name, or name:version where it has several versions")
	return c
}

func componentCheckCommand(o *options) *cobra.Command {
	var r registering
	c := &cobra.Command{
		Use:   "check FILE|IMAGE",
		Short: "Hold a program or an image against the contract",
		Long: `Hold a program or an image against the contract of docs/spec/algorithm-image.md, point by point. ` + whatIsRegistered + `
The node runs it, isolated and without a network, to describe itself, and with arguments that it must refuse. Where a
component is resident, a container that serves is tried too. Nothing is registered. How it does its work, only a job can
show. The exit code is 1 when a point does not hold.`,
		Example: `  openflow component check acme.tar`,
		Args:    positional("FILE|IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := r.read(args[0])
			if err != nil {
				return err
			}
			found, err := o.client().CheckComponent(c.Context(), n)
			if err != nil {
				return err
			}
			d := diagnosis{OK: true, Checks: []check{}}
			for _, f := range found {
				d.Checks = append(d.Checks, check{f.Name, verdict(f.Status), f.Detail, f.Remedy})
				d.OK = d.OK && verdict(f.Status) != failed
			}
			if err := o.show(c, d, d.text); err != nil {
				return err
			}
			if !d.OK {
				return Failed("it does not keep the contract")
			}
			return nil
		},
	}
	r.flags(c)
	return c
}

func componentDefaultCommand(o *options) *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use:   "default NAME [--provider PROVIDER]",
		Short: "Say which provider serves a component",
		Long: `Say which provider serves a component where the job names none. Without --provider the usual rule holds again: the
built-in provider, or else the newest version, where only one provider has the component.`,
		Example: `  openflow component default psi --provider acme:1.2.0
  openflow component default psi`,
		Args: positional("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.client().PreferProvider(c.Context(), args[0], provider); err != nil {
				return err
			}
			return o.show(c, map[string]string{"component": args[0], "provider": provider}, func(w io.Writer) {
				if provider == "" {
					line(w, "component "+args[0]+" has no default provider of its own any more")
					return
				}
				line(w, "component "+args[0]+" is served by "+provider+" where a job names no provider")
			})
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "name, or name:version where it has several versions")
	return c
}
