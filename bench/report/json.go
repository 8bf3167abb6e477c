package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mobius/bench/result"
)

// Read reads a report's JSON. Text of a newer version, and text that is no
// report, is an error that says so.
func Read(r io.Reader) (*result.Report, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("not a report of mobius bench: %w", err)
	}
	switch {
	case head.Version == nil || *head.Version < 1:
		return nil, fmt.Errorf("not a report of mobius bench: it has no version, want one from 1 to %d", result.Version)
	case *head.Version > result.Version:
		return nil, fmt.Errorf("a report of version %d; this program reads up to version %d: use a newer one",
			*head.Version, result.Version)
	}
	var out result.Report
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("a damaged report: %w", err)
	}
	return &out, nil
}

// ReadFile reads a report from a file. Its errors name the file.
func ReadFile(path string) (*result.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// JSON writes a report as [Read] reads it.
func JSON(w io.Writer, r *result.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteFile makes a file of what write writes. Until all of it is written, an
// earlier file of that name stays as it is.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
