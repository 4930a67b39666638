"""The example with one promise broken: what is changed where, and which test of the contract is meant to find it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in `file`, becomes `new`; `found_by` is a test of the contract's suite."""

    name: str
    file: str
    old: str
    new: str
    found_by: str


STATUSES = "= 2, 65, 70, 75"
STAGED = 'hidden := filepath.Join(folder, fmt.Sprintf("%s%d", prefix, os.Getpid()))'
MUTANTS = (
    Mutant("writes in place", "step/artifact.go", STAGED, "hidden := target", "test_sigkill_leaves"),
    Mutant(
        "leaves its half file when ended",
        "step/app.go",
        "	staged.Lock()\n	discardStaged()\n	write(",
        "	staged.Lock()\n	write(",
        "test_sigterm_ends",
    ),
    Mutant(
        "does not hear SIGTERM",
        "step/app.go",
        "signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT)",
        "signal.Ignore(syscall.SIGTERM, syscall.SIGINT)",
        "test_sigterm_ends",
    ),
    Mutant(
        "keeps what a killed one left",
        "step/artifact.go",
        "os.RemoveAll(filepath.Join(folder, entry.Name()))",
        "_ = entry",
        "test_sigkill_leaves",
    ),
    Mutant(
        "bad data is a bug",
        "step/failure.go",
        "= 2, 65, 70, 75",
        "= 2, 70, 70, 75",
        "test_a_missing_input_ends_with_65",
    ),
    Mutant("usage is 64", "step/failure.go", STATUSES, "= 64, 65, 70, 75", "test_an_unknown_option_ends_with_2"),
    Mutant("a full disk is usage", "step/failure.go", "errors.Is(err, syscall.ENOSPC)", "false", "test_a_full_disk"),
    Mutant(
        "believes an altered input",
        "step/call.go",
        'known != "" && known != sha256',
        'known == "never"',
        "test_an_altered_input",
    ),
    Mutant(
        "talks on stdout",
        "convert.go",
        "	into := &recording{",
        '	os.Stdout.WriteString("reading\\n")\n	into := &recording{',
        "test_success_is_one_json_line",
    ),
    Mutant(
        "another hash than the file's",
        "step/call.go",
        'known := map[string]any{"sha256": sha256,',
        'known := map[string]any{"sha256": hashText(sha256),',
        "test_success_is_one_json_line",
    ),
    Mutant(
        "no executor output",
        "step/app.go",
        'if file := call.given.Outputs.OutputFile; file != "" {',
        'if file := call.given.Outputs.OutputFile; file == "never" {',
        "test_the_executor_output",
    ),
    Mutant(
        "no executor input by file",
        "step/executor.go",
        'strings.HasPrefix(text, "@")',
        'strings.HasPrefix(text, "never")',
        "test_an_altered_input",
    ),
    Mutant(
        "a clock in the bytes",
        "convert.go",
        'rejects.WriteString("log,line',
        'fmt.Fprintf(rejects, "# %d\\n", os.Getpid())\n	rejects.WriteString("log,line',
        "test_same_inputs_and_seed",
    ),
    Mutant(
        "never unchanged",
        "step/app.go",
        'if differs == "" {',
        'if differs == "never" {',
        "test_a_call_whose_outputs_stand",
    ),
    Mutant(
        "lineage of no input",
        "step/lineage.go",
        '"inputs": asAny(call.hashes), "each"',
        '"inputs": map[string]any{}, "each"',
        "test_folders_and_origins_tell",
    ),
    Mutant(
        "JSON for people", "step/diary.go", "return failed == 0 &&", "return failed != 0 &&", "test_a_terminal_gets"
    ),
    Mutant("NaN is a share", "step/signature.go", "!(found >= 0 && found <= 1)", "found < 0 || found > 1", "no_number"),
)
