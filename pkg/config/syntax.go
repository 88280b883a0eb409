package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// parseDocument decodes the whole file. A file that is not valid TOML gives one fault.
func parseDocument(path string, data []byte) (*node, *Problem) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if fault := boundsFault(path, newBuilder(data)); fault != nil {
		return nil, fault
	}
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, syntaxFault(path, data, err)
	}
	root, err := buildTree(data)
	if err != nil {
		return nil, syntaxFault(path, data, err)
	}
	root.attach(values)
	return root, nil
}

func syntaxFault(path string, data []byte, err error) *Problem {
	p := &Problem{Severity: Fault, Code: CodeSyntax, Path: path, Message: "not valid TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		p.Line, p.Column = decode.Position()
		p.Message = wholeCharacter(p.Message, data, p.Line, p.Column)
		p.Message += fmt.Sprintf(" at column %d", p.Column)
		if line := offendingLine(data, p.Line); line != "" {
			p.Message += ": " + line
		}
	}
	p.Message = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) { // the message quotes the file and may be printed on a terminal
			return utf8.RuneError
		}
		return c
	}, p.Message)
	if !utf8.Valid(data) {
		p.Remedy = "save the file as UTF-8"
	}
	return p
}

var oneByte = regexp.MustCompile(`U\+00[89A-F][0-9A-F] '.'`)

// wholeCharacter corrects a message of the decoder, which shows the first byte of a character of several bytes as if it were a character.
func wholeCharacter(message string, data []byte, line, column int) string {
	lines := bytes.Split(data, []byte("\n"))
	if line < 1 || line > len(lines) || column < 1 || column > len(lines[line-1]) {
		return message
	}
	char, size := utf8.DecodeRune(lines[line-1][column-1:])
	if char == utf8.RuneError || size < 2 {
		return message
	}
	return oneByte.ReplaceAllLiteralString(message, fmt.Sprintf("U+%04X '%c'", char, char))
}

var (
	secretWord = regexp.MustCompile(`(?i)token|passw|secret|cred|private|key\b|_key|key_`)
	keyLine    = regexp.MustCompile(`^\s*(\[|["'\w][^=]*=)`)
)

// ownerOf returns the line that has the key of a value which goes on in line at. In a string of several lines, a line may look like one with a
// key: those of a private key end with "=".
func ownerOf(lines []string, at int) int {
	start, quotes := -1, ""
	for n, text := range lines[:at] {
		if start >= 0 {
			if strings.Contains(text, quotes) {
				start = -1
			}
			continue
		}
		for _, q := range []string{`"""`, "'''"} {
			if strings.Count(text, q) == 1 {
				start, quotes = n, q
			}
		}
	}
	if start >= 0 {
		return start
	}
	for at > 0 && !keyLine.MatchString(lines[at]) {
		at--
	}
	return at
}

// offendingLine returns the line as written in the file. If the line may hold a secret, it returns only the part before the "=". For a
// line inside a value of several lines, the key of the value decides.
func offendingLine(data []byte, line int) string {
	lines := strings.Split(string(data), "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	text := lines[line-1]
	owner := ownerOf(lines, line-1)
	if secretWord.MatchString(lines[owner]) || secretWord.MatchString(text) {
		head, _, found := strings.Cut(text, "=")
		if !found || owner != line-1 {
			return "(line not shown: it may hold a secret)"
		}
		return strings.TrimSpace(head) + " = …"
	}
	text = strings.ToValidUTF8(strings.TrimSpace(text), "�")
	const most = 120
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}
