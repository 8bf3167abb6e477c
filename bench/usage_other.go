//go:build !linux

package bench

func family(pid int) tree { return tree{pid} }

func (t tree) spent() usage { return usage{} }

func (t tree) holds(*usage) {}
