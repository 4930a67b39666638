package step

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// App is a step: a program of a few verbs, called brakeline-<step>.
type App struct {
	Name, Version, Description string
	Verbs                      []Verb
}

var ending int32

// Main obeys a command line and returns the exit status.
func (app *App) Main(arguments []string) int {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT)
	go endOn(heard)
	if len(arguments) == 0 {
		fmt.Print(app.help())
		return exitUsage
	}
	switch arguments[0] {
	case "--help":
		fmt.Print(app.help())
		return 0
	case "--version":
		fmt.Println(app.Name, app.Version)
		return 0
	case "--describe":
		verbs := []any{}
		for _, verb := range app.Verbs {
			verbs = append(verbs, verb.Describe())
		}
		fmt.Println(asJSON(map[string]any{"step": app.Name, "version": app.Version, "verbs": verbs}))
		return 0
	}
	for _, verb := range app.Verbs {
		if verb.Name == arguments[0] {
			return app.verb(verb, arguments[1:])
		}
	}
	return app.fail(Usage("found %q, allowed one of the verbs: %s", arguments[0], app.names()))
}

func (app *App) verb(verb Verb, arguments []string) int {
	found, err := words(arguments, map[string]bool{"help": true, "describe": true, "reuse": true})
	if err != nil {
		return app.fail(err)
	}
	if found["help"] != nil {
		fmt.Print(verb.help(app.Name))
		return 0
	}
	if found["describe"] != nil {
		fmt.Println(asJSON(verb.Describe()))
		return 0
	}
	if err := app.carryOut(verb, found); err != nil {
		return app.fail(err)
	}
	return 0
}

// carryOut does the work of a call and reports it. A panic is a bug, and ends as one.
func (app *App) carryOut(verb Verb, found map[string][]string) (failed error) {
	defer func() {
		if bug := recover(); bug != nil {
			failed = &Failure{
				"Bug", exitBug, fmt.Sprintf("a bug in %s %s: %v", app.Name, verb.Name, bug),
				map[string]any{"traceback": string(debug.Stack())},
			}
		}
	}()
	started := time.Now()
	call := &Call{
		app: app, verb: verb, inputs: map[string][]string{}, hashes: map[string][]string{},
		parameters: map[string]any{}, places: map[string]place{},
	}
	if err := call.prepare(found); err != nil {
		return err
	}
	report, status, err := call.work()
	if err != nil {
		return err
	}
	made := map[string]artifact{}
	for name, at := range call.places {
		made[name] = artifact{name, at.uri, report.Metadata[name]}
	}
	if file := call.given.Outputs.OutputFile; file != "" {
		if err := writeExecutorOutput(file, made); err != nil {
			return err
		}
	}
	line := map[string]any{}
	for name, value := range report.Facts {
		line[name] = value
	}
	line["step"], line["verb"], line["status"] = app.Name, verb.Name, status
	line["seconds"] = float64(time.Since(started).Milliseconds()) / 1000
	line["artifacts"], line["parameters"] = made, map[string]any{}
	if _, err := fmt.Println(asJSON(line)); err != nil {
		return CannotWrite("stdout", err)
	}
	return nil
}

func (call *Call) work() (told, string, error) {
	if call.reuse {
		report, differs := call.standing()
		if differs == "" {
			Note("reuse", map[string]any{"differs": "nothing"})
			staged.Lock()
			defer staged.Unlock()
			discardStaged()
			return report, "unchanged", nil
		}
		Note("reuse", map[string]any{"differs": differs})
	}
	result, err := call.verb.Run(call)
	if err != nil {
		return told{}, "", err
	}
	report, err := call.finish(result)
	return report, "done", err
}

func (app *App) fail(err error) int {
	if atomic.LoadInt32(&ending) != 0 {
		// An error of work that lost its files is not told: the signal's end is.
		select {}
	}
	staged.Lock()
	defer staged.Unlock()
	discardStaged()
	var failure *Failure
	if !errors.As(err, &failure) {
		failure = &Failure{Kind: "Bug", Code: exitBug, Message: err.Error()}
	}
	facts := map[string]any{"message": failure.Message, "exit_code": failure.Code}
	for name, value := range failure.Facts {
		facts[name] = value
	}
	write("error", failure.Kind, facts)
	return failure.Code
}

func endOn(heard <-chan os.Signal) {
	code := exitTerminated
	if <-heard == syscall.SIGINT {
		code = exitInterrupted
	}
	atomic.StoreInt32(&ending, 1)
	staged.Lock()
	discardStaged()
	write("error", "Terminated", map[string]any{"message": "ended by a signal", "exit_code": code})
	os.Exit(code)
}

func (app *App) names() string {
	names := make([]string, 0, len(app.Verbs))
	for _, verb := range app.Verbs {
		names = append(names, verb.Name)
	}
	return strings.Join(names, ", ")
}

func (app *App) help() string {
	told := fmt.Sprintf("Usage: %s VERB [OPTIONS]\n\n  %s\n\nVerbs:\n", app.Name, app.Description)
	for _, verb := range app.Verbs {
		told += fmt.Sprintf("  %-12s %s\n", verb.Name, verb.Description)
	}
	return told + "\nOptions: --help, --version, --describe; --help after a verb tells its own.\n"
}
