// Package settings holds the settings of the commands that run as services: openflow server, worker and temporal.
//
// A command has one struct. The tags of its fields are the only source of its flags, its environment variables, the keys
// of its YAML file, its help and its part of docs/settings.md:
//
//   - flag is the name of the flag, without dashes, and of the key in the file.
//   - help is what the setting does.
//   - default describes a default that the machine decides; other defaults are the values of the new struct.
//   - env names the environment variable, without OPENFLOW_, where it cannot be the flag's name.
//   - required marks a setting without which the command does not start, and gives an example of it.
//   - title, of a struct inside the struct, heads its settings on the page.
//
// Start at [Server]; [Register] and [Apply] are what a command calls.
package settings
