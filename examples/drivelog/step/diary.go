package step

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const betweenProgress = time.Second

var diary sync.Mutex

// Note reports one change of state, with facts whose keys carry their units.
func Note(event string, facts map[string]any) { write("info", event, facts) }

// Warn reports something that a person should look at, though the step goes on.
func Warn(event string, facts map[string]any) { write("warning", event, facts) }

// Progress returns a function that is told how much of a total is done: a line a second at most, a bar on a terminal.
func Progress(label string, total int64) func(done int64) {
	last, people := time.Now(), forPeople()
	return func(done int64) {
		if done < total && time.Since(last) < betweenProgress {
			return
		}
		last = time.Now()
		switch {
		case !people:
			write("info", "progress", map[string]any{"label": label, "done": done, "total": total})
		case done < total:
			filled := int(40 * done / total)
			fmt.Fprintf(os.Stderr, "\r\x1b[2K%s %s%s", label, strings.Repeat("━", filled), strings.Repeat("─", 40-filled))
		default:
			fmt.Fprint(os.Stderr, "\r\x1b[2K")
		}
	}
}

func write(level, event string, facts map[string]any) {
	diary.Lock()
	defer diary.Unlock()
	if forPeople() {
		fmt.Fprintln(os.Stderr, readable(level, event, facts))
		return
	}
	line := map[string]any{
		"time":  time.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"),
		"level": level, "event": event,
	}
	for key, value := range facts {
		line[key] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	os.Stderr.Write(append(text, '\n'))
}

func readable(level, event string, facts map[string]any) string {
	told := event
	if message, ok := facts["message"].(string); ok {
		told = message
	} else {
		names := make([]string, 0, len(facts))
		for name := range facts {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			told += fmt.Sprintf("  %s=%v", name, facts[name])
		}
	}
	if colour := map[string]string{"warning": "\x1b[33m", "error": "\x1b[31m"}[level]; colour != "" {
		return colour + told + "\x1b[0m"
	}
	return told
}

// forPeople says whether stderr is a terminal that a person watches. A character device is not enough: /dev/null is one.
func forPeople() bool {
	var settings syscall.Termios
	_, _, failed := syscall.Syscall(
		syscall.SYS_IOCTL, os.Stderr.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&settings)),
	)
	return failed == 0 && os.Getenv("TERM") != "dumb"
}
