package step

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// What is being written, by its hidden name: SIGTERM takes it away, and holds the lock until the process is gone.
var staged = struct {
	sync.Mutex
	files map[string]bool
}{files: map[string]bool{}}

// Sha256Of hashes a file by its bytes, a folder by the names and hashes of the files in it, hidden ones aside.
func Sha256Of(path string) (string, error) {
	digest := sha256.New()
	about, err := os.Stat(path)
	if err == nil && about.IsDir() {
		err = hashFolder(digest, path)
	} else if err == nil {
		err = hashFile(digest, path)
	}
	return hex.EncodeToString(digest.Sum(nil)), err
}

func hashFile(into io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(into, file)
	return err
}

func hashFolder(into io.Writer, folder string) error {
	var names []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(folder, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	sort.Strings(names)
	for _, name := range names {
		one, failed := Sha256Of(filepath.Join(folder, name))
		if failed != nil {
			return failed
		}
		fmt.Fprintf(into, "%s  %s\n", one, name)
	}
	return err
}

// stage makes the parent of a target and returns the hidden name under which it is written until it is whole. What a
// killed forerunner left there is removed.
func stage(target string) (string, error) {
	folder, name := filepath.Split(target)
	prefix := "." + name + ".partial-"
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", CannotWrite(target, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", CannotWrite(target, err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			os.RemoveAll(filepath.Join(folder, entry.Name()))
		}
	}
	hidden := filepath.Join(folder, fmt.Sprintf("%s%d", prefix, os.Getpid()))
	staged.Lock()
	defer staged.Unlock()
	file, err := os.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return "", CannotWrite(target, err)
	}
	staged.files[hidden] = true
	return hidden, file.Close()
}

// commit moves a whole artifact to its place. Its bytes are on the disk before its name is.
func commit(hidden, target string) error {
	if err := flush(hidden); err != nil {
		return CannotWrite(target, err)
	}
	old := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".partial-old")
	if about, err := os.Lstat(target); err == nil && about.IsDir() {
		os.RemoveAll(old)
		if err := os.Rename(target, old); err != nil {
			return CannotWrite(target, err)
		}
	}
	if err := os.Rename(hidden, target); err != nil {
		return CannotWrite(target, err)
	}
	os.RemoveAll(old)
	staged.Lock()
	delete(staged.files, hidden)
	staged.Unlock()
	if err := flush(filepath.Dir(target)); err != nil {
		return CannotWrite(target, err)
	}
	return nil
}

func writeText(target, text string) error {
	hidden, err := stage(target)
	if err != nil {
		return err
	}
	if err := os.WriteFile(hidden, []byte(text), 0o666); err != nil {
		return CannotWrite(target, err)
	}
	return commit(hidden, target)
}

// discardStaged leaves nothing half-written behind. The caller holds the lock.
func discardStaged() {
	for hidden := range staged.files {
		os.RemoveAll(hidden)
		delete(staged.files, hidden)
	}
}

func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
