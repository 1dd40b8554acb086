// Package approval decides what the site's policy lets be registered and run, and with what. [Decide] is the one function:
// it is called before anything of an image exists as a container, at its registration and again at each launch. It reads no
// file, asks nobody and keeps nothing.
//
// The other functions say what an entry of the policy file must be.
package approval
