package openflow

import "time"

// ComponentState says how a component of a provider stands at a site.
type ComponentState string

// The states. In two of them a component takes no new jobs: nobody has loaded it, or it cannot run here. Only a component with
// a resident container is started and stopped.
const (
	ComponentUnloaded ComponentState = "UNLOADED" // an operator keeps new jobs from it
	ComponentLoaded   ComponentState = "LOADED"   // what its runs are started with is there, and is what was registered
	ComponentStarted  ComponentState = "STARTED"  // and its resident container runs
	ComponentStopped  ComponentState = "STOPPED"  // its resident container was stopped; the next task starts it
	ComponentFailed   ComponentState = "FAILED"   // it cannot run here; the reason says why
)

// ComponentEvent is what changes the state of a component.
type ComponentEvent string

// The events.
const (
	ComponentLoad   ComponentEvent = "load"
	ComponentUnload ComponentEvent = "unload"
	ComponentStart  ComponentEvent = "start"
	ComponentStop   ComponentEvent = "stop"
	ComponentFail   ComponentEvent = "fail"
)

// componentLife is the transition table. What is not in it is refused. A state that an event leads to itself is left alone.
var componentLife = map[ComponentState]map[ComponentEvent]ComponentState{
	ComponentUnloaded: {
		ComponentLoad: ComponentLoaded, ComponentUnload: ComponentUnloaded, ComponentFail: ComponentFailed,
	},
	ComponentLoaded: {
		ComponentLoad: ComponentLoaded, ComponentUnload: ComponentUnloaded, ComponentStart: ComponentStarted, ComponentFail: ComponentFailed,
	},
	ComponentStarted: {
		ComponentLoad: ComponentStarted, ComponentUnload: ComponentUnloaded, ComponentStart: ComponentStarted, ComponentStop: ComponentStopped,
		ComponentFail: ComponentFailed,
	},
	ComponentStopped: {
		ComponentLoad: ComponentStopped, ComponentUnload: ComponentUnloaded, ComponentStart: ComponentStarted, ComponentStop: ComponentStopped,
		ComponentFail: ComponentFailed,
	},
	ComponentFailed: {
		ComponentLoad: ComponentLoaded, ComponentUnload: ComponentUnloaded, ComponentFail: ComponentFailed,
	},
}

// After is the state that an event leads to. Errors: CodeConflict (it leads nowhere from here).
func (s ComponentState) After(e ComponentEvent) (ComponentState, error) {
	next, ok := componentLife[s][e]
	if !ok {
		return s, Errorf(CodeConflict, "a component that is %s does not %s", s, e).
			WithHint("load it first: openflow component load")
	}
	return next, nil
}

// TakesJobs reports whether new jobs may use a component in that state.
func (s ComponentState) TakesJobs() bool {
	return s == ComponentLoaded || s == ComponentStarted || s == ComponentStopped
}

// ComponentStanding is how a component stands at a site, since when and why.
type ComponentStanding struct {
	State   ComponentState
	Reason  string // why it has failed; empty otherwise
	Machine string // ID of the one that has found that it has failed, and looks again
	Since   time.Time
}

// ComponentChange is a change of the standing of a component.
type ComponentChange struct {
	Component string
	Provider  ProviderRef    // without a device
	From      ComponentState // empty: it was registered
	To        ComponentState // empty: it was removed
	Reason    string         // why it has failed; empty otherwise
	By        string         // the user, or the machine whose probe has found it
	At        time.Time
}

// ComponentCall asks for a change of components of one provider.
type ComponentCall struct {
	Provider  ProviderRef // without a device
	Component string      // empty: all that the provider has
	Event     ComponentEvent
	Reason    string
	By        string
	Machine   string // ID of the one that has found out
	// Probe says that nobody has asked: what is unloaded stays so, and a failure that another machine has found is not ended.
	Probe bool
}
