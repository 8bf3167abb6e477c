//go:build !linux

package bench

import (
	"os"
	"os/exec"
)

func launch(cmd *exec.Cmd, _ []int) error { return cmd.Start() }

func processors() []int { return nil }

func killGroup(p *os.Process) { _ = p.Kill() }
