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
