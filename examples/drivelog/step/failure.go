package step

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Exit statuses of the contract (sysexits; 2 is a usage error).
const (
	exitUsage, exitBadData, exitBug, exitTryAgain = 2, 65, 70, 75
	exitTerminated, exitInterrupted               = 128 + int(syscall.SIGTERM), 128 + int(syscall.SIGINT)
)

// Failure is an error that the step foresaw: its name in the diary, its exit status, and facts beside the message.
type Failure struct {
	Kind    string
	Code    int
	Message string
	Facts   map[string]any
}

func (failure *Failure) Error() string { return failure.Message }

// Usage is for a command line that cannot be obeyed.
func Usage(format string, values ...any) error {
	return &Failure{Kind: "UsageError", Code: exitUsage, Message: fmt.Sprintf(format, values...)}
}

// BadData is for data that breaks its contract: which artifact, which field, what was found, what is allowed.
func BadData(artifact, field, found, allowed string) error {
	return &Failure{
		"ContractViolation", exitBadData,
		fmt.Sprintf("%s: %s: found %s, allowed %s", artifact, field, found, allowed),
		map[string]any{"artifact": artifact, "field": field, "found": found, "allowed": allowed},
	}
}

// Unreadable is for an artifact that is not of the format that it should be.
func Unreadable(path, expected, reason string) error {
	return &Failure{
		"UnreadableArtifact", exitBadData,
		fmt.Sprintf("%s is not a readable %s: %s", path, expected, reason),
		map[string]any{"path": path, "allowed": expected, "found": reason},
	}
}

func missing(name, path string) error {
	return &Failure{
		"InputMissing", exitBadData,
		fmt.Sprintf("input %s: no such file or folder: %s", option(name), path),
		map[string]any{"input": name, "path": path},
	}
}

func altered(path, found, recorded string) error {
	return &Failure{
		"ArtifactAltered", exitBadData,
		fmt.Sprintf("%s was altered: its sha256 is %s, its maker recorded %s", path, found, recorded),
		map[string]any{"path": path, "found": found, "allowed": recorded},
	}
}

// CannotWrite is the failure for what the operating system says of an output: a full disk may pass, the rest is the
// caller's to mend.
func CannotWrite(target string, err error) error {
	facts := map[string]any{"output": target}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		said := fmt.Sprintf(
			"cannot write output %s: %s; make room there, then make the same call again", target, reason(err),
		)
		return &Failure{"TryAgain", exitTryAgain, said, facts}
	}
	return &Failure{"OutputNotWritable", exitUsage, fmt.Sprintf("cannot write output %s: %s", target, reason(err)), facts}
}

// reason is an error without the path, which may be a hidden one that nobody knows.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
