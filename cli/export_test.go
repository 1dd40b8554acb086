package cli

// Opened to the tests of this package only.
var ParseSettings = parseSettings
