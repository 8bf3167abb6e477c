package backendtest

// Sentences is for the test of the mutants.
var Sentences = sentences
