package lr

import (
	"maps"

	"openflow/sdk/component"
)

// Rules describes the options of each optimizer, for nodes that check a job before it runs; newOptimizer reads them.
func (optimizerSet) Rules() []component.Rule {
	positive, any, flag := object{"type": "number", "minimum": 0}, object{"type": "number"}, object{"type": "boolean"}
	share := object{"type": "number", "minimum": 0, "exclusiveMaximum": 1}
	all := object{"lr": object{"type": "number", "exclusiveMinimum": 0}, "weight_decay": positive, "maximize": flag}
	rule := func(method string, own object) component.Rule {
		maps.Copy(own, all)
		return optionsOf(method, "optimizer_params", own)
	}
	return []component.Rule{
		rule("sgd", object{"momentum": positive, "dampening": any, "nesterov": flag}),
		rule("adam", object{"betas": object{"type": "array", "items": share, "minItems": 2, "maxItems": 2}, "eps": positive, "amsgrad": flag}),
		rule("rmsprop", object{"alpha": positive, "eps": positive, "momentum": positive, "centered": flag}),
		rule("adagrad", object{"lr_decay": positive, "initial_accumulator_value": positive, "eps": positive}),
	}
}

// Rules describes the options of each schedule; newSchedule reads them.
func (schedulerSet) Rules() []component.Rule {
	positive, count := object{"type": "number", "minimum": 0}, object{"type": "number", "minimum": 1}
	step := optionsOf("step", "scheduler_params", object{"step_size": count, "gamma": positive}, "step_size")
	step.Required = []string{"scheduler_params"}
	return []component.Rule{
		optionsOf("constant", "scheduler_params", object{"factor": positive, "total_iters": positive}),
		optionsOf("linear", "scheduler_params", object{"start_factor": positive, "end_factor": positive, "total_iters": count}),
		step,
	}
}

type object = map[string]any

func optionsOf(method, member string, options object, required ...string) component.Rule {
	return component.Rule{If: "method", Is: method, Then: object{member: object{
		"type": "object", "properties": options, "required": append([]string{}, required...), "additionalProperties": false,
	}}}
}
