package step

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

const lineageSchema = 1

// origin is the lineage of one call whose inputs have none of their own: files, which have no room for it.
func origin(call *Call, outputs map[string]string) string {
	hashed := map[string]any{}
	for name, sha256 := range outputs {
		hashed[name] = sha256
	}
	alone := map[string]any{"parameters": map[string]any{}, "inputs": map[string]any{}, "outputs": hashed}
	calls := []any{map[string]any{
		"step": call.app.Name, "verb": call.verb.Name, "version": call.app.Version, "kit": "go",
		"image": os.Getenv("BRAKELINE_IMAGE"), "revision": os.Getenv("BRAKELINE_REVISION"),
		"parameters": call.parameters, "inputs": asAny(call.hashes), "each": []any{alone},
	}}
	seal := sha256.Sum256([]byte(canonical(calls)))
	return canonical(map[string]any{
		"schema_version": int64(lineageSchema), "sha256": hex.EncodeToString(seal[:]), "calls": calls,
	}) + "\n"
}

func asAny(hashes map[string][]string) map[string]any {
	told := map[string]any{}
	for name, listed := range hashes {
		values := make([]any, 0, len(listed))
		for _, one := range listed {
			values = append(values, one)
		}
		told[name] = values
	}
	return told
}

// canonical is the JSON in which lineage is written and sealed: keys sorted, ", " and ": " between, ASCII alone. A
// reader writes it anew and compares bytes.
func canonical(value any) string {
	switch value := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		sort.Strings(names)
		parts := make([]string, 0, len(value))
		for _, name := range names {
			parts = append(parts, quoted(name)+": "+canonical(value[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, 0, len(value))
		for _, one := range value {
			parts = append(parts, canonical(one))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return quoted(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return number(value)
	case bool:
		return strconv.FormatBool(value)
	case nil:
		return "null"
	default:
		panic(fmt.Sprintf("lineage holds no %T", value))
	}
}

func quoted(text string) string {
	var told strings.Builder
	told.WriteByte('"')
	for _, unit := range utf16.Encode([]rune(text)) {
		switch {
		case unit == '"' || unit == '\\':
			told.WriteByte('\\')
			told.WriteByte(byte(unit))
		case unit >= ' ' && unit <= '~':
			told.WriteByte(byte(unit))
		case strings.ContainsRune("\b\f\n\r\t", rune(unit)):
			told.WriteString(map[uint16]string{'\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}[unit])
		default:
			fmt.Fprintf(&told, `\u%04x`, unit)
		}
	}
	return told.String() + `"`
}

// number is the shortest decimal that reads back the same, with an exponent below 1e-4 and from 1e16 on.
func number(value float64) string {
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(value, 'e', -1, 64)
	}
	text := strconv.FormatFloat(value, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
