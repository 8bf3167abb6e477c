package tidy

import "strings"

// Blocks returns the fenced blocks of a Markdown text that are marked with a
// language, in order.
func Blocks(text, language string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(text) {
		switch bare := strings.TrimSpace(line); {
		case !inside && bare == "```"+language:
			inside = true
			out = append(out, "")
		case inside && bare == "```":
			inside = false
		case inside:
			out[len(out)-1] += line
		}
	}
	return out
}

// Program returns what of a Go file is left once it is written as a program:
// without comments before the package clause, which becomes main; the first
// example function is func main, the comment with its output is left out.
func Program(file string) string {
	var out []string
	started := false
	for line := range strings.Lines(file) {
		line = strings.TrimRight(line, "\n")
		switch {
		case !started && !strings.HasPrefix(line, "package "):
			continue
		case !started:
			started = true
			line = "package main"
		case strings.HasPrefix(line, "func Example") && strings.HasSuffix(line, "() {"):
			line = "func main() {"
		case strings.HasPrefix(strings.TrimSpace(line), "// Output:"), strings.HasPrefix(strings.TrimSpace(line), "// Unordered output:"):
			continue
		}
		out = append(out, line)
	}
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}
